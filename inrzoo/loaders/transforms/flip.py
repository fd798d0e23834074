"""Reflection of a signal.

Shape letters: B draws, D in_features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.loaders.transforms._affine import Affine, uniform


@dataclass(frozen=True, kw_only=True)
class Flip(Affine):
    """Mirror each INR with probability `probability`: A = diag(1, …, −1, …, 1) with −1 at `axis`.

    See docs/derivations/augmentation.md#moving-the-signal.
    The mirror is the hyperplane through the origin. Images in (row, col) are mirrored left to right by the default
    axis; in (x, y) that is axis 0.

    Attributes:
        probability: probability of a reflection, from 0 to 1.
        axis: coordinate that changes its sign; negative numbers count from the last.
    """

    probability: float = 0.5
    axis: int = -1

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the INR has no such axis, or the probability is out of range.
        """
        size = self.inr.in_features
        self.require("axis", -size <= self.axis < size, f"from {-size} to {size - 1}")
        self.require("probability", 0 <= self.probability <= 1, "from 0 to 1")

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw A = 1 or a reflection (B, D, D), t = 0."""
        matrix_BDD, shift_BD = self.identity(count, generator)
        mirrored_B = uniform(0, 1, (count,), generator) < self.probability
        matrix_BDD[mirrored_B, self.axis, self.axis] = -1
        return matrix_BDD, shift_BD
