"""Photographic negative of a signal.

Shape letters: P parameters of one INR.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.inrs import INR
from inrzoo.loaders.transforms import Transform


@dataclass(frozen=True, kw_only=True)
class Negative(Transform):
    """f becomes −f with probability `probability`, exactly: a change of sign of the tensors that end at the output.

    Attributes:
        inr: the family that the weights are of.
        probability: from 0 to 1.
    """

    inr: INR
    probability: float = 0.5

    def __post_init__(self) -> None:
        """Reject an impossible probability."""
        self.require("probability", 0 <= self.probability <= 1, "from 0 to 1")

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Weights of the negatives. Shape (..., P) to (..., P)."""
        lead = weights.shape[:-1]
        negated = torch.rand(lead, generator=generator, device=generator.device).to(weights.device) < self.probability
        signs = torch.where(negated, -1.0, 1.0).to(weights)
        tensors = self.inr.layout.split(weights)
        for tensor in self.inr.layout.tensors:
            if tensor.axes[0] == "out":
                tensors[tensor.name] = tensors[tensor.name] * signs.reshape(*lead, *[1] * len(tensor.shape))
        changed: Tensor = self.inr.layout.join(tensors)
        return changed
