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
    """Add N(0, (std · σ)²) to every weight, where σ is the standard deviation of its tensor in the same INR.

    The noise is relative because scales differ by orders of magnitude between tensors and between INRs: an
    absolute σ that the first layer of a SIREN tolerates erases its hidden layers. σ divides by the number of entries,
    so that a tensor of one number or of equal numbers gets no noise.
    DWSNets and neural-graphs compute σ in the same way and leave scalars alone, but add the same 0.1 · σ to all entries
    of a tensor at every draw; arena's σ is absolute
    (docs/derivations/augmentation.md#noise-and-dropout, docs/derivations/augmentation.md#strengths).

    Attributes:
        inr: the family that the weights are of.
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
        """Weights with noise. Shape (..., P) to (..., P)."""
        normal = torch.randn(weights.shape, generator=generator, dtype=weights.dtype, device=generator.device)
        tensors = self.inr.layout.split(weights)
        noise = self.inr.layout.split(normal.to(weights.device))
        for name, tensor in tensors.items():
            own = tuple(range(weights.ndim - 1, tensor.ndim))
            sigma = tensor.std(dim=own, correction=0, keepdim=True)
            tensors[name] = tensor + self.std * sigma * noise[name]
        noisy: Tensor = self.inr.layout.join(tensors)
        return noisy
