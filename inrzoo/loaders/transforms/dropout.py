"""Dropout of weights.

Shape letters: P parameters of one INR.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from inrzoo.loaders.transforms import Transform


@dataclass(frozen=True, kw_only=True)
class Dropout(Transform):
    """Set every weight and bias to 0 with probability p and divide the others by 1 − p, which keeps the mean.

    Element by element as in DWSNets and neural-graphs, whose p it is (their self-supervised runs take 0.5); arena
    leaves out the division (docs/derivations/augmentation.md#strengths). In normalised weights 0 is the mean of
    the dataset.

    Attributes:
        p: probability of 0, below 1.
    """

    of_normalised: ClassVar[bool] = True

    p: float = 0.01

    def __post_init__(self) -> None:
        """Reject an impossible probability.

        Raises:
            InrzooError: `p` is not in [0, 1).
        """
        self.require("p", 0 <= self.p < 1, "at least 0 and below 1")

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Weights with gaps. Shape (..., P) to (..., P)."""
        kept = torch.rand(weights.shape, generator=generator, device=generator.device) >= self.p
        return torch.where(kept.to(weights.device), weights / (1 - self.p), 0.0)
