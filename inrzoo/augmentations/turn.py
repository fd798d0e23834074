"""A shape, or the scene of views, turned about an axis."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from inrzoo.augmentations import PlaceAugmentation, Places

QUARTER = 90.0
"""The only turns, in degrees, that map a cube to itself."""


@dataclass(frozen=True, kw_only=True)
class Turn(PlaceAugmentation):
    """Turn points, or the rays of views, about a coordinate axis by an angle from U[`-degrees`, `degrees`].

    Distances, occupancies and colours stay as they are. Points that leave the cube are replaced by others of the
    signal, drawn at random. Of a scene, the cube is all that is seen, and its corners would be cut off: views take
    quarter turns.

    Attributes:
        degrees: largest angle, from 0 to 180.
        axis: number of the coordinate that stays: 1 for shapes that stand along y, 2 along z.
        step: angles are multiples of it, in degrees, each as likely; 0 for any angle.
        places: whether values lie at `points` or along `rays`; given by the data and not by the user.
    """

    PLACES: ClassVar[tuple[Places, ...]] = ("points", "rays")
    RUNTIME_FIELDS: ClassVar[tuple[str, ...]] = ("extent", "places")

    degrees: float = 180.0
    axis: int = 1
    step: float = 0.0
    places: Places

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: an angle is out of range, or there is no such axis, or views would be turned by other angles
                than quarter turns.
        """
        self.require("degrees", 0 <= self.degrees <= 180, "from 0 to 180")
        self.require("axis", 0 <= self.axis <= 2, "0, 1 or 2")
        self.require("step", 0 <= self.step <= 180, "from 0 to 180")
        of_views = self.places == "rays"
        self.require("step", not of_views or (self.step > 0 and self.step % QUARTER == 0), "90 or 180 for views")

    def __call__(self, values: Tensor, where: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See `PlaceAugmentation`."""
        drawn = float(torch.rand((), generator=generator))
        angle = self.degrees * (2 * drawn - 1)
        if self.step:
            turns = int(self.degrees // self.step)
            angle = self.step * (int(drawn * (2 * turns + 1)) - turns)
        # Of a quarter turn they are whole numbers, so that a cube is mapped to itself.
        sin, cos = (
            round(wave) if angle % QUARTER == 0 else wave
            for wave in (math.sin(math.radians(angle)), math.cos(math.radians(angle)))
        )
        first, second = ((1, 2), (2, 0), (0, 1))[self.axis]
        matrix_33 = torch.eye(3)
        matrix_33[first, first], matrix_33[first, second] = cos, -sin
        matrix_33[second, first], matrix_33[second, second] = sin, cos
        # Rays are two vectors, an origin and a direction.
        turned = (where.unflatten(-1, (-1, 3)) @ matrix_33.T).flatten(-2)
        return (values, turned) if self.places == "rays" else self.within(values, turned, generator)
