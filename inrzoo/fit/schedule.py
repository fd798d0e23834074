"""The learning rate of each step of a fit.
Formulas: docs/derivations/fitting.md#schedules.
"""

import math
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import ScheduleKind


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate of each step, as a factor of `lr`.

    Step t is the one from t to t + 1. During warm-up the factor is (t + 1) / warm_up. After it `constant` is 1, and
    `cosine` (Loshchilov & Hutter 2017, eq. 5, without restarts) is f + (1 − f) (1 + cos πu) / 2 with
    u = (t − warm_up) / (steps − warm_up).

    Attributes:
        kind: `constant` or `cosine`.
        steps: the length of the fit that the schedule spans; snapshots before it are states on the way.
        final_factor: f, the factor at the end of a cosine, from 0 to 1.
        warm_up: number of steps with a growing rate, below `steps`; 0 for none.

    Raises:
        ValueError: a value out of its range.
    """

    kind: ScheduleKind = "constant"
    steps: int = 0
    final_factor: float = 0.0
    warm_up: int = 0

    def __post_init__(self) -> None:
        """Reject impossible values."""
        if self.kind not in get_args(ScheduleKind):
            raise ValueError(f"no schedule {self.kind!r}; there are: {', '.join(get_args(ScheduleKind))}")
        if not 0 <= self.final_factor <= 1:
            raise ValueError(f"final_factor = {self.final_factor} is not between 0 and 1")
        if self.warm_up < 0 or ((self.warm_up > 0 or self.kind == "cosine") and self.warm_up >= self.steps):
            raise ValueError(f"a {self.kind} schedule of {self.steps} steps cannot warm up for {self.warm_up}")

    @property
    def settles_at(self) -> int:
        """The step from which the factor stays the same."""
        return self.warm_up if self.kind == "constant" else self.steps

    def factors(self, count: int) -> NDArray[np.float64]:
        """Return the factors of the first `count` steps.

        The cosine is taken by the C library that Python uses, one number at a time; all engines multiply by the same
        numbers.
        """
        return np.array([self._factor(step) for step in range(count)], dtype=np.float64)

    def _factor(self, step: int) -> float:
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        if self.kind == "constant":
            return 1.0
        share = min(1.0, (step - self.warm_up) / (self.steps - self.warm_up))
        return self.final_factor + (1 - self.final_factor) * (1 + math.cos(math.pi * share)) / 2
