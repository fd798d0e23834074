"""Gaussian noise on weights.

Shape letters: P parameters of one INR.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.inrs import INR
from inrzoo.loaders.transforms import Transform


@dataclass(frozen=True, kw_only=True)
class Noise(Transform):
    """Add N(0, (sigma_rel · σ)²) to every weight, σ the standard deviation of its tensor in that very INR.

    Relative to its own tensor, since scales differ by orders of magnitude between tensors and between INRs: one
    absolute σ would erase a SIREN's hidden layers before its first layer noticed. σ is that of the entries themselves
    (divided by their count, not by one less), so a tensor of one number, or of equal ones, gets no noise.
    DWSNets and neural-graphs measure their layers so too, leave scalars alone as well, but add the same 0.1 · σ to all
    entries of a tensor, at every draw; arena's σ is absolute
    (docs/derivations/augmentation.md#noise-and-dropout, docs/derivations/augmentation.md#strengths).

    Attributes:
        inr: the family that the weights are of.
        sigma_rel: ρ of docs/derivations/augmentation.md#noise-and-dropout.
    """

    inr: INR
    sigma_rel: float = 0.05

    def __post_init__(self) -> None:
        """Reject an impossible scale.

        Raises:
            InrzooError: `sigma_rel` negative or not finite.
        """
        self.require("sigma_rel", 0 <= self.sigma_rel < math.inf, "at least 0 and finite")

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Weights with noise. Shape (..., P) to (..., P)."""
        normal = torch.randn(weights.shape, generator=generator, dtype=weights.dtype, device=generator.device)
        tensors = self.inr.layout.split(weights)
        noise = self.inr.layout.split(normal.to(weights.device))
        for name, tensor in tensors.items():
            own = tuple(range(weights.ndim - 1, tensor.ndim))
            std = tensor.std(dim=own, correction=0, keepdim=True)
            tensors[name] = tensor + self.sigma_rel * std * noise[name]
        noisy: Tensor = self.inr.layout.join(tensors)
        return noisy
