"""Dropout of the smallest weights.

Shape letters: P parameters of one INR, W numbers of one tensor.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from inrzoo.inrs import INR
from inrzoo.loaders.transforms import Transform
from inrzoo.loaders.transforms._affine import uniform


@dataclass(frozen=True, kw_only=True)
class QuantileDropout(Transform):
    """Set a share q ~ U(0, p) of the entries of every tensor to 0, those of smallest magnitude, with one q for each
    INR.

    As in DWSNets and neural-graphs, where it is off, and arena, whose p is 0.1. ⌊q W⌋ of W numbers become 0
    (docs/derivations/augmentation.md#noise-and-dropout).

    Attributes:
        inr: family of the weights.
        p: maximum share, below 1.
    """

    of_normalised: ClassVar[bool] = True

    inr: INR
    p: float = 0.1

    def __post_init__(self) -> None:
        """Reject an impossible share.

        Raises:
            InrzooError: `p` is not in [0, 1).
        """
        self.require("p", 0 <= self.p < 1, "at least 0 and below 1")

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Drop weights. Shape (..., P) to (..., P)."""
        lead = weights.shape[:-1]
        share = uniform(0, self.p, (*lead, 1), generator).to(weights.device)
        tensors = self.inr.layout.split(weights)
        for name, tensor in tensors.items():
            flat_W = tensor.flatten(len(lead))
            magnitude_W = flat_W.abs()
            count = (share * flat_W.shape[-1]).long()  # below W, since p is below 1
            least = magnitude_W.sort(-1).values.gather(-1, count)
            tensors[name] = torch.where(magnitude_W < least, 0.0, flat_W).reshape(tensor.shape)
        dropped: Tensor = self.inr.layout.join(tensors)
        return dropped
