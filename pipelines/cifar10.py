"""The photographs, INRs, transformers and trainings that the scripts of the hypernetworks share."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from script import SCALE, folders, source
from signal_scores import compare, scores
from torch import Tensor

from inrzoo import manifest
from inrzoo.tasks import Comparison, Measurement, UnfittedDataset, over_runs, train
from inrzoo.tasks.hypernetwork import Hypernetwork
from inrzoo.tasks.measurements import over_seeds_and_signals
from inrzoo.tasks.reporting.cost import read_cost

OUT, DOCUMENT = folders("out/hypernetworks", "docs/hypernetworks.md")
SIGNALS = {"tiny": 80, "small": None, "full": None}[SCALE]
SEEDS = int(os.environ.get("INRZOO_SEEDS", 2 if SCALE == "tiny" else 3))
MINUTES = "CPU minutes"
STEP: dict[str, Any] = {"lr": 1e-4} if SCALE == "full" else {"optimiser": "muon", "lr": 6e-3}
"""Optimiser and step size of hypernetworks with matrices. AdamW, the papers', needs several times as many steps."""
TOKENS: dict[str, Any] = {
    "tiny": {"features": 8, "num_layers": 1, "num_heads": 2, "mlp_features": 8, "patch": 4},
    # Of larger patches there are fewer, and a weight token need not look at many to see a picture.
    "small": {"features": 128, "num_layers": 1, "num_heads": 4, "mlp_features": 256, "patch": 8},
    "full": {"features": 768, "num_layers": 6, "num_heads": 12, "mlp_features": 3072, "patch": 4},
}[SCALE] | {"dropout": 0.0}
STEPS = {"tiny": 4, "small": 6000, "full": 100_000}[SCALE]
TESTED = {"tiny": 2, "small": 256, "full": 1000}[SCALE]
TRAINING: dict[str, Any] = {
    "num_coords": 256, "batch": 16, "steps": STEPS, "warmup": STEPS // 20, "validate_every": max(STEPS // 12, 1),
    "validation_signals": 256, "test_signals": TESTED,
}  # fmt: skip
"""How every network of the tables of CIFAR-10 is trained and measured."""
SHARP = 0.0 if SCALE == "tiny" else 25.0
"""PSNR in dB below which a row is too blurred for a verdict."""


def perceptron(hidden: int, frequencies: int) -> dict[str, Any]:
    """A ReLU MLP with an encoding, as in GINR-IPC."""
    encoding = {"encoding": "log_spaced", "num_frequencies": frequencies, "sigma": 16.0}
    return {"name": "relu_mlp", "hidden_features": hidden, "hidden_layers": 3, **encoding}


def named(method: str) -> str:
    """The name of the folders of a method, without the number at their end."""
    return method.replace(",", "").replace(" ", "-")


def trained(
    task: Hypernetwork, signals: UnfittedDataset, run: Path, split: str = "test"
) -> tuple[dict[str, Tensor], dict[str, Measurement]]:
    """Train with each seed and measure.

    Args:
        task: its seed is not used.
        signals: its data.
        run: folder of the runs, without the number of the seed at its end.
        split: what is measured.

    Returns:
        Numbers of each image of the split by each training, (seeds, images), by name; and the means over seeds and
        images, with the minutes that a training took.
    """
    each, costs = [], []
    for seed in range(SEEDS):
        own, folder = replace(task, seed=seed), run.with_name(f"{run.name}-{seed}")
        train(own, signals, folder)
        each.append(scores(own, signals, folder, split))
        costs.append({MINUTES: Measurement(MINUTES, read_cost(folder).cpu_seconds / 60, 0.0, 1)})
    found = {name: torch.stack([one[name] for one in each]) for name in each[0]}
    means = {name: over_seeds_and_signals(name, each_SN) for name, each_SN in found.items()}
    return found, means | (over_runs(costs) if SEEDS > 1 else costs[0])


def intervals(signals: str) -> str:
    """Return what the intervals of a table are of, in words; `signals` is what they are called."""
    seeds = f"{SEEDS} seeds, 95 % intervals over seeds and" if SEEDS > 1 else "one seed, 95 % intervals over"
    return f"{seeds} {signals}"


def check(page: Comparison, claim: str, better: Tensor, worse: Tensor) -> None:
    """Add a finding on the same images, unless one of the two is too blurred.

    Args:
        page: gets the finding.
        claim: in words.
        better, worse: PSNR of each image by each training, (seeds, images).
    """
    if min(over_seeds_and_signals("PSNR", each).mean for each in (better, worse)) >= SHARP:
        compare(page, claim, "PSNR", better, worse)


def photographs() -> UnfittedDataset:
    """CIFAR-10 at the scale of the run."""
    return UnfittedDataset(manifest.load("cifar10", overrides={"limit": SIGNALS} if SIGNALS else {}), source("cifar10"))
