"""Signals to weights on CIFAR-10: TransINR's Table 1, GINR-IPC's Table 2, and its optimisation-based variant.

Command:  python pipelines/hypernetworks_table.py
Needs:    CIFAR-10, fetched unless INRZOO_CIFAR10 names its files. INRZOO_SCALE: tiny|small|full.
Hardware: small: one CPU core. "full" is the papers' networks on these images, for a GPU.
Duration: small: 30 CPU minutes; what is there stays, the same command continues.
Expected: docs/hypernetworks.md.
"""

from dataclasses import replace

from cifar10 import DOCUMENT, OUT, TOKENS, perceptron, photographs
from script import SCALE, begin

from inrzoo.tasks import Comparison, measure, over_runs, train
from inrzoo.tasks.hypernetwork import Hypernetwork

begin(__doc__)

SEEDS = {"tiny": 2, "small": 3, "full": 3}[SCALE]
STEPS, TUNING = {"tiny": (4, 2), "small": (3000, 500), "full": (100_000, 5000)}[SCALE]
TESTED = {"tiny": 2, "small": 64, "full": 1000}[SCALE]
HIDDEN, FREQUENCIES = {"tiny": (8, 4), "small": (32, 16), "full": (256, 64)}[SCALE]
INR = perceptron(HIDDEN, FREQUENCIES)
STEPPED = {"inner_fraction": 1.0 if SCALE == "full" else 0.25}  # of the pixels that an inner step sees
# What is chosen on the validation split: step sizes, the outer and the inner one.
METHODS = {
    "Learned Init": [
        (lr, {"name": "learned_init", "adapt": "matrices", "inner_lr": inner, **STEPPED})
        for lr, inner in [(1e-3, 0.3), (1e-3, 1.0), (3e-3, 1.0)]
    ],
    "TransINR": [(lr, {"name": "trans_inr", "groups": HIDDEN // 2, **TOKENS}) for lr in (1e-3, 3e-3, 6e-3)],
    "GINR-IPC": [(lr, {"name": "instance_patterns", "rank": HIDDEN, **TOKENS}) for lr in (1e-3, 3e-3, 6e-3)],
    "GINR-IPC by gradient steps": [
        (lr, {"name": "cavia", "rank": HIDDEN, "inner_lr": inner, **STEPPED})
        for lr, inner in [(3e-3, 0.01), (3e-3, 0.03)]
    ],
}
# CelebA at 178×178, GINR-IPC's Table 2; its variant by gradient steps is on FFHQ at 256×256.
PAPER = {"Learned Init": 30.37, "TransINR": 33.33, "GINR-IPC": 35.93, "GINR-IPC by gradient steps": 33.74}

signals = photographs()
base = Hypernetwork(
    inr=INR, num_coords=256, batch=16, warmup=STEPS // 20, validate_every=max(STEPS // 6, 1), steps=STEPS,
    validation_signals=256, test_signals=TESTED, test_tto_lr=1e-3,
)  # fmt: skip
plain, optimised = "PSNR", f"PSNR, {base.test_tto_steps} steps on all"
page = Comparison(DOCUMENT, "CIFAR-10 from a few weights", [plain, optimised, "CPU minutes"], decimals=2)
found, chosen = {}, []
for method, candidates in METHODS.items():
    scores = []
    for number, (lr, hypernet) in enumerate(candidates):
        task = replace(base, lr=lr, hypernet=hypernet, steps=TUNING, warmup=TUNING // 20, validate_every=TUNING)
        scores.append(train(task, signals, OUT / "tuning" / f"{hypernet['name']}-{number}").score)
    lr, hypernet = candidates[scores.index(max(scores))]
    chosen.append(f"{method} {lr:g}" + (f" ({hypernet['inner_lr']:g})" if "inner_lr" in hypernet else ""))
    tasks = [replace(base, lr=lr, hypernet=hypernet, seed=seed) for seed in range(SEEDS)]
    runs = [measure(task, signals, OUT / "runs" / f"{hypernet['name']}-{task.seed}") for task in tasks]
    found[method] = over_runs(runs)
    page.add(method, found[method], (PAPER[method], None, None))
for better, worse in [("GINR-IPC", "TransINR"), ("TransINR", "Learned Init"), ("GINR-IPC", "Learned Init")]:
    page.check(f"{better} is above {worse}", found[better][plain], found[worse][plain])
for method in METHODS:
    page.check(f"{method}: test-time optimisation helps", found[method][optimised], found[method][plain])
page.write(
    f"Scale `{SCALE}`: {STEPS:,} steps of 16 images, one INR for all (ReLU MLP 2/{2 * FREQUENCIES * 2}/{HIDDEN}×4/3), "
    f"{TESTED} test images, {SEEDS} seeds with the 95 % interval of their mean (Student's t). "
    f"Step sizes (inner ones in brackets) by the validation split after {TUNING} steps: {', '.join(chosen)}. "
    "PSNR in dB. The paper's are of other images, 178×178 and 256×256, for orientation."
)
