"""Sweeps of MWT (Gielisse & van Gemert 2025, Fig. 4): w_task, inner steps k, share s of the pixels of an inner step.

Command:  python pipelines/end_to_end_sweeps.py
Needs:    MNIST, fetched unless INRZOO_MNIST names its files. INRZOO_SEEDS=3 trains every row with three seeds, one by
          default. INRZOO_SCALE: tiny|small|full.
Hardware: small: one CPU core. "full" is the paper's size, ten epochs, and meant for a GPU.
Duration: small: 2 to 4 CPU minutes a training, of which there are 9; what is there stays: the same command continues.
Expected: docs/end_to_end.md.
"""

import os
from dataclasses import dataclass, field
from typing import Any

from script import SCALE, begin, folders, source

from inrzoo import manifest
from inrzoo.tasks import Comparison, Measurement, UnfittedDataset, measure, over_runs
from inrzoo.tasks.end_to_end import EndToEnd

begin(__doc__)

SEEDS = int(os.environ.get("INRZOO_SEEDS", 1))
OUT, DOCUMENT = folders("out/end_to_end_sweeps", "docs/end_to_end.md")
HIDDEN, LAYERS = {"tiny": (8, 1), "small": (48, 1), "full": (128, 4)}[SCALE]
STEPS = {"tiny": 10, "small": 3000, "full": 40_000}[SCALE]  # a third of what end_to_end_table.py once took for MNIST
SIZES = {"tiny": (8, 1, 8, 1), "small": (64, 2, 32, 2), "full": (128, 10, 64, 1)}[SCALE]
CLASSIFIER = dict(zip(("features", "num_layers", "head_features", "mlp_ratio"), SIZES, strict=True))
BASE: dict[str, Any] = {
    "task_weight": 0.01,
    "inner_steps": 6 if SCALE == "full" else 3,
    "inner_fraction": 1.0 if SCALE == "full" else 0.5,
}
RATES = (1e-4, 100.0, 1.0) if SCALE == "full" else (1e-3, 20.0, 2.0)  # start; learned rates and classifier relative
INR = {"name": "siren", "convention": "mwt", "omega_0": 10.0, "hidden_features": HIDDEN, "hidden_layers": LAYERS}
SYMBOLS = {"task_weight": "w_task", "inner_steps": "k", "inner_fraction": "s"}
VALUES = {"task_weight": (0.0, 0.1, 1.0), "inner_steps": (1, 2, 4), "inner_fraction": (0.1, 1.0)}


@dataclass(frozen=True)
class Row:
    """What differs from `BASE`."""

    name: str
    changes: dict[str, Any] = field(default_factory=dict)


NAMED = ", ".join(f"{symbol} = {BASE[key]:g}" for key, symbol in SYMBOLS.items())
ROWS = [Row(NAMED)] + [
    Row(f"{SYMBOLS[key]} = {value:g}", {key: value})
    for key, values in VALUES.items()
    for value in values
    if value != BASE[key]
]


def trained(row: Row, seed: int) -> dict[str, Measurement]:
    """A row, measured on the test split with all pixels in every inner step."""
    task = EndToEnd(
        inr=INR, hypernet={"name": "end_to_end", **CLASSIFIER, **BASE, **row.changes}, test_inner_fraction=1.0,
        lr=RATES[0], rates_factor=RATES[1], classifier_factor=RATES[2], seed=seed, steps=STEPS, warmup=STEPS // 20,
        schedule="cosine", weight_decay=1e-4, validate_every=STEPS // 5,
    )  # fmt: skip
    signals = manifest.load("mnist", overrides={"limit": 100} if SCALE == "tiny" else {})
    changed = "-".join(f"{SYMBOLS[key]}{value:g}" for key, value in row.changes.items()) or "base"
    return measure(task, UnfittedDataset(signals, source("mnist")), OUT / "runs" / f"{changed}-{seed}")


runs: dict[str, list[dict[str, Measurement]]] = {row.name: [] for row in ROWS}
for seed in range(SEEDS):
    for row in ROWS:
        runs[row.name].append(trained(row, seed))
found = {name: over_runs(some) if SEEDS > 1 else some[0] for name, some in runs.items()}

page = Comparison(DOCUMENT, "MNIST: w_task, k and s", ["accuracy", "PSNR", "CPU minutes"])
for row in ROWS:
    page.add(row.name, found[row.name])
for row in ROWS[1:]:
    for measure_name in ("accuracy", "PSNR"):
        better, worse = found[NAMED][measure_name], found[row.name][measure_name]
        page.check(f"{NAMED} is above {row.name}", better, worse)
over = f"{SEEDS} seeds with the 95 % interval of their mean" if SEEDS > 1 else "One seed, intervals over test signals"
page.write(
    f"Scale `{SCALE}`, as the first section but for {STEPS:,} training steps ({16 * STEPS / 55_000:.1f} epochs), which "
    f"is far from the end of the training: compare the rows with each other alone. k is the number of inner steps, s "
    f"the share of the pixels that an inner step sees in training; where it is measured it sees all. A row has the "
    f"first row's values but for the one that it names. The paper finds the best w_task near 0.01 (Fig. 4). {over}. "
    f"Accuracy in %, PSNR in dB on the test split.",
)
