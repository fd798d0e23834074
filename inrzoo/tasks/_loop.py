"""The loop of every task: steps, validations, checkpoints; interrupted and continued to the same bits."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

from inrzoo.errors import InrzooError, Terminated
from inrzoo.tasks import Device, Learner, Task
from inrzoo.tasks._checkpoint import (
    BEST,
    LAST,
    Checkpoint,
    differences,
    load_module,
    load_optimiser,
    optimiser_state,
    plain,
    read,
)
from inrzoo.tasks._cost import COST, add_cost
from inrzoo.tasks._journal import CURVE, METRICS, Bar, Journal


@dataclass(frozen=True)
class Trained:
    """How a run stands.

    Attributes:
        folder: with `best.safetensors`, `last.safetensors`, `metrics.jsonl`, `curve.png` and `run.json` (`_cost`).
        step: steps that were done.
        best_step: after which of them the best checkpoint was written.
        score: of the best checkpoint on the validation split.
        stopped: whether patience ended it before its last step.
    """

    folder: Path
    step: int
    best_step: int
    score: float
    stopped: bool


def train(
    task: Task,
    path: str | Path,
    out: Path,
    *,
    device: Device = "auto",
    overwrite: bool = False,
    quiet: bool = False,
    stop_after: int | None = None,
) -> Trained:
    """Train on a store, or continue a run that was stopped: on one CPU thread to the same bits.

    Args:
        path: of the store, a folder or a URL.
        out: folder of the run; made here.
        device: `cpu`, `cuda`, or `auto`.
        overwrite: begin anew where another run stands.
        quiet: say nothing.
        stop_after: leave after this many steps of this call, as an interruption would.

    Raises:
        InrzooError: the store cannot be trained on, or another run stands at `out`; names what differs.
        KeyboardInterrupt: Ctrl-C, after the checkpoint was written.
    """
    where = chosen_device(device)
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(task.seed)
        learner = task.begin(path, where)
        run = _Run(task, learner, task.conventions(path), out)
        if overwrite:
            for name in (BEST, LAST, METRICS, CURVE, COST):
                (out / name).unlink(missing_ok=True)
        run.resume(path)
        if not run.finished:
            begun, cpu_begun = time.monotonic(), time.process_time()
            try:
                run.go_on(quiet, stop_after)
            finally:
                add_cost(out, time.monotonic() - begun, time.process_time() - cpu_begun, where)
        return run.state()


class _Run:
    """A task under way: everything that a checkpoint has to remember."""

    def __init__(self, task: Task, learner: Learner, conventions: dict[str, Any], out: Path) -> None:
        self._task, self._learner, self._out = task, learner, out
        self._words = {
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

    # --- where it stands ---------------------------------------------------------------------------------------

    def resume(self, path: str | Path) -> None:
        """Take up the run that stands at `out`, if one does."""
        self._out.mkdir(parents=True, exist_ok=True)
        if not (self._out / LAST).exists():
            return
        there = read(self._out / LAST)
        differing = differences(there.task, self._words["task"]) + differences(there.identity, self._words["identity"])
        if differing:
            raise InrzooError(
                f"another run stands at {self._out} ({'; '.join(differing)}); choose another --out, or --overwrite it"
            )
        self._progress = there.progress
        load_module(self._learner.module, there.module)
        if self._optimiser is not None:
            load_optimiser(self._optimiser, there.optimiser)
        torch.set_rng_state(there.random["cpu"])
        if "cuda" in there.random and torch.cuda.is_available():
            torch.cuda.set_rng_state(there.random["cuda"])

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return bool(self._progress["finished"])

    def state(self) -> Trained:
        """For the caller."""
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
        return Checkpoint(**self._words, progress=self._progress, module=module, optimiser=optimiser, random=random)

    # --- steps -------------------------------------------------------------------------------------------------

    def go_on(self, quiet: bool, stop_after: int | None) -> None:
        """Do what is left to do."""
        progress, task = self._progress, self._task
        journal = Journal(self._out, progress["step"])
        last = task.steps if self._trainable else 0
        first, begun = progress["step"], time.monotonic()
        with _interruption() as interrupted, Bar(first, last, quiet) as bar:
            while not progress["finished"]:
                if progress["step"] < last:
                    self._step()
                    bar.advance()
                done = progress["step"]
                if done % task.validate_every == 0 or done >= last:
                    self._validate(journal)
                    rate = (done - first) / max(time.monotonic() - begun, 1e-9)
                    bar.say(done, rate, journal.lines[-1])
                    progress["finished"] = done >= last or 0 < task.patience <= progress["waited"]
                    self._checkpoint().write(self._out / LAST)
                if not progress["finished"] and (interrupted() or (stop_after and done - first >= stop_after)):
                    self._checkpoint().write(self._out / LAST)
                    journal.draw()
                    if interrupted():
                        raise Terminated if interrupted() == signal.SIGTERM else KeyboardInterrupt
                    return
        journal.draw()

    def _step(self) -> None:
        assert self._optimiser is not None, "steps are taken only where there is something to train"
        progress, task = self._progress, self._task
        for group in self._optimiser.param_groups:
            group["lr"] = step_size(task, progress["step"]) * group["lr_factor"]
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
        for name, number in {"loss": value, **numbers}.items():
            progress["sums"][name] = progress["sums"].get(name, 0.0) + number
        progress["step"] += 1
        progress["since"] = progress.get("since", 0) + 1

    def _validate(self, journal: Journal) -> None:
        progress = self._progress
        self._learner.module.eval()
        with torch.no_grad():
            found = self._learner.validate()
        since = max(1, progress.pop("since", 0))
        means = {f"train_{name}": total / since for name, total in progress["sums"].items()}
        journal.add({"step": progress["step"], "lr": step_size(self._task, progress["step"]), **means, **found})
        progress["sums"] = {}
        if progress["score"] is None or found["score"] > progress["score"]:
            progress |= {"score": found["score"], "best_step": progress["step"], "waited": 0}
            whole = self._checkpoint()
            Checkpoint(**self._words, progress=progress, module=whole.module).write(self._out / BEST)
        else:
            progress["waited"] += 1


def step_size(task: Task, step: int) -> float:
    """Adam's step size in step number `step`, from 0."""
    rising = min(1.0, (step + 1) / task.warmup) if task.warmup else 1.0
    falling = 0.5 * (1 + math.cos(math.pi * min(1.0, step / task.steps))) if task.schedule == "cosine" else 1.0
    return task.lr * rising * falling


@contextmanager
def _interruption() -> Iterator[Any]:
    """Ctrl-C and SIGTERM set a flag, so that a step is finished and saved; a second signal breaks off at once."""
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
    """`auto` is a GPU if there is one.

    Raises:
        InrzooError: there is none, and one was asked for.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if str(device).startswith("cuda") and not torch.cuda.is_available():
        raise InrzooError(f"device {device} is not available; cpu is")
    try:
        return torch.device(device)
    except RuntimeError:
        raise InrzooError(f"device {device} is not allowed; expected cpu, cuda or auto") from None
