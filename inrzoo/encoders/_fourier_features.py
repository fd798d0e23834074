"""Gaussian Fourier features of single numbers, the input of weight-space networks.

Tancik et al. 2020, "Fourier features let networks learn high frequency functions in low dimensional domains" (arXiv
2006.10739), eq. 5, for inputs of one dimension, as neural-graphs and NFN use them
(docs/derivations/encoders.md#fourier-features-of-numbers).

Shape letters: M frequencies; leading dimensions (...) are free.
"""

import math

import torch
from torch import Tensor, nn


class FourierFeatures(nn.Module):
    """v ↦ (cos 2π b v, sin 2π b v) for M frequencies b ~ N(0, σ²), drawn once and never trained.

    Args:
        num_frequencies: M.
        sigma: σ, standard deviation of the frequencies.
    """

    frequencies: Tensor

    def __init__(self, num_frequencies: int, sigma: float) -> None:
        super().__init__()
        self.out_features = 2 * num_frequencies
        self.register_buffer("frequencies", sigma * torch.randn(num_frequencies))

    def forward(self, values: Tensor) -> Tensor:
        """Map values (...) to features (..., 2 M)."""
        angles = 2 * math.pi * values[..., None] * self.frequencies
        return torch.cat([angles.cos(), angles.sin()], dim=-1)
