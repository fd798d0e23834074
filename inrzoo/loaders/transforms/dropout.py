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

    It acts element by element with the p of DWSNets and neural-graphs (their self-supervised runs take 0.5); arena
    omits the division (docs/derivations/augmentation.md#strengths). After normalisation 0 is the mean of the dataset,
    before it 0 removes a connection.

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
        """Drop weights. Shape (..., P) to (..., P)."""
        mask = torch.rand(weights.shape, generator=generator, device=generator.device) >= self.p
        return torch.where(mask.to(weights.device), weights / (1 - self.p), 0.0)
