"""Translation of a signal.

Shape letters: B draws, D in_features.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.loaders.transforms._affine import Affine, uniform


@dataclass(frozen=True, kw_only=True)
class Translate(Affine):
    """Shift each INR by t ~ U(±distance)^D: its content moves by +t.

    DWSNets and neural-graphs have the same range and the other sign (f(x + t)). In half of their random draws they
    shift a later layer, behind a sine, which is not a translation
    (docs/derivations/augmentation.md#dwsnets-and-neural-graphs). Here all shifts are exact.

    Attributes:
        distance: maximum shift along each axis in halves of the signal's width, which are coordinate units where the
            extent is 1; the default is an eighth of the width, see docs/derivations/augmentation.md#strengths.
    """

    distance: float = 0.25

    def __post_init__(self) -> None:
        """Reject an impossible range.

        Raises:
            InrzooError: `distance` negative or not finite.
        """
        self.require("distance", 0 <= self.distance < math.inf, "at least 0 and finite")

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw A = 1, shifts t (B, D)."""
        matrix_BDD, shift_BD = self.identity(count, generator)
        furthest = self.distance * self.extent
        return matrix_BDD, uniform(-furthest, furthest, tuple(shift_BD.shape), generator)
