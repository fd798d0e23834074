"""GINR-IPC and TransINR on photographs of 64×64 or 178×178 pixels, as in TransINR's Table 1 and GINR-IPC's Table 2.

Command:  python pipelines/hypernetworks_photographs.py
Needs:    INRZOO_PHOTOS_178 names a folder or zip of photographs, [SPLIT/]CLASS/IMAGE. INRZOO_SCALE: tiny|small|full.
          INRZOO_METHODS=GINR-IPC trains that alone, INRZOO_SEEDS=1 each once. INRZOO_SIZE=178 takes pictures of the
          papers' size at "small", too.
Hardware: small: one CPU core. "full" is the papers' networks at 178×178 pixels, for a GPU.
Duration: small: an hour of CPU a training; what is there stays, the same command continues.
Expected: docs/hypernetworks.md, and the curves and pictures beside it.
"""

import os
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

SIZE = int(os.environ.get("INRZOO_SIZE", {"tiny": 16, "small": 64, "full": 178}[SCALE]))
"""Pixels along an edge of the pictures."""
SETTINGS: dict[tuple[str, int], tuple[int, tuple[int, int, int], tuple[int, int, int, int, int]]] = {
    ("tiny", 16): (4, (8, 4, 8), (8, 1, 2, 8, 8)),
    ("tiny", 20): (4, (8, 4, 8), (8, 1, 2, 8, 10)),
    ("small", 64): (45_000, (128, 16, 64), (256, 1, 4, 512, 16)),
    # Tokens hold as much of a picture as time allows, a seventh, in patches of a sixth of an edge.
    ("small", 178): (10_000, (128, 16, 128), (384, 1, 4, 768, 30)),
    ("full", 178): (300_000, (256, 64, 256), (768, 6, 12, 3072, 9)),
}
"""(scale, size) -> steps; neurons, frequencies and rank of the INR; sizes of the transformer and edge of a patch."""
if (SCALE, SIZE) not in SETTINGS:
    sizes = " or ".join(str(size) for scale, size in SETTINGS if scale == SCALE)
    raise SystemExit(f"INRZOO_SIZE={SIZE} is not allowed with INRZOO_SCALE={SCALE}; it may be {sizes}")
STEPS, (HIDDEN, FREQUENCIES, RANK), EDGES = SETTINGS[SCALE, SIZE]
TOKENS: dict[str, Any] = {
    **dict(zip(("features", "num_layers", "num_heads", "mlp_features", "patch"), EDGES, strict=True)),
    "dropout": 0.0,
}
TESTED = {"tiny": 2, "small": 256, "full": 1000}[SCALE]
VALIDATION = {"tiny": 10, "small": 510, "full": 1020}[SCALE]
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
