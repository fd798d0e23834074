"""Mean and standard deviation of every tensor: the least that an encoder can read.

Shape letters: B batch of INRs, P parameters of one INR, F features.
"""

import torch
from torch import Tensor, nn

from inrzoo.encoders import Encoder
from inrzoo.weights import WeightLayout


class Moments(Encoder):
    """One linear map of the moments of all tensors, which no renumbering of neurons changes.

    Args:
        out_features: F.
    """

    symmetries = ("permutation",)

    def __init__(self, *, layout: WeightLayout, out_features: int = 8) -> None:
        super().__init__(layout)
        self.require_counts(out_features=out_features)
        self.out_features = out_features
        self.linear = nn.Linear(2 * len(layout.tensors), out_features)

    def forward(self, weights: Tensor) -> Tensor:
        """(B, P) to (B, F)."""
        parts = [part.flatten(1) for part in self.layout.split(weights).values()]
        moments = [part.mean(1) for part in parts] + [part.std(1, correction=0) for part in parts]
        features: Tensor = self.linear(torch.stack(moments, dim=1))
        return features
