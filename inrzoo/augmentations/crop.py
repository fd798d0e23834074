"""Random crop of a signal that is padded by reflection; of a sound it is a shift in time."""

from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.augmentations import Augmentation


@dataclass(frozen=True, kw_only=True)
class Crop(Augmentation):
    """Move the signal by up to `padding` points along each axis; what is bared is its reflection.

    The same as a crop at a random place of the signal padded by reflection, without repeating the outermost points, as
    in MWT's training on 28 and 32 pixels (padding 4; Gielisse & van Gemert 2025, `data/augment.py`).

    Attributes:
        padding: maximum shift along each axis, in points of the grid; below the number of points of the shortest axis.
    """

    padding: int = 4

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the padding is negative, or too large to reflect the signal once.
        """
        self.require("padding", 0 <= self.padding < min(self.sizes), f"from 0 to {min(self.sizes) - 1}")

    def __call__(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """See `Augmentation`."""
        for axis, size in enumerate(self.sizes):
            shift = int(torch.randint(-self.padding, self.padding + 1, (), generator=generator))
            index = (torch.arange(size) + shift).abs()
            values = values.index_select(axis, size - 1 - (size - 1 - index).abs())
        return values
