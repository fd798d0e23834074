"""Measuring trained networks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from inrzoo import registry
from inrzoo.checkpoint import BEST, Checkpoint, read
from inrzoo.differences import differences
from inrzoo.errors import InrzooError
from inrzoo.manifest import without_defaults
from inrzoo.tasks.contract import Data, Device, Task, UnfittedDataset
from inrzoo.tasks.measurements import Measurement
from inrzoo.tasks.reporting.cost import read_cost
from inrzoo.tasks.training.loop import chosen_device, train
from inrzoo.tasks.training.state import plain, task_table

LOG = logging.getLogger("inrzoo.tasks")
FIT = "fit"
"""Key of the conventions of a task on weights: the settings of the fits."""


def evaluate(
    checkpoint: Path, path: Data, *, split: str = "test", device: Device = "auto", force: bool = False, **changes: Any
) -> Sequence[Measurement]:
    """Measure a checkpoint on a split of a store.

    Args:
        checkpoint: a file, or the folder of a run for its best checkpoint.
        path: the folder or URL of a store, or a dataset as in training; its conventions are those of the training data.
        split: name of the split.
        device: `cpu`, `cuda`, or `auto`.
        force: whether to go on, with a warning, if the INRs were fitted with other settings than those of the training.
        changes: fields of the task to measure with, e.g. `test_ways=(20,)`; those of the network stay.

    Raises:
        InrzooError: there is no checkpoint, conventions or settings of the fits differ (the message names all
            differences), or a field cannot be changed.
    """
    trained = read(checkpoint)
    task = restored(trained, changes)
    require_same_conventions(trained, task, path, force=force)
    data: Any = path
    with torch.no_grad():
        return task.evaluate(data, split, trained.module, chosen_device(device))


def restored(checkpoint: Checkpoint, changes: dict[str, Any]) -> Task:
    """The task of a checkpoint, with some fields changed.

    Raises:
        InrzooError: a field was fixed in training, or its value is not allowed.
    """
    task: Task = registry.make("tasks", task_table(checkpoint))
    for key in changes:
        if not key.startswith("test_"):
            raise InrzooError(f"{key} was fixed in training; what can be changed to measure begins with test_")
    fields = {**task.to_json(), **changes}
    changed: Task = registry.make("tasks", fields)
    return changed


def require_same_conventions(checkpoint: Checkpoint, task: Task, path: Data, *, force: bool = False) -> None:
    """Refuse a store whose weights are not like those that a network was trained on.

    Args:
        force: whether to go on, with a warning, if the INRs were fitted with other settings. Conventions always count.

    Raises:
        InrzooError: the weights mean something else, or, without `force`, were fitted otherwise.
    """
    task.require_readable(path)
    data: Any = path
    name = path.manifest.name if isinstance(path, UnfittedDataset) else str(path)
    require_alike(checkpoint.conventions, task.conventions(data), name, force=force)


def require_alike(theirs: Mapping[str, Any], ours: Mapping[str, Any], path: str, *, force: bool = False) -> None:
    """Refuse INRs of other conventions, or of other fits, than those that a network was trained on.

    Where both started at the same weights it does not matter how these came about: a store that was built with
    `--init STORE` is like that store.

    Args:
        theirs, ours: conventions of the training data and of the store `path`, as `Task.conventions` returns them.
        force: whether to go on, with a warning, if the INRs were fitted with other settings.

    Raises:
        InrzooError: they differ; the message names all differences.
    """
    # INRs of before a field existed lack it.
    theirs, ours = without_defaults(theirs), without_defaults(plain(ours))
    start = theirs.get("init.start")
    same_start = start is not None and start == ours.get("init.start")
    differing = differences(theirs, ours, ignored=(FIT, *(["init.mode"] if same_start else [])))
    if differing:
        raise InrzooError(
            f"the network was trained on INRs of other conventions than those of {path}: {'; '.join(differing)}"
        )
    if not (theirs.get(FIT) and ours.get(FIT)):
        return  # a checkpoint of an earlier version, or INRs that others fitted
    differing = differences(theirs[FIT], ours[FIT], prefix=f"{FIT}.")
    if differing:
        message = f"the network was trained on INRs of other fits than those of {path}: {'; '.join(differing)}"
        if not force:
            raise InrzooError(f"{message}; use --force (force=True) to measure it on them all the same")
        LOG.warning("warning  %s", message)


def measure(
    task: Task, path: Data, out: Path, *, split: str = "test", device: Device = "auto", quiet: bool = False
) -> dict[str, Measurement]:
    """Train, or take the finished run in `out`, and measure its best checkpoint.

    Returns:
        Measurements by name; `CPU minutes` is the processor time of all calls that trained.
    """
    train(task, path, out, device=device, quiet=quiet)
    measurements = {one.name: one for one in evaluate(out / BEST, path, split=split, device=device)}
    return {**measurements, "CPU minutes": Measurement("CPU minutes", read_cost(out).cpu_seconds / 60, 0.0, 1)}
