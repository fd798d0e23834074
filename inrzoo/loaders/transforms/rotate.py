"""Rotation of an image or a shape about its centre.

Shape letters: B draws, D in_features, 2 or 3.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.loaders.transforms._affine import Affine, uniform


@dataclass(frozen=True, kw_only=True)
class Rotate(Affine):
    """Rotate each INR by α ~ U(±degrees): A = [[cos α, −sin α], [sin α, cos α]], from axis 0 towards axis 1.

    An INR of three coordinates is rotated by α about an axis that is drawn evenly over the sphere.

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
            InrzooError: the range is impossible, or the INR has neither two nor three coordinates.
        """
        self.require("degrees", 0 <= self.degrees <= 180, "from 0 to 180")
        if self.inr.in_features != 3:
            self.require_plane("a rotation")

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw rotations A (B, D, D), t = 0."""
        _, shift_BD = self.identity(count, generator)
        angle_B = uniform(-self.degrees, self.degrees, (count,), generator) * (math.pi / 180)
        if self.inr.in_features == 2:
            return rotation(angle_B), shift_BD
        height_B = uniform(-1.0, 1.0, (count,), generator)  # Archimedes: even over the sphere
        around_B = uniform(-math.pi, math.pi, (count,), generator)
        radius_B = (1 - height_B.square()).sqrt()
        axis_B3 = torch.stack([radius_B * around_B.cos(), radius_B * around_B.sin(), height_B], dim=-1)
        return rotation_about(axis_B3, angle_B), shift_BD


def rotation(angle: Tensor) -> Tensor:
    """Return matrices (..., 2, 2) that rotate the first axis towards the second by `angle` (...) in radians."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin], dim=-1), torch.stack([sin, cos], dim=-1)], dim=-2)


def rotation_about(axis: Tensor, angle: Tensor) -> Tensor:
    """Return matrices (..., 3, 3) that rotate by `angle` (...), in radians, about unit vectors `axis` (..., 3):
    Rodrigues' formula, 1 + sin α · K + (1 − cos α) · K², with K x = axis × x.
    """
    x, y, z = axis.unbind(dim=-1)
    none = torch.zeros_like(x)
    rows = [[none, -z, y], [z, none, -x], [-y, x, none]]
    cross = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    one = torch.eye(3, dtype=axis.dtype, device=axis.device)
    sin, cos = angle.sin()[..., None, None], angle.cos()[..., None, None]
    return one + sin * cross + (1 - cos) * (cross @ cross)
