"""Rotation of an image about its centre.

Shape letters: B draws, D in_features = 2.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.loaders.transforms._affine import Affine, uniform


@dataclass(frozen=True, kw_only=True)
class Rotate(Affine):
    """Rotate each INR by α ~ U(±degrees): A = [[cos α, −sin α], [sin α, cos α]], from axis 0 towards axis 1.

    On a screen, where rows run downwards, α > 0 rotates counter-clockwise for coordinates (row, col) and clockwise for
    (x, y) (y downwards: the reversed order of `coords.grid`). The distribution is the same.

    The default is that of docs/derivations/augmentation.md#dwsnets-and-neural-graphs; near 180 a six becomes a nine.

    Attributes:
        degrees: maximum angle in degrees, at most 180.
    """

    degrees: float = 45.0

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the range is impossible, or the INR has not two coordinates.
        """
        self.require("degrees", 0 <= self.degrees <= 180, "from 0 to 180")
        self.require_plane("a rotation")

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw rotations A (B, D, D), t = 0."""
        _, shift_BD = self.identity(count, generator)
        return rotation(uniform(-self.degrees, self.degrees, (count,), generator) * (math.pi / 180)), shift_BD


def rotation(angle: Tensor) -> Tensor:
    """Return matrices (..., 2, 2) that rotate the first axis towards the second by `angle` (...) in radians."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin], dim=-1), torch.stack([sin, cos], dim=-1)], dim=-2)
