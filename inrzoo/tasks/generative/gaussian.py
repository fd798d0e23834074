"""The baseline of generation: a normal distribution of each class, over the first principal components of vectors.

Shape letters: B vectors, P numbers of one, N vectors of a class, J components.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

MAX_BYTES = 2**30
"""Maximum size of the covariances of all classes in bytes."""
RIDGE = 1e-9
"""Added to each variance relative to their mean: classes may have fewer vectors than numbers."""


@dataclass(frozen=True)
class ClassGaussians:
    """Mean and covariance of the vectors of each class, and the principal axes of all vectors.

    Attributes:
        mean: by class, (P,) float64.
        covariance: by class, (P, P) float64.
        axes: (P, P) float64, in columns, those of the largest variance first; of all vectors about their mean.
        centre: mean of all vectors, (P,) float64.
    """

    mean: Sequence[Tensor]
    covariance: Sequence[Tensor]
    axes: Tensor
    centre: Tensor

    @staticmethod
    def fits(num_params: int, num_classes: int) -> bool:
        """Whether the covariances of that many numbers and classes are small enough."""
        return 8 * num_params**2 * (num_classes + 2) <= MAX_BYTES

    @classmethod
    def of(cls, parts: Iterable[tuple[Tensor, Tensor]], num_params: int, num_classes: int, shift: Tensor) -> Self:
        """Measure vectors that come in parts, (B, P) with classes (B,).

        Args:
            parts: all vectors once; each class has at least two.
            num_params: P.
            num_classes: number of classes.
            shift: (P,), near the mean, against cancellation: it is subtracted before squares are summed.
        """
        count = torch.zeros(num_classes, dtype=torch.float64)
        total = torch.zeros(num_classes, num_params, dtype=torch.float64)
        squares = torch.zeros(num_classes, num_params, num_params, dtype=torch.float64)
        for vectors, label in parts:
            shifted = vectors.double() - shift.double()
            for code in label.unique().tolist():
                of_class = shifted[label == code]
                count[code] += len(of_class)
                total[code] += of_class.sum(0)
                squares[code] += of_class.T @ of_class
        mean = total / count[:, None]
        covariance = (squares - count[:, None, None] * mean[:, :, None] * mean[:, None]) / (count - 1)[:, None, None]
        centre = total.sum(0) / count.sum()
        whole = squares.sum(0) / count.sum() - centre[:, None] * centre
        axes = torch.linalg.eigh(whole).eigenvectors.flip(1)
        shift = shift.double()
        return cls([one + shift for one in mean], list(covariance), axes, centre + shift)

    def sample(self, label: Tensor, components: int, seed: int) -> Tensor:
        """Draw vectors (B, P), float32, of classes (B,).

        Args:
            label: int64.
            components: J, number of principal components in which the classes have a covariance; all vectors of the
                sample have the mean of all in the other components. P is the whole covariance.
            seed: of the draws.
        """
        generator = torch.Generator().manual_seed(seed)
        axes = self.axes[:, :components]
        vectors = self.centre.expand(len(label), -1).clone()
        for code in label.unique().tolist():
            covariance = axes.T @ self.covariance[code] @ axes
            values, directions = torch.linalg.eigh(covariance)
            root = directions * (values.clamp_min(0) + RIDGE * values.mean().clamp_min(0)).sqrt()
            rows = label == code
            draws = torch.randn(int(rows.sum()), components, generator=generator, dtype=torch.float64)
            vectors[rows] += (axes.T @ (self.mean[code] - self.centre) + draws @ root.T) @ axes.T
        return vectors.float()
