"""Shear of an image.

Shape letters: B draws, D in_features = 2.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.loaders.transforms._affine import Affine, uniform


@dataclass(frozen=True, kw_only=True)
class Shear(Affine):
    """Shear each INR: k times the other coordinate is added to coordinate `axis`, k ~ U(±slope).

    A has 1 on the diagonal and k at (axis, other). None of the papers shears; the default is ours, at most 11 degrees.
    A shear is not a similarity, so a GaborNet refuses it.

    Attributes:
        slope: maximum k, the tangent of the shear angle.
        axis: coordinate that changes, 0 or 1; negative numbers count from the last. The default shears images in
            (row, col) horizontally; in (x, y) that is axis 0.
    """

    slope: float = 0.2
    axis: int = -1

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the range is impossible, or the INR has not two coordinates.
        """
        self.require("axis", -2 <= self.axis < 2, "from -2 to 1")
        self.require("slope", 0 <= self.slope < math.inf, "at least 0 and finite")
        self.require_plane("a shear")

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw shears A (B, D, D), t = 0."""
        matrix_BDD, shift_BD = self.identity(count, generator)
        matrix_BDD[:, self.axis, 1 - self.axis % 2] = uniform(-self.slope, self.slope, (count,), generator)
        return matrix_BDD, shift_BD
