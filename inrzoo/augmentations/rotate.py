"""Rotation of an image about its middle."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.augmentations import Augmentation
from inrzoo.augmentations._resampling import resampled


@dataclass(frozen=True, kw_only=True)
class Rotate(Augmentation):
    """Rotate the image by an angle from U[-`degrees`, `degrees`]; corners are filled by reflection.

    Attributes:
        degrees: largest angle, from 0 to 180.
    """

    degrees: float = 15.0

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the angle is out of range, or the signals are no images.
        """
        self.require("degrees", 0 <= self.degrees <= 180, "from 0 to 180")
        self.require_axes(range(2, 3))

    def __call__(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """See `Augmentation`."""
        angle = math.radians(self.degrees) * (2 * float(torch.rand((), generator=generator)) - 1)
        cos, sin = math.cos(angle), math.sin(angle)
        return resampled(values, torch.tensor([[cos, -sin], [sin, cos]]), torch.zeros(2))
