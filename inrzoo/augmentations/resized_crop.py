"""A part of a signal, enlarged to the whole grid."""

from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.augmentations import Augmentation
from inrzoo.augmentations._resampling import resampled


@dataclass(frozen=True, kw_only=True)
class ResizedCrop(Augmentation):
    """Take a random box of the signal, of the shape of the whole, and enlarge it to the grid by linear interpolation.

    Attributes:
        smallest: least share of the area (of the length of a sound, of the volume of voxels) that a box has, above 0
            and up to 1; the share is drawn from U[`smallest`, 1].
    """

    smallest: float = 0.5

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the share is out of range, or the grid has more than three axes.
        """
        self.require("smallest", 0 < self.smallest <= 1, "above 0 and up to 1")
        self.require_axes(range(1, 4))

    def __call__(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """See `Augmentation`."""
        axes = len(self.sizes)
        share, *places = torch.rand(1 + axes, generator=generator).tolist()
        length = (self.smallest + (1 - self.smallest) * share) ** (1 / axes)
        room = torch.tensor([(1 - length) * (size - 1) / 2 for size in self.sizes])  # of the box's middle, each way
        return resampled(values, length * torch.eye(axes), room * (2 * torch.tensor(places) - 1))
