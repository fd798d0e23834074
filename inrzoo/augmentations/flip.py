"""Reflection of a signal along one axis."""

from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.augmentations import Augmentation


@dataclass(frozen=True, kw_only=True)
class Flip(Augmentation):
    """Mirror the signal along an axis.

    Attributes:
        probability: of a mirrored signal, from 0 to 1.
        axis: axis of the grid, slowest first; -1, the last, mirrors a picture left to right.
    """

    probability: float = 0.5
    axis: int = -1

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the probability is out of range, or there is no such axis.
        """
        axes = len(self.sizes)
        self.require("probability", 0 <= self.probability <= 1, "from 0 to 1")
        self.require("axis", -axes <= self.axis < axes, f"from {-axes} to {axes - 1}")

    def __call__(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """See `Augmentation`."""
        mirrored = float(torch.rand((), generator=generator)) < self.probability
        return values.flip(self.axis % len(self.sizes)) if mirrored else values
