"""Gaussian noise on weights.

Shape letters: P parameters of one INR.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from inrzoo.inrs import INR
from inrzoo.loaders.transforms import Transform


@dataclass(frozen=True, kw_only=True)
class Noise(Transform):
    """Add N(0, (std · σ)²) to every weight, σ being the standard deviation of its tensor in the same INR.

    The noise is relative because scales differ by orders of magnitude between tensors and INRs: an absolute σ would
    erase a SIREN's hidden layers before it affects the first. σ is the population standard deviation, so a tensor of
    one number, or of equal ones, gets no noise. DWSNets and neural-graphs also scale by layer and skip scalars, but add
    the same 0.1 · σ to all entries of a tensor; arena's σ is absolute
    (docs/derivations/augmentation.md#noise-and-dropout, docs/derivations/augmentation.md#strengths).

    Attributes:
        inr: family of the weights.
        std: relative standard deviation, ρ of docs/derivations/augmentation.md#noise-and-dropout.
    """

    of_normalised: ClassVar[bool] = True

    inr: INR
    std: float = 0.05

    def __post_init__(self) -> None:
        """Reject an impossible scale.

        Raises:
            InrzooError: `std` negative or not finite.
        """
        self.require("std", 0 <= self.std < math.inf, "at least 0 and finite")

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Add noise to weights. Shape (..., P) to (..., P)."""
        normal = torch.randn(weights.shape, generator=generator, dtype=weights.dtype, device=generator.device)
        tensors = self.inr.layout.split(weights)
        noise = self.inr.layout.split(normal.to(weights.device))
        for name, tensor in tensors.items():
            axes = tuple(range(weights.ndim - 1, tensor.ndim))
            sigma = tensor.std(dim=axes, correction=0, keepdim=True)
            tensors[name] = tensor + self.std * sigma * noise[name]
        noisy: Tensor = self.inr.layout.join(tensors)
        return noisy
