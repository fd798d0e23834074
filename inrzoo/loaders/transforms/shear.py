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

    A has 1 on the diagonal and k at (axis, other). No paper that we follow shears; the default is ours, 11 degrees at
    most. It is no similarity, so a GaborNet refuses it.

    Attributes:
        axis: along which coordinate the content slides, 0 or 1, negative ones count from the last. Images in
            (row, col) lean to the left and right by the default; in (x, y) that is axis 0.
        slope: the greatest k, tangent of the angle of slant.
    """

    axis: int = -1
    slope: float = 0.2

    def __post_init__(self) -> None:
        """Reject an impossible range or an INR that is not over a plane.

        Raises:
            InrzooError: one of these.
        """
        self.require("axis", -2 <= self.axis < 2, "from -2 to 1")
        self.require("slope", 0 <= self.slope < math.inf, "at least 0 and finite")
        self.require_plane("a shear")

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Shears A (B, D, D), t = 0."""
        matrix_BDD, shift_BD = self.stay(count, generator)
        matrix_BDD[:, self.axis, 1 - self.axis % 2] = uniform(-self.slope, self.slope, (count,), generator)
        return matrix_BDD, shift_BD
