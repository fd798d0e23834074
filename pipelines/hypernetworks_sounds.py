"""Hypernetworks on sounds of one second: GINR-IPC's Table 1 on other recordings.

Command:  python pipelines/hypernetworks_sounds.py
Needs:    INRZOO_SPEECH names a folder or zip of sounds, SPLIT/CLASS/CLIP.wav, with the splits train and test.
          INRZOO_SCALE: tiny|small|full. INRZOO_METHODS=TransINR;GINR-IPC trains those alone, INRZOO_SEEDS=1 each once.
Hardware: small: one CPU core. "full" is a larger INR for many more steps, for a GPU.
Duration: small: 10 to 15 CPU minutes a training; what is there stays, the same command continues.
Expected: docs/hypernetworks.md, and the curves beside it.
"""

import itertools
from typing import Any

from cifar10 import DOCUMENT, MINUTES, OUT, intervals, named, trained
from curves import validation_curve
from script import SCALE, begin, chosen, source
from signal_scores import compare

from inrzoo import manifest
from inrzoo.tasks import Comparison, UnfittedDataset, draw_lines
from inrzoo.tasks.hypernetwork import Hypernetwork

begin(__doc__)

SAMPLES = {"tiny": 64, "small": 8192, "full": 8192}[SCALE]
HIDDEN = {"tiny": 8, "small": 64, "full": 128}[SCALE]
STEPS = {"tiny": 4, "small": 3000, "full": 50_000}[SCALE]
VALIDATION, TESTED = {"tiny": (10, 2), "small": (128, 256), "full": (128, None)}[SCALE]
# Of two filters: the output is linear in the instance part of GINR-IPC. The first has the harmonics of a patch, the
# second those of the sound, so that a row of the instance part can be the Fourier series of one patch.
PATCH = {"tiny": 8, "small": 128, "full": 128}[SCALE]
INR: dict[str, Any] = {
    "name": "fourier_net", "hidden_features": HIDDEN, "num_filters": 2, "filter_init": "harmonics",
    # By default they are as many as a filter has units.
    **({"divisions": SAMPLES // PATCH} if HIDDEN != SAMPLES // PATCH else {}),
}  # fmt: skip
TOKENS: dict[str, Any] = {
    "features": 2 * HIDDEN, "num_layers": 1, "num_heads": 4, "mlp_features": 4 * HIDDEN, "patch": PATCH,
    "dropout": 0.0, "row_norm": "none",
}  # fmt: skip
STEP: dict[str, Any] = {"optimiser": "muon", "lr": 1.5e-3}
# Rows of TransINR's matrix are not mixed by another, as those of GINR-IPC are, and one linear map makes them all: a row
# can be a patch if the second filter has a window for each, and if shared rows and output weights are alike.
WINDOWS = {**INR, "name": "gabor_net", "filter_init": "windows"}
SIREN = {"name": "siren", "hidden_features": HIDDEN, "hidden_layers": 1, "omega_0": 1500.0}
ROWS: dict[str, dict[str, Any]] = {
    "GINR-IPC": {"hypernet": {"name": "instance_patterns", "rank": HIDDEN, **TOKENS}, **STEP},
    "TransINR": {"hypernet": {"name": "trans_inr", "groups": HIDDEN, **TOKENS}, **STEP},
    "TransINR, one matrix": {
        "hypernet": {"name": "trans_inr", "groups": HIDDEN, "matrices": ["weight_0"], **TOKENS},
        "optimiser": "muon", "lr": 3e-3, "inr": WINDOWS,
    },
    # One start and one step size for frequencies and weights of a FourierNet do not leave silence.
    "Learned Init, learned rates": {
        "hypernet": {"name": "learned_init", "inner_steps": 3, "learned_rates": [1e-3, 1e-2]}, "lr": 1e-4, "inr": SIREN
    },
    "GINR-IPC by gradient steps": {
        "hypernet": {
            "name": "cavia", "rank": HIDDEN, "row_norm": "none", "inner_steps": 3, "learned_rates": [0.1, 1.0],
        },
        "lr": 3e-3,
    },
}  # fmt: skip
METHODS = chosen(ROWS)
HEARD = 0.5
"""SNR in dB below which a row has not left silence and gets no verdict."""
PAPER = {"GINR-IPC": 40.11, "TransINR": 39.22}

sounds = source("speech")
if sounds is None:
    raise SystemExit("INRZOO_SPEECH has to name a folder or zip of sounds, SPLIT/CLASS/CLIP.wav")
signals = UnfittedDataset(
    manifest.load(
        "speech",
        overrides={
            "source.num_samples": SAMPLES,
            "source.num_validation": VALIDATION,
            "coords.extent": 1.0,
            "coords.spacing": "pixel_centres",
        },
    ),
    sounds,
)
runs = OUT / "sounds"
page = Comparison(DOCUMENT, "Sounds of one second", ["PSNR", "snr", MINUTES], decimals=2)
found = {}
for method, settings in METHODS.items():
    task = Hypernetwork(
        **{"inr": INR, **settings}, batch=4, steps=STEPS, warmup=STEPS // 20, validate_every=max(STEPS // 15, 1),
        validation_signals=VALIDATION, test_signals=TESTED, test_tto_steps=0,
    )  # fmt: skip
    found[method], ours = trained(task, signals, runs / named(method))
    page.add(method, ours, (PAPER[method], None, None) if method in PAPER else ())
for better, worse in itertools.combinations(METHODS, 2):
    above, below = (found[method]["PSNR"] for method in (better, worse))
    if min(float(found[method]["snr"].mean()) for method in (better, worse)) >= HEARD:
        compare(page, f"{better} is above {worse}", "PSNR", above, below)
draw_lines(
    DOCUMENT.with_name("hypernetworks_curves_sounds.png"),
    {method: validation_curve(runs / f"{named(method)}-0", "validation_psnr") for method in METHODS},
    "thousand training steps",
    "PSNR of validation sounds in dB",
)
page.write(
    f"Scale `{SCALE}`: {STEPS:,} steps of 4 sounds of {SAMPLES:,} samples ({sounds.stem}, 8 kHz), FourierNet "
    f"1/{HIDDEN}×2/1 whose filters begin at the harmonics of a patch of {PATCH} samples and of the sound, for TransINR "
    "of one matrix a GaborNet of that size with windows of a patch in place of the latter, for Learned Init a SIREN "
    f"1/{HIDDEN}×2/1; "
    f"unheard test sounds, {intervals('sounds')}. PSNR of a peak of 2 and SNR, "
    f"in dB; silence has an SNR of 0. No verdicts on rows below an SNR of {HEARD:g}. The paper's are of LibriSpeech "
    "with ReLU MLPs.",
    "",
    "![PSNR of validation sounds over the training](hypernetworks_curves_sounds.png)",
)
