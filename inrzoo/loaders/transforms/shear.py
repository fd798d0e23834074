"""Shear of a plane signal.

Shape letters: B draws, D in_features, here 2.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.loaders.transforms._affine import Affine, uniform


@dataclass(frozen=True, kw_only=True)
class Shear(Affine):
    """Slant each INR: coordinate `axis` grows by k times the other one, k ~ U(±slope).

    A has 1 on the diagonal and k at (axis, other). No paper that we follow shears; the default is ours, at most
    11 degrees. It is no similarity, so a GaborNet refuses it.

    Attributes:
        slope: maximum k, the tangent of the angle.
        axis: number of the coordinate along which the content slides, 0 or 1; negative numbers count from the last. The
            default slants images in (row, col) to the left and right; in (x, y) that is axis 0.
    """

    slope: float = 0.2
    axis: int = -1

    def __post_init__(self) -> None:
        """Reject an impossible range, and an INR without two coordinates.

        Raises:
            InrzooError: a field is out of its range, or the INR has other than two coordinates.
        """
        self.require("axis", -2 <= self.axis < 2, "from -2 to 1")
        self.require("slope", 0 <= self.slope < math.inf, "at least 0 and finite")
        self.require_plane("a shear")

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Shears A (B, D, D), t = 0."""
        matrix_BDD, shift_BD = self.stay(count, generator)
        matrix_BDD[:, self.axis, 1 - self.axis % 2] = uniform(-self.slope, self.slope, (count,), generator)
        return matrix_BDD, shift_BD
