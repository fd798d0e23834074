"""Scaling of a signal about the origin.

Shape letters: B draws, D in_features.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inrzoo.loaders.transforms._affine import Affine, uniform


@dataclass(frozen=True, kw_only=True)
class Scale(Affine):
    """Scale each INR by one s ~ U(low, high) along all axes: its content grows by s, its frequencies fall by s.

    DWSNets and neural-graphs have the same range for 1/s: W ← s W shrinks the content
    (docs/derivations/augmentation.md#dwsnets-and-neural-graphs).

    Attributes:
        low: minimum factor, above 0.
        high: maximum factor.
    """

    low: float = 0.8
    high: float = 1.2

    @classmethod
    def short_form(cls, value: Any) -> dict[str, Any]:
        """`scale=0.2` draws factors from U(0.8, 1.2)."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return {"low": 1 - value, "high": 1 + value} if is_number else {"low": value}

    def __post_init__(self) -> None:
        """Reject an impossible range.

        Raises:
            InrzooError: `low` is not above 0, or `high` is below `low`.
        """
        self.require("low", 0 < self.low < math.inf, "above 0")
        self.require("high", self.low <= self.high < math.inf, f"at least low = {self.low} and finite")

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw A = s · 1 (B, D, D), t = 0."""
        matrix_BDD, shift_BD = self.identity(count, generator)
        return matrix_BDD * uniform(self.low, self.high, (count, 1, 1), generator), shift_BD
