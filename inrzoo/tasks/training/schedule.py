"""Schedules of the learning rate."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from inrzoo.tasks.contract import Task


def learning_rate(task: Task, step: int, reduced: float = 1.0) -> float:
    """Adam's learning rate in step number `step`, counted from 0.

    Args:
        reduced: factor by which `plateau` has reduced it; see `Plateau`.

    Example:
        >>> from inrzoo.tasks.classify import Classify
        >>> task = Classify(lr=1.0, warmup=0, schedule="step", lr_steps=(10, 20), lr_decay=0.5)
        >>> [learning_rate(task, step) for step in (0, 9, 10, 19, 20)]
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    rising = min(1.0, (step + 1) / task.warmup) if task.warmup else 1.0
    factor = 1.0
    if task.schedule == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * min(1.0, step / task.steps)))
    elif task.schedule == "step":
        factor = task.lr_decay ** bisect_right(task.lr_steps, step)
    elif task.schedule == "plateau":
        factor = reduced
    return task.lr * rising * factor


class Plateau:
    """The factor of the learning rate under `plateau`: torch's `ReduceLROnPlateau` on a rate that begins at 1.

    Args:
        task: with `lr_decay` and `lr_patience`.
        state: as `state` returns it, to continue; None for a new run.

    Attributes:
        factor: product of all reductions.
    """

    def __init__(self, task: Task, state: dict[str, Any] | None = None) -> None:
        # A rate of its own, for that of the optimiser also rises in the warm-up.
        self._rate = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        self._scheduler = ReduceLROnPlateau(
            self._rate, "max", task.lr_decay, task.lr_patience, threshold=0.0, threshold_mode="abs", eps=0.0
        )
        if state is not None:
            self._rate.param_groups[0]["lr"] = state["factor"]
            self._scheduler.load_state_dict({key: state[key] for key in ("best", "num_bad_epochs", "last_epoch")})

    @property
    def factor(self) -> float:
        """Product of all reductions."""
        return float(self._rate.param_groups[0]["lr"])

    def add(self, score: float) -> None:
        """Take the score of a validation, where greater is better."""
        self._scheduler.step(score)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, as JSON types."""
        state = self._scheduler.state_dict()
        return {"factor": self.factor, **{key: state[key] for key in ("best", "num_bad_epochs", "last_epoch")}}
