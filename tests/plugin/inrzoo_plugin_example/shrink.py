"""A decoder: all weights shrink by a learned share, which is equivariant under renumbering and signs."""

import torch
from torch import Tensor

from inrzoo.decoders import Decoder
from inrzoo.weights import WeightLayout


class Shrink(Decoder):
    """Shrink every weight by the same learned share.

    Args:
        layout: layout of the weights.
        share: initial share, from 0 to 1.

    Raises:
        InrzooError: the share is out of range.
    """

    symmetries = ("permutation", "sign")

    def __init__(self, *, layout: WeightLayout, share: float = 0.1) -> None:
        super().__init__(layout)
        self.require("share", share, 0 <= share <= 1, "from 0 to 1")
        self.share = torch.nn.Parameter(torch.tensor(share))

    def forward(self, weights: Tensor) -> Tensor:
        """Return the changes (B, P) of weights (B, P)."""
        return -self.share * weights
