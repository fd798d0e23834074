"""Mirror image of a signal.

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
    The mirror is the hyperplane through the origin. The default axis mirrors
    images in (row, col) from left to right; in (x, y) that is axis 0.

    Attributes:
        probability: of a mirror image, from 0 to 1.
        axis: number of the coordinate whose sign changes; negative numbers count from the last.
    """

    probability: float = 0.5
    axis: int = -1

    def __post_init__(self) -> None:
        """Reject an axis that the INR does not have, and an impossible probability.

        Raises:
            InrzooError: a field is out of its range.
        """
        size = self.inr.in_features
        self.require("axis", -size <= self.axis < size, f"from {-size} to {size - 1}")
        self.require("probability", 0 <= self.probability <= 1, "from 0 to 1")

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A = 1 or the mirror (B, D, D), t = 0."""
        matrix_BDD, shift_BD = self.stay(count, generator)
        mirrored_B = uniform(0, 1, (count,), generator) < self.probability
        matrix_BDD[mirrored_B, self.axis, self.axis] = -1
        return matrix_BDD, shift_BD
