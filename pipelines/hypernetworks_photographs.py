"""GINR-IPC and TransINR on photographs of 64×64 pixels: TransINR's Table 1 and GINR-IPC's Table 2 on other pictures.

Command:  python pipelines/hypernetworks_photographs.py
Needs:    INRZOO_PHOTOS_178 names a folder or zip of photographs, [SPLIT/]CLASS/IMAGE. INRZOO_SCALE: tiny|small|full.
          INRZOO_METHODS=GINR-IPC trains that alone, INRZOO_SEEDS=1 each once.
Hardware: small: one CPU core. "full" is the papers' networks at 178×178 pixels, for a GPU.
Duration: small: an hour of CPU a training; what is there stays, the same command continues.
Expected: docs/hypernetworks.md, and the curves and pictures beside it.
"""

from typing import Any

from cifar10 import DOCUMENT, MINUTES, OUT, SHARP, STEP, check, intervals, perceptron, trained
from curves import validation_curve
from script import SCALE, begin, chosen, source

from inrzoo import manifest
from inrzoo.short_forms import short_table
from inrzoo.tasks import Comparison, UnfittedDataset, draw_lines
from inrzoo.tasks.hypernetwork import Hypernetwork
from inrzoo.unfitted import read_source

begin(__doc__)

SIZE = {"tiny": 16, "small": 64, "full": 178}[SCALE]
STEPS = {"tiny": 4, "small": 45_000, "full": 300_000}[SCALE]
TESTED = {"tiny": 2, "small": 256, "full": 1000}[SCALE]
VALIDATION = {"tiny": 10, "small": 510, "full": 1020}[SCALE]
HIDDEN, FREQUENCIES, RANK = {"tiny": (8, 4, 8), "small": (128, 16, 64), "full": (256, 64, 256)}[SCALE]
TOKENS: dict[str, Any] = {
    "tiny": {"features": 8, "num_layers": 1, "num_heads": 2, "mlp_features": 8, "patch": 8},
    "small": {"features": 256, "num_layers": 1, "num_heads": 4, "mlp_features": 512, "patch": 16},
    "full": {"features": 768, "num_layers": 6, "num_heads": 12, "mlp_features": 3072, "patch": 9},
}[SCALE] | {"dropout": 0.0}
METHODS = chosen(
    {
        "GINR-IPC": {"name": "instance_patterns", "rank": RANK, **TOKENS},
        "TransINR": {"name": "trans_inr", "groups": RANK // 4, **TOKENS},
    }
)
FLIP = (short_table("flip", 0.5, "augmentations"),)
PAPER = {"GINR-IPC": 35.93, "TransINR": 33.33}
"""PSNR in dB, which the papers measured on CelebA at 178×178 pixels."""

photos = source("photos_178")
if photos is None:
    raise SystemExit("INRZOO_PHOTOS_178 has to name a folder or zip of photographs, [SPLIT/]CLASS/IMAGE")
signals = UnfittedDataset(
    manifest.load("photos_178", overrides={"source.size": SIZE, "source.num_validation": VALIDATION}), photos
)
listed = read_source(signals.manifest, photos)
# A folder without splits has photographs that are validated on and none beside them.
UNSEEN = "test" if listed.split_names.index("test") in listed.split else "validation"
page = Comparison(DOCUMENT, f"Photographs of {SIZE}×{SIZE} pixels", ["PSNR", MINUTES], decimals=2)
found = {}
for method, hypernet in METHODS.items():
    task = Hypernetwork(
        inr=perceptron(HIDDEN, FREQUENCIES), hypernet=hypernet, **STEP, num_coords=256, batch=16, steps=STEPS,
        augment=FLIP, warmup=STEPS // 20, validate_every=max(STEPS // 20, 1), test_signals=TESTED, test_tto_steps=0,
    )  # fmt: skip
    found[method], ours = trained(task, signals, OUT / f"photographs-{SIZE}" / method, UNSEEN)
    page.add(method, ours, (PAPER[method], None))
if len(found) > 1:
    check(page, "GINR-IPC is above TransINR", found["GINR-IPC"]["PSNR"], found["TransINR"]["PSNR"])
draw_lines(
    DOCUMENT.with_name(f"hypernetworks_curves_{SIZE}.png"),
    {method: validation_curve(OUT / f"photographs-{SIZE}" / f"{method}-0", "validation_psnr") for method in METHODS},
    "thousand training steps",
    "PSNR of validation images in dB",
)
page.write(
    f"Scale `{SCALE}`: {STEPS:,} steps of 16 pictures of {photos.stem}, ReLU MLP 2/{4 * FREQUENCIES}/{HIDDEN}×4/3, "
    f"{TESTED} {UNSEEN} photographs, {intervals('photographs')}; PSNR in dB, no verdicts on rows below {SHARP:g}. "
    "The papers' are of CelebA at 178×178.",
    "",
    f"![PSNR of validation images over the training](hypernetworks_curves_{SIZE}.png)",
)
