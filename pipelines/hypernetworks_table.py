"""Signals to weights on CIFAR-10: TransINR's Table 1, GINR-IPC's Table 2, and its optimisation-based variant.

Command:  python pipelines/hypernetworks_table.py
Needs:    CIFAR-10, fetched unless INRZOO_CIFAR10 names its files. INRZOO_SCALE: tiny|small|full.
Hardware: small: one CPU core. "full" is the papers' networks on these images, for a GPU.
Duration: small: 30 CPU minutes; what is there stays, the same command continues.
Expected: docs/hypernetworks.md.
"""

from dataclasses import replace
from typing import Any

import torch
from cifar10 import (
    DOCUMENT,
    MINUTES,
    OUT,
    SHARP,
    STEPS,
    TESTED,
    TOKENS,
    TRAINING,
    check,
    intervals,
    named,
    perceptron,
    photographs,
    trained,
)
from curves import validation_curve
from script import SCALE, begin
from signal_scores import compare

from inrzoo.tasks import Comparison, draw_lines, train
from inrzoo.tasks.hypernetwork import Hypernetwork

begin(__doc__)

TUNING = {"tiny": 2, "small": 500, "full": 5000}[SCALE]
HIDDEN, FREQUENCIES = {"tiny": (8, 4), "small": (64, 16), "full": (256, 64)}[SCALE]
INR = perceptron(HIDDEN, FREQUENCIES)
# As many tokens for all matrices of TransINR together as for the one of GINR-IPC, as in the papers.
GROUPED, LOW_RANK = {"name": "trans_inr", "groups": max(HIDDEN // 4, 1)}, {"rank": HIDDEN}
# Of the pixels that an inner step sees.
STEPPED, HALF = ({"inner_fraction": 1.0 if SCALE == "full" else share} for share in (0.25, 0.5))
STARTS = ("Learned Init", "Learned Init, learned rates")
"""Of two steps, as in the papers, and of three with a learned step size for every number (Meta-SGD)."""
ORDER = [("GINR-IPC", "TransINR"), *((above, start) for start in STARTS for above in ("TransINR", "GINR-IPC"))]
TITLE = "CIFAR-10 from a few weights"
MUON = {"optimiser": "muon"}
# What is chosen on the validation split: step sizes, the outer and the inner one.
METHODS: dict[str, list[dict[str, Any]]] = {
    "GINR-IPC": [
        {"lr": lr, **MUON, "hypernet": {"name": "instance_patterns", **LOW_RANK, **TOKENS}} for lr in (3e-3, 6e-3)
    ],
    "TransINR": [{"lr": lr, **MUON, "hypernet": {**GROUPED, **TOKENS}} for lr in (3e-3, 6e-3)],
    STARTS[0]: [
        {"lr": lr, "hypernet": {"name": "learned_init", "adapt": "matrices", "inner_lr": inner, **STEPPED}}
        for lr, inner in [(3e-3, 1.0), (6e-3, 1.0)]
    ],
    STARTS[1]: [
        {"lr": lr, "hypernet": {"name": "learned_init", "inner_steps": 3, "learned_rates": [0.5, 1.5], **HALF}}
        for lr in (3e-3, 6e-3)
    ],
    "GINR-IPC by gradient steps": [
        {"lr": 6e-3, **MUON, "hypernet": {"name": "cavia", **LOW_RANK, "inner_lr": inner, **STEPPED}}
        for inner in (0.01, 0.03)
    ],
}
# CelebA at 178×178, GINR-IPC's Table 2; its variant by gradient steps is on FFHQ at 256×256.
PAPER = {"Learned Init": 30.37, "TransINR": 33.33, "GINR-IPC": 35.93, "GINR-IPC by gradient steps": 33.74}

signals = photographs()
base = Hypernetwork(inr=INR, **TRAINING, test_tto_lr=1e-3)


def best_settings(method: str) -> dict[str, Any]:
    """The candidate that is best for validation images after a few steps."""
    tried = []
    for number, candidate in enumerate(METHODS[method]):
        task = replace(base, **candidate, steps=TUNING, warmup=TUNING // 20, validate_every=TUNING)
        tried.append(train(task, signals, OUT / "tuning" / f"{named(method)}-{number}").score)
    return METHODS[method][tried.index(max(tried))]


plain, optimised = "PSNR", f"PSNR, {base.test_tto_steps} steps on all"
page = Comparison(DOCUMENT, TITLE, [plain, optimised, MINUTES], decimals=2)
found: dict[str, dict[str, torch.Tensor]] = {}
step_sizes = []
for method in METHODS:
    best = best_settings(method)
    inner = best["hypernet"].get("inner_lr")
    step_sizes.append(f"{method} {best['lr']:g}" + (f" ({inner:g})" if inner else ""))
    found[method], ours = trained(replace(base, **best), signals, OUT / "runs" / named(method))
    page.add(method, ours, (PAPER[method], None, None) if method in PAPER else ())
for better, worse in ORDER:
    check(page, f"{better} is above {worse}", found[better][plain], found[worse][plain])
for method in METHODS:
    before, after = found[method][plain], found[method][optimised]
    compare(page, f"{method}: test-time optimisation helps", optimised, after, before)
draw_lines(
    DOCUMENT.with_name("hypernetworks_curves.png"),
    {method: validation_curve(OUT / "runs" / f"{named(method)}-0", "validation_psnr") for method in METHODS},
    "thousand training steps",
    "PSNR of validation images in dB",
)
page.write(
    f"Scale `{SCALE}`: {STEPS:,} steps of 16 images, one INR for all (ReLU MLP 2/{2 * FREQUENCIES * 2}/{HIDDEN}×4/3), "
    f"{TESTED} test images, {intervals('images')}. Transformers and the shared "
    "matrices of GINR-IPC by Muon, Learned Init, whose start is one vector, by AdamW. "
    f"Step sizes (inner ones in brackets) by the validation split after {TUNING} steps: {', '.join(step_sizes)}. "
    f"PSNR in dB, no verdicts on rows below {SHARP:g}. The paper's are of other images, 178×178 and 256×256, for "
    "orientation.",
    "",
    "![PSNR of validation images over the training](hypernetworks_curves.png)",
)
