"""Sweeps of MWT (Gielisse & van Gemert 2025, Fig. 4): w_task, inner steps k, share s of the pixels of an inner step.

Command:  python pipelines/end_to_end_sweeps.py
Needs:    MNIST, fetched unless INRZOO_MNIST names its files. INRZOO_SEEDS=3 trains every row with three seeds, one by
          default. INRZOO_SCALE: tiny|small|full.
Hardware: small: one CPU core. "full" is the paper's size, ten epochs, and meant for a GPU.
Duration: small: 2 CPU minutes a training, of which there are 9; what is there stays: the same command continues.
Expected: docs/end_to_end.md.
"""

import os
from typing import Any

from mwt import CLASSIFIER, INNER, INR, OPTIMISER, RATES, intervals, seed_by_seed
from script import SCALE, begin, folders, source

from inrzoo import manifest
from inrzoo.tasks import Comparison, Measurement, UnfittedDataset, measure
from inrzoo.tasks.end_to_end import EndToEnd

begin(__doc__)

SEEDS = int(os.environ.get("INRZOO_SEEDS", 1))
OUT, DOCUMENT = folders("out/end_to_end_sweeps", "docs/end_to_end.md")
STEPS = {"tiny": 10, "small": 4000, "full": 40_000}[SCALE]
BASE: dict[str, Any] = {"task_weight": 0.01, **INNER}
SYMBOLS = {"task_weight": "w_task", "inner_steps": "k", "inner_fraction": "s"}
VALUES = {"task_weight": (0.0, 0.1, 1.0), "inner_steps": (1, 2, 4), "inner_fraction": (0.1, 1.0)}
NAMED = ", ".join(f"{symbol} = {BASE[key]:g}" for key, symbol in SYMBOLS.items())
ROWS: dict[str, dict[str, Any]] = {NAMED: {}} | {
    f"{SYMBOLS[key]} = {value:g}": {key: value}
    for key, values in VALUES.items()
    for value in values
    if value != BASE[key]
}
"""Name of a row -> what differs from `BASE`."""


def trained(row: str, seed: int) -> dict[str, Measurement]:
    """A row, measured on the test split with all pixels in every inner step."""
    changes = ROWS[row]
    task = EndToEnd(
        inr=INR, hypernet={"name": "end_to_end", **CLASSIFIER, **BASE, **changes}, test_inner_fraction=1.0, seed=seed,
        steps=STEPS, warmup=STEPS // 20, schedule="cosine", weight_decay=1e-4, validate_every=STEPS // 5,
        optimiser=OPTIMISER, **RATES,
    )  # fmt: skip
    signals = manifest.load("mnist", overrides={"limit": 100} if SCALE == "tiny" else {})
    changed = "-".join(f"{SYMBOLS[key]}{value:g}" for key, value in changes.items()) or "base"
    return measure(task, UnfittedDataset(signals, source("mnist")), OUT / "runs" / f"{changed}-{seed}")


found = seed_by_seed(ROWS, SEEDS, trained)

page = Comparison(DOCUMENT, "MNIST: w_task, k and s", ["accuracy", "PSNR", "CPU minutes"])
for row, measurements in found.items():
    page.add(row, measurements)
    # One training each decides nothing.
    for name in ("accuracy", "PSNR") if row != NAMED and SEEDS > 1 else ():
        page.check(f"{NAMED} is above {row}", found[NAMED][name], measurements[name])
page.write(
    f"Scale `{SCALE}`, as the section above but for {STEPS:,} training steps ({16 * STEPS / 55_000:.1f} epochs), a "
    f"fraction of its training: compare the rows with each other alone. k is the number of inner steps, s "
    f"the share of the pixels that an inner step sees in training; where it is measured it sees all. A row has the "
    f"first row's values but for the one that it names. The paper finds the best w_task near 0.01 (Fig. 4). The best "
    f"checkpoint by validation; {intervals(SEEDS)}. Accuracy in %, PSNR in dB on the test split.",
)
