"""The Fréchet distance between two samples, each taken for a normal distribution.
Formula: docs/derivations/generation.md#frechet.

Shape letters: N, M items of the samples, F features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normal:
    """Mean (F,) and covariance (F, F) of a sample, float64."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Self:
        """Mean and unbiased covariance of features (N, F), N at least 2."""
        exact = features.double()
        return cls(exact.mean(0), torch.cov(exact.T).reshape(exact.shape[1], exact.shape[1]))


def frechet_distance(first: Normal, second: Normal) -> float:
    """‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁^½ Σ₂ Σ₁^½)^½): Dowson & Landau 1982; of features, Heusel et al. 2017.

    The square roots are those of symmetric matrices, by their eigenvalues; negative ones are rounding, and 0.

    Example:
        >>> wide = Normal(torch.zeros(1), torch.tensor([[9.0]]))
        >>> frechet_distance(wide, Normal(torch.ones(1), torch.tensor([[1.0]])))
        5.0
    """
    values, vectors = torch.linalg.eigh(first.covariance)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    inner = torch.linalg.eigvalsh(root @ second.covariance @ root).clamp_min(0).sqrt().sum()
    traces = first.covariance.trace() + second.covariance.trace()
    return float((first.mean - second.mean).square().sum() + traces - 2 * inner)
