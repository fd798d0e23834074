"""The loop of every task: steps, validations and checkpoints. A continued run gives the bits of a whole one."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

from inrzoo.checkpoint import BEST, LAST, Checkpoint, read
from inrzoo.differences import differences
from inrzoo.errors import InrzooError, Terminated
from inrzoo.extras import require
from inrzoo.tasks.contract import Data, Device, Learner, Task
from inrzoo.tasks.reporting.cost import COST, add_cost
from inrzoo.tasks.training.journal import CURVE, METRICS, Bar, Journal
from inrzoo.tasks.training.state import load_module, load_optimiser, optimiser_state, plain, task_table


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
) -> Trained:
    """Train on a store, or continue a run that was stopped: on one CPU thread to the same bits.

    Args:
        path: the folder or URL of the store; for a task with `reads_signals` also a dataset.
        out: folder of the run, made here.
        device: `cpu`, `cuda`, or `auto`.
        overwrite: start again if `out` holds another run.
        quiet: show no progress.
        stop_after: stop after this many steps of this call, as an interruption would.
        named: what the user called a store whose URL `path` is; the run records both. See `recorded_store`.

    Raises:
        InrzooError: the data cannot be trained on, or `out` holds another run; the message names what differs.
        MissingPackageError: a package of the extra `train` is not installed.
        KeyboardInterrupt: Ctrl-C, after the checkpoint was written.
    """
    require("train", "training", "matplotlib", "sklearn")
    torch_device = chosen_device(device)
    task.require_readable(path)
    data: Any = path
    with torch.random.fork_rng(devices=[torch_device] if torch_device.type == "cuda" else []):
        torch.manual_seed(task.seed)
        learner = task.begin(data, torch_device)
        run = _Run(task, learner, task.conventions(data), out)
        if overwrite:
            for name in (BEST, LAST, METRICS, CURVE, COST):
                (out / name).unlink(missing_ok=True)
        run.resume()
        run.record("notes", dict(learner.notes))
        if named is not None:
            run.record("store", {"named": named, "url": str(path)})
        unchanged = run.finished
        if not unchanged:
            started, cpu_started = time.monotonic(), time.process_time()
            try:
                run.work(quiet, stop_after)
            finally:
                add_cost(out, time.monotonic() - started, time.process_time() - cpu_started, torch_device)
        return replace(run.state(), unchanged=unchanged)


class _Run:
    """A task in training, with everything that a checkpoint records."""

    def __init__(self, task: Task, learner: Learner, conventions: dict[str, Any], out: Path) -> None:
        self._task, self._learner, self._out = task, learner, out
        self._tables = {
            "task": plain(task.to_json()),
            "conventions": plain(conventions),
            "identity": plain(learner.identity),
        }
        self._trainable = learner.parameter_groups()
        self._optimiser: torch.optim.Optimizer | None = None
        if self._trainable:
            self._optimiser = torch.optim.AdamW(self._trainable, lr=task.lr, weight_decay=task.weight_decay)
        self._progress: dict[str, Any] = {
            "step": 0, "best_step": 0, "score": None, "waited": 0, "sums": {}, "finished": False
        }  # fmt: skip

    # --- state -------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Load the last checkpoint of the run folder, if there is one."""
        self._out.mkdir(parents=True, exist_ok=True)
        if not (self._out / LAST).exists():
            return
        last = read(self._out / LAST)
        differing = differences(task_table(last), self._tables["task"]) + differences(
            last.identity, self._tables["identity"]
        )
        if differing:
            raise InrzooError(
                f"{self._out} holds another run ({'; '.join(differing)}); choose another --out, or --overwrite it"
            )
        self._progress = last.progress
        load_module(self._learner.module, last.module)
        if self._optimiser is not None:
            load_optimiser(self._optimiser, last.optimiser)
        torch.set_rng_state(last.random["cpu"])
        if "cuda" in last.random and torch.cuda.is_available():
            torch.cuda.set_rng_state(last.random["cuda"])

    def record(self, key: str, table: dict[str, Any]) -> None:
        """Keep a table in the checkpoints, if it has content."""
        if table:
            self._progress[key] = plain(table)

    @property
    def finished(self) -> bool:
        """Whether all steps are done or patience has ended the run."""
        return bool(self._progress["finished"])

    def state(self) -> Trained:
        """Return the result of `train`."""
        progress = self._progress
        score = math.nan if progress["score"] is None else progress["score"]
        stopped = progress["finished"] and progress["step"] < self._task.steps and bool(self._trainable)
        return Trained(self._out, progress["step"], progress["best_step"], score, stopped)

    def _checkpoint(self) -> Checkpoint:
        random = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            random["cuda"] = torch.cuda.get_rng_state()
        optimiser = {} if self._optimiser is None else optimiser_state(self._optimiser)
        module = self._learner.module.state_dict()
        return Checkpoint(**self._tables, progress=self._progress, module=module, optimiser=optimiser, random=random)

    # --- steps -------------------------------------------------------------------------------------------------

    def work(self, quiet: bool, stop_after: int | None) -> None:
        """Do the remaining steps."""
        progress, task = self._progress, self._task
        journal = Journal(self._out, progress["step"])
        last = task.steps if self._trainable else 0
        first, started = progress["step"], time.monotonic()
        with _interruption() as interrupted, Bar(first, last, quiet) as bar:
            while not progress["finished"]:
                if progress["step"] < last:
                    bar.advance(self._step())
                done = progress["step"]
                if done % task.validate_every == 0 or done >= last:
                    self._validate(journal)
                    rate = (done - first) / max(time.monotonic() - started, 1e-9)
                    bar.show(done, rate, journal.lines[-1])
                    progress["finished"] = done >= last or 0 < task.patience <= progress["waited"]
                    self._checkpoint().write(self._out / LAST)
                if not progress["finished"] and (interrupted() or (stop_after and done - first >= stop_after)):
                    self._checkpoint().write(self._out / LAST)
                    journal.draw()
                    if interrupted():
                        raise Terminated if interrupted() == signal.SIGTERM else KeyboardInterrupt
                    return
        journal.draw()

    def _step(self) -> float:
        """Take one step and return its loss."""
        assert self._optimiser is not None, "steps are taken only where there is something to train"
        progress, task = self._progress, self._task
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(task, progress["step"]) * group["lr_factor"]
        self._learner.module.train()
        self._optimiser.zero_grad(set_to_none=True)
        loss, numbers = self._learner.loss(progress["step"])
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InrzooError(
                f"the loss is {value} after {progress['step']} steps; a smaller lr than {task.lr} may help"
            )
        loss.backward()
        if task.clip:
            for group in self._trainable:
                nn.utils.clip_grad_norm_(group["params"], task.clip)
        self._optimiser.step()
        self._learner.after_step()
        for name, number in {"loss": value, **numbers}.items():
            progress["sums"][name] = progress["sums"].get(name, 0.0) + number
        progress["step"] += 1
        progress["since"] = progress.get("since", 0) + 1
        return value

    def _validate(self, journal: Journal) -> None:
        progress = self._progress
        self._learner.module.eval()
        with torch.no_grad():
            numbers = self._learner.validate()
        since = max(1, progress.pop("since", 0))
        means = {f"train_{name}": total / since for name, total in progress["sums"].items()}
        journal.add({"step": progress["step"], "lr": learning_rate(self._task, progress["step"]), **means, **numbers})
        progress["sums"] = {}
        if progress["score"] is None or numbers["score"] > progress["score"]:
            progress |= {"score": numbers["score"], "best_step": progress["step"], "waited": 0}
            module = self._learner.module.state_dict()
            Checkpoint(**self._tables, progress=progress, module=module).write(self._out / BEST)
        else:
            progress["waited"] += 1


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


def learning_rate(task: Task, step: int) -> float:
    """Adam's learning rate in step number `step`, counted from 0."""
    rising = min(1.0, (step + 1) / task.warmup) if task.warmup else 1.0
    falling = 0.5 * (1 + math.cos(math.pi * min(1.0, step / task.steps))) if task.schedule == "cosine" else 1.0
    return task.lr * rising * falling


@contextmanager
def _interruption() -> Iterator[Any]:
    """Let Ctrl-C and SIGTERM set a flag, so that a step is finished and saved; a second signal stops at once.

    Yields a function that returns the number of the signal, or None.
    """
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread, which alone receives signals
        yield lambda: None
        return
    try:
        yield lambda: caught[0] if caught else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
