"""A run: steps, validations and checkpoints. A continued run gives the bits of a whole one."""

from __future__ import annotations

import json
import logging
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from inrzoo.checkpoint import BEST, LAST, Checkpoint, read
from inrzoo.differences import differences
from inrzoo.errors import InrzooError, Terminated
from inrzoo.seeding import Stream
from inrzoo.tasks.contract import Learner, Task
from inrzoo.tasks.training.batches import Share
from inrzoo.tasks.training.group import ALONE, Group
from inrzoo.tasks.training.guarded_loggers import GuardedLoggers
from inrzoo.tasks.training.interruption import interruption
from inrzoo.tasks.training.journal import CURVE, Bar, Journal
from inrzoo.tasks.training.optimisers import Optimisers, layer_matrices
from inrzoo.tasks.training.schedule import Plateau, learning_rate
from inrzoo.tasks.training.state import load_module, part_of, plain, task_table

LOG = logging.getLogger("inrzoo.tasks")
SHARED = ("devices", "accumulate")
"""Fields of a task whose product counts: it is the number of batches of a step."""
Requests = tuple[bool, bool, bool]
"""Whether SIGINT or SIGTERM came, and whether as many steps are done as were asked for."""


class Run:
    """A task in training, with everything that a checkpoint records.

    Of several processes each has one; that of the first alone touches the run folder.

    Args:
        conventions: as `Task.conventions` returns them.
        device: of this process.
        out: folder of the run; None in a process that is not the first.
        loggers: of the first process.
    """

    def __init__(
        self,
        task: Task,
        learner: Learner,
        conventions: dict[str, Any],
        device: torch.device,
        out: Path | None = None,
        loggers: GuardedLoggers | None = None,
    ) -> None:
        self._task, self._learner, self._device, self._folder = task, learner, device, out
        self._loggers = loggers or GuardedLoggers()
        self.tables = {
            "task": plain(task.to_json()),
            "conventions": plain(conventions),
            "identity": plain(learner.identity),
        }
        self._trainable = learner.parameter_groups()
        self._optimisers: Optimisers | None = None
        if self._trainable:
            self._optimisers = Optimisers(task, self._trainable, layer_matrices(learner.module))
        self.progress: dict[str, Any] = {
            "step": 0, "best_step": 0, "score": None, "waited": 0, "sums": {}, "finished": False
        }  # fmt: skip
        self.saved: int | None = None
        """Step of the last checkpoint; None without one."""

    # --- state -------------------------------------------------------------------------------------------------

    @property
    def is_trained(self) -> bool:
        """Whether there is anything to train."""
        return bool(self._trainable)

    def resume(self) -> None:
        """Load the last checkpoint of the run folder, if there is one.

        Raises:
            InrzooError: it is of another run.
        """
        self._out.mkdir(parents=True, exist_ok=True)
        if not (self._out / LAST).exists():
            return
        last = read(self._out / LAST)
        recorded, own = task_table(last), self.tables["task"]
        before, now = ({key: table[key] for key in SHARED} for table in (recorded, own))
        moved = before != now and math.prod(before.values()) == math.prod(now.values())
        if moved:
            recorded |= now
        differing = differences(recorded, own) + differences(last.identity, self.tables["identity"])
        if differing:
            raise InrzooError(
                f"{self._out} holds another run ({'; '.join(differing)}); choose another --out, or --overwrite it"
            )
        if moved:
            changes = "; ".join(differences(before, now))
            LOG.info("continuing with other devices (%s): the same batches, to rounding", changes)
        self.progress, self.saved = last.progress, last.progress["step"]
        load_module(self._learner.module, last.module)
        if self._optimisers is not None:
            self._optimisers.load(last.optimiser)
        torch.set_rng_state(last.random["cpu"])
        if "cuda" in last.random and torch.cuda.is_available():
            torch.cuda.set_rng_state(last.random["cuda"])

    def record(self, key: str, table: dict[str, Any]) -> None:
        """Keep a table in the checkpoints, if it has content."""
        if table:
            self.progress[key] = plain(table)

    @property
    def _out(self) -> Path:
        assert self._folder is not None, "the first process alone touches the run folder"
        return self._folder

    def _begin_alike(self, group: Group) -> None:
        """Take progress, network and optimiser of the first process."""
        if group.size == 1:
            return
        module, optimisers = self._learner.module, self._optimisers
        parts = {"module.": module.state_dict(), "optimiser.": {} if optimisers is None else optimisers.state()}
        tensors = {prefix + name: each for prefix, part in parts.items() for name, each in part.items()}
        state = load(group.from_first(save({name: each.cpu().clone() for name, each in tensors.items()})))
        self._take_progress(group)
        if not group.is_first:
            load_module(module, part_of(state, "module."))
            if optimisers is not None:
                optimisers.load(part_of(state, "optimiser."))

    def _take_progress(self, group: Group) -> None:
        """Take the progress that the first process has made."""
        if group.size > 1:
            self.progress = json.loads(group.from_first(json.dumps(self.progress).encode()))

    def _save(self) -> None:
        """Write the last checkpoint."""
        random = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            random["cuda"] = torch.cuda.get_rng_state()
        optimiser = {} if self._optimisers is None else self._optimisers.state()
        module = self._learner.module.state_dict()
        Checkpoint(**self.tables, progress=self.progress, module=module, optimiser=optimiser, random=random).write(
            self._out / LAST
        )
        self.saved = self.progress["step"]

    # --- steps -------------------------------------------------------------------------------------------------

    def work(self, group: Group = ALONE, *, quiet: bool = True, stop_after: int | None = None) -> None:
        """Do the remaining steps.

        Args:
            group: the processes that share each step.
            quiet: show no progress.
            stop_after: stop after this many steps; of the first process alone it counts.

        Raises:
            InrzooError: the loss is no number.
            KeyboardInterrupt: Ctrl-C or SIGTERM, after the checkpoint was written; in the first process.
            PeerLost: another process has ended.
        """
        self._begin_alike(group)
        journal = Journal(self._out, self.progress["step"]) if group.is_first else None
        last = self._task.steps if self._trainable else 0
        first, started = self.progress["step"], time.monotonic()
        with (
            interruption(impatient=group.is_first) as interrupted,
            Bar(first, last, quiet or not group.is_first) as bar,
        ):

            def requests(done: int) -> Requests:
                enough = bool(stop_after) and done - first >= (stop_after or 0)
                return interrupted() == signal.SIGINT, interrupted() == signal.SIGTERM, enough

            while not self.progress["finished"]:
                agreed: Requests = (False, False, False)
                if self.progress["step"] < last:
                    loss, agreed = self._step(group, requests)
                    bar.advance(loss)
                done = self.progress["step"]
                if done % self._task.validate_every == 0 or done >= last:
                    if journal is not None:
                        self._validate(journal, done >= last)
                        rate = (done - first) / max(time.monotonic() - started, 1e-9)
                        bar.show(done, rate, journal.lines[-1])
                    self._take_progress(group)
                if group.size == 1:
                    agreed = requests(done)  # a signal may have come in the validation
                if any(agreed) and not self.progress["finished"]:
                    if journal is not None:
                        self._save()
                        self._end(journal)
                        if agreed[0] or agreed[1]:
                            raise Terminated if agreed[1] else KeyboardInterrupt
                    return
        if journal is not None:
            self._end(journal)

    def _step(self, group: Group, requests: Callable[[int], Requests]) -> tuple[float, Requests]:
        """Take one step and return its loss, and what any process was asked for."""
        assert self._optimisers is not None, "steps are taken only where there is something to train"
        task, step = self._task, self.progress["step"]
        for each in self._optimisers.groups:
            each["lr"] = self._rate() * each["lr_factor"]
        self._learner.module.train()
        self._optimisers.zero_grad()
        means = self._backward(Share(group.rank, group.size, task.accumulate), step)
        agreed = requests(step + 1)
        if group.size > 1:
            means, agreed = self._reduce(group, means, agreed)
        value = means["loss"]
        if not math.isfinite(value):
            raise InrzooError(f"the loss is {value} after {step} steps; a smaller lr than {task.lr} may help")
        if task.clip:
            for each in self._trainable:
                nn.utils.clip_grad_norm_(each["params"], task.clip)
        self._optimisers.step()
        self._learner.after_step()
        sums = self.progress["sums"]
        for name, number in means.items():
            sums[name] = sums.get(name, 0.0) + number
        self.progress["step"] += 1
        self.progress["since"] = self.progress.get("since", 0) + 1
        return value, agreed

    def _backward(self, share: Share, step: int) -> dict[str, float]:
        """Add the gradients of this process's batches of a step; return its part of the means over all batches."""
        reduced = self._task.precision == "bfloat16" and not self._task.casts
        means: dict[str, float] = {}
        for number in share.batches(step):
            self._draw_alike("batch", number)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=reduced):
                loss, numbers = self._learner.loss(number)
            loss = loss / share.parts
            loss.backward()
            means["loss"] = means.get("loss", 0.0) + float(loss.detach())
            for name, value in numbers.items():
                means[name] = means.get(name, 0.0) + value / share.parts
        return means

    def _reduce(self, group: Group, means: dict[str, float], asked: Requests) -> tuple[dict[str, float], Requests]:
        """Sum means, requests and gradients over all processes."""
        parameters: list[Tensor] = [each for one in self._trainable for each in one["params"]]
        has_gradient = [float(each.grad is not None) for each in parameters]
        total = iter(group.total([*means.values(), *map(float, asked), *has_gradient]))
        means = {name: next(total) for name in means}
        interrupted, terminated, enough = (next(total) > 0 for _ in asked)
        group.add_gradients([each for each in parameters if next(total) > 0])
        return means, (interrupted, terminated, enough)

    def _draw_alike(self, purpose: str, number: int) -> None:
        """Let what a batch or a validation draws be the same whichever process takes which batches.

        Where a step has one batch, the draws go on from one to the next, and checkpoints keep the generator's state.
        """
        if self._task.devices * self._task.accumulate > 1:
            torch.manual_seed(Stream(purpose, "", self._task.seed, str(number)).word())

    def _rate(self) -> float:
        return learning_rate(self._task, self.progress["step"], self.progress.get("plateau", {}).get("factor", 1.0))

    # --- of the first process ----------------------------------------------------------------------------------

    def _validate(self, journal: Journal, is_last: bool) -> None:
        """Validate, write the checkpoints and log."""
        progress, task = self.progress, self._task
        self._learner.module.eval()
        self._draw_alike("validation", progress["step"])
        with torch.no_grad():
            numbers = self._learner.validate()
        since = max(1, progress.pop("since", 0))
        means = {f"train_{name}": total / since for name, total in progress["sums"].items()}
        line = {"lr": self._rate(), **means, **numbers}
        journal.add({"step": progress["step"], **line})
        progress["sums"] = {}
        if progress["score"] is None or numbers["score"] > progress["score"]:
            progress |= {"score": numbers["score"], "best_step": progress["step"], "waited": 0}
            module = self._learner.module.state_dict()
            Checkpoint(**self.tables, progress=progress, module=module).write(self._out / BEST)
        else:
            progress["waited"] += 1
        if task.schedule == "plateau":
            plateau = Plateau(task, progress.get("plateau"))
            plateau.add(numbers["score"])
            progress["plateau"] = plateau.state()
        progress["finished"] = is_last or 0 < task.patience <= progress["waited"]
        self._save()
        self._loggers.log(progress["step"], line)  # after the checkpoint: a crash before it repeats the step

    def _end(self, journal: Journal) -> None:
        journal.draw()
        self._loggers.picture(self.progress["step"], "curve", self._out / CURVE)
