"""Training a task: a network that learns, a run folder that is continued, on one device or several."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from inrzoo.checkpoint import BEST, LAST, read
from inrzoo.errors import InrzooError
from inrzoo.extras import require
from inrzoo.loggers import Logger, RunSettings, Status
from inrzoo.store.lock import only_process
from inrzoo.tasks.contract import Data, Device, Task, UnfittedDataset
from inrzoo.tasks.reporting.cost import COST, add_cost
from inrzoo.tasks.training.batches import Share, sharing
from inrzoo.tasks.training.group import PeerLost
from inrzoo.tasks.training.guarded_loggers import GuardedLoggers
from inrzoo.tasks.training.journal import CURVE, METRICS
from inrzoo.tasks.training.processes import processes, require_devices
from inrzoo.tasks.training.run import Run

LOG = logging.getLogger("inrzoo.tasks")
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Trained:
    """The state of a run.

    Attributes:
        folder: holds `best.safetensors`, `last.safetensors`, `metrics.jsonl`, `curve.png` and `run.json`.
        step: number of steps done.
        best_step: the step after which the best checkpoint was written.
        score: of the best checkpoint on the validation split.
        stopped: whether patience ended the run before its last step.
        unchanged: whether the run was complete before this call, which then did nothing.
    """

    folder: Path
    step: int
    best_step: int
    score: float
    stopped: bool
    unchanged: bool = field(default=False, compare=False)


def train(
    task: Task,
    path: Data,
    out: Path,
    *,
    device: Device = "auto",
    overwrite: bool = False,
    quiet: bool = False,
    stop_after: int | None = None,
    named: str | None = None,
    loggers: Sequence[Logger] = (),
) -> Trained:
    """Train on a store, or continue a run that was stopped: on one CPU thread to the same bits.

    With `task.devices` the same holds for as many processes, which this call starts and ends.

    Args:
        path: the folder or URL of the store; for a task with `reads_signals` also a dataset.
        out: folder of the run, made here.
        device: `cpu`, `cuda`, or `auto`.
        overwrite: start again if `out` holds another run.
        quiet: show no progress.
        stop_after: stop after this many steps of this call, as an interruption would.
        named: what the user called a store whose URL `path` is; the run records both. See `recorded_store`.
        loggers: where the numbers of validations go beside `metrics.jsonl`.

    Raises:
        InrzooError: the data cannot be trained on, `out` holds another run (the message names what differs), another
            process trains it, or a process of several ended.
        MissingPackageError: a package of the extra `train` is not installed.
        KeyboardInterrupt: Ctrl-C, after the checkpoint was written.
    """
    require("train", "training", "matplotlib", "sklearn")
    torch_device = chosen_device(device)
    require_devices(task, torch_device)
    share = Share(0, task.devices, task.accumulate)
    task.require_readable(path)
    data: Any = path
    with torch.random.fork_rng(devices=[torch_device] if torch_device.type == "cuda" else []):
        torch.manual_seed(task.seed)
        with sharing(share):
            learner = task.begin(data, torch_device)
        if share.parts > 1 and any(isinstance(part, BATCH_NORMS) for part in learner.module.modules()):
            LOG.warning("warning  batch norm normalises each of the %d batches of a step by itself", share.parts)
        guarded = GuardedLoggers(loggers)
        run = Run(task, learner, task.conventions(data), torch_device, out, guarded)
        with only_process(out):
            if overwrite:
                for name in (BEST, LAST, METRICS, CURVE, COST):
                    (out / name).unlink(missing_ok=True)
            run.resume()
            run.record("notes", dict(learner.notes))
            if named is not None:
                run.record("store", {"named": named, "url": str(path)})
            unchanged = bool(run.progress["finished"])
            if not unchanged:
                said = path.manifest.name if isinstance(path, UnfittedDataset) else named or str(path)
                settings = RunSettings(out, run.progress["step"], said, run.tables["task"])
                _work(run, task, data, torch_device, settings, guarded, quiet, stop_after)
            return _trained(run, task, out, unchanged)


def _work(
    run: Run,
    task: Task,
    data: Data,
    device: torch.device,
    settings: RunSettings,
    loggers: GuardedLoggers,
    quiet: bool,
    stop_after: int | None,
) -> None:
    """Do the remaining steps, and add their cost to the folder's."""
    started, cpu_started = time.monotonic(), _cpu_seconds()
    status: Status = "failed"
    try:
        loggers.begin(settings)
        with processes(task if run.is_trained else replace(task, devices=1), data, device) as group:
            run.work(group, quiet=quiet, stop_after=stop_after)
        status = "finished" if run.progress["finished"] else "stopped"
    except PeerLost as lost:
        kept = f"the checkpoint after step {run.saved} is whole, and the same command continues from it"
        raise InrzooError(f"{lost}; {'there is no checkpoint yet' if run.saved is None else kept}") from None
    except KeyboardInterrupt:
        status = "stopped"
        raise
    finally:
        loggers.end(status)
        add_cost(settings.folder, time.monotonic() - started, _cpu_seconds() - cpu_started, device)


def _trained(run: Run, task: Task, out: Path, unchanged: bool) -> Trained:
    progress = run.progress
    score = math.nan if progress["score"] is None else progress["score"]
    stopped = progress["finished"] and progress["step"] < task.steps and run.is_trained
    return Trained(out, progress["step"], progress["best_step"], score, stopped, unchanged)


def _cpu_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def recorded_store(out: Path, named: str) -> str | None:
    """Return the URL that a name of a store meant when the run in `out` began; None if the run has not recorded it.

    A name such as `ada/digits` means another commit when a version is added; a run stays with the one it began with.

    Raises:
        InrzooError: the last checkpoint is damaged.
    """
    if not (out / LAST).exists():
        return None
    recorded = read(out / LAST).progress.get("store")
    if not isinstance(recorded, dict) or recorded.get("named") != named:
        return None
    url = recorded.get("url")
    return url if isinstance(url, str) and url.startswith("hf://") else None


def chosen_device(device: Device) -> torch.device:
    """The device of that name; `auto` is a GPU if there is one.

    Raises:
        InrzooError: the device does not exist here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if str(device).startswith("cuda") and not torch.cuda.is_available():
        raise InrzooError(f"device {device} is not available; cpu is")
    try:
        return torch.device(device)
    except RuntimeError:
        raise InrzooError(f"device {device} is not allowed; expected cpu, cuda or auto") from None
