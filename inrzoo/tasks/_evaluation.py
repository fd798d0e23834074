"""Measuring what was trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from scipy.stats import t as student  # type: ignore[import-untyped]

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.tasks import Device, Measurement, Task
from inrzoo.tasks._checkpoint import BEST, Checkpoint, differences, plain, read
from inrzoo.tasks._cost import read_cost
from inrzoo.tasks._loop import chosen_device, train


def evaluate(
    checkpoint: Path, path: str | Path, *, split: str = "test", device: Device = "auto", **changes: Any
) -> Sequence[Measurement]:
    """Measure a checkpoint on a split of a store.

    Args:
        checkpoint: a file, or the folder of a run for its best one.
        path: of the store, a folder or a URL; another one than was trained on must have the same conventions.
        changes: fields of the task to measure with, e.g. `test_ways=(20,)`; those of the network stay.

    Raises:
        InrzooError: no checkpoint, a store of other conventions (all differences are named), or a field that cannot be.
    """
    found = read(checkpoint)
    task = restored(found, changes)
    refuse_others(found, task, path)
    with torch.no_grad():
        return task.evaluate(path, split, found.module, chosen_device(device))


def restored(checkpoint: Checkpoint, changes: dict[str, Any]) -> Task:
    """The task of a checkpoint with other fields."""
    task: Task = registry.make("tasks", checkpoint.task)
    for key in changes:
        if not key.startswith("test_"):
            raise InrzooError(f"{key} was fixed in training; what can be changed to measure begins with test_")
    fields = {**task.to_json(), **changes}
    changed: Task = registry.make("tasks", fields)
    return changed


def refuse_others(checkpoint: Checkpoint, task: Task, path: str | Path) -> None:
    """Raise InrzooError if the weights of a store mean something else than those of the one trained on."""
    differing = differences(checkpoint.conventions, plain(task.conventions(path)))
    if differing:
        raise InrzooError(
            f"the network was trained on INRs of other conventions than those of {path}: {'; '.join(differing)}"
        )


def measure(
    task: Task, path: str | Path, out: Path, *, split: str = "test", device: Device = "auto", quiet: bool = False
) -> dict[str, Measurement]:
    """Train, or take the run that stands at `out`, and measure its best checkpoint.

    Returns:
        By name of the measurement; `CPU minutes` is the processor time that training took in all, of every call that
        went on with the run.
    """
    train(task, path, out, device=device, quiet=quiet)
    found = {one.name: one for one in evaluate(out / BEST, path, split=split, device=device)}
    return {**found, "CPU minutes": Measurement("CPU minutes", read_cost(out).cpu_seconds / 60, 0.0, 1)}


def over_runs(runs: Sequence[Mapping[str, Measurement]]) -> dict[str, Measurement]:
    """Of each measurement the mean over runs that differ in their seed, and the 95 % interval of that mean.

    The interval is Student's, t s/√n with n − 1 degrees of freedom and s² the sample variance: a few runs say little
    about their own spread. Infinite for one run.
    """
    found = {}
    for name in runs[0]:
        means = torch.tensor([run[name].mean for run in runs], dtype=torch.float64)
        count = len(means)
        spread = float(means.std(correction=1)) if count > 1 else math.inf
        half = float(student.ppf(0.975, count - 1)) * spread / math.sqrt(count) if count > 1 else math.inf
        found[name] = Measurement(name, float(means.mean()), half, count)
    return found
