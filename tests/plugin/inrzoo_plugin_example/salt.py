"""Salt-and-pepper noise on signals."""

from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.augmentations import Augmentation


@dataclass(frozen=True, kw_only=True)
class Salt(Augmentation):
    """Set each point to the signal's greatest value with probability `share`.

    Attributes:
        share: from 0 to 1.
    """

    share: float = 0.05

    def __post_init__(self) -> None:
        """Reject an impossible share."""
        self.require("share", 0 <= self.share <= 1, "from 0 to 1")

    def __call__(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """See `Augmentation`."""
        salted = torch.rand((*self.sizes, 1), generator=generator) < self.share
        return torch.where(salted, values.amax(), values)
