"""INRs of digits and characters from one start, and the flat MLPs that read them; two scripts share them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from few_shot import OURS
from script import SCALE

from inrzoo import open_store
from inrzoo.tasks import Measurement, Task, measure, over_runs
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.few_shot import FewShot

SEEDS = {"tiny": 2, "small": 3, "full": 3}[SCALE]
STEPS = {"tiny": 5, "small": 1500, "full": 15_000}[SCALE]
# From one start, short fits are no worse to read (docs/few_shot.md).
FITS: dict[str, Any] = {"fit.lr": 2e-3, "fit.steps": 100, "fit.stop_psnr": 35.0, "init.mode": "shared"}
FEW: dict[str, Any] = {"limit": 120, "source.num_validation": 2000}  # for stand-ins of thousands of digits
DIGITS: dict[str, Any] = {"tiny": FEW, "small": {"limit": 14_000}, "full": {}}[SCALE]
# Omniglot has no limit, which would leave classes with too few drawings for episodes.
FLAT_MLP: dict[str, Any] = {"name": "flat_mlp", "tensors": "all", "hidden_features": 256, "out_features": 128}
TRAINING: dict[str, Any] = {
    "encoder": FLAT_MLP, "lr": 2e-3, "batch_size": 16 if SCALE == "tiny" else 128, "steps": STEPS,
    "warmup": min(100, STEPS), "validate_every": max(1, STEPS // 5),
}  # fmt: skip
"""How weights of digits are read."""
CLASSIFY = Classify(augment=(), **TRAINING)
FEW_SHOT = FewShot(encoder={**FLAT_MLP, "hidden_features": 512, "hidden_layers": 1, "out_features": 256}, **OURS)


def read_by(task: Task, store: Path, folder: Path, measured: str, column: str) -> dict[str, Measurement]:
    """Return what a reader reaches on the test split of a store, over training seeds.

    Args:
        task: the reader.
        store: the INRs.
        folder: of all runs.
        measured: beginning of the name of the measurement.
        column: name that it gets.
    """
    runs = [measure(replace(task, seed=seed), store, folder / f"{store.stem}-{seed}") for seed in range(SEEDS)]
    found = over_runs(runs)
    key = next(key for key in found if key.startswith(measured))
    return {column: replace(found[key], name=column)}


def decibels(store: Path) -> str:
    """Return the mean PSNR of all INRs, as printed."""
    return f"{np.nanmean(open_store(store).psnr[:, 0, -1]):.1f}"
