"""Base class of motions of the coordinates: a random g(x) = A x + t for every INR, applied exactly.

The moved signal is f(g⁻¹(x)) for every x, up to rounding, by `INR.transform_coords`
(docs/derivations/augmentation.md#moving-the-signal), in coordinate units: the domain is [-1, 1]^D, so one pixel of an
image with n rows is 2/(n−1) on a grid with end points and 2/n on pixel centres. A and t are in the order of the INR's
coordinates, (row, col) or (x, y).

No padding is applied: where g brings the outside into the domain, the network extrapolates. A SIREN or an MFN continues
there with waves of the same frequencies, not with background.

Shape letters: P parameters of one INR, B draws, D in_features.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.loaders.transforms import Transform


@dataclass(frozen=True, kw_only=True)
class Affine(Transform):
    """A motion of the signal by a random g(x) = A x + t; a subclass adds its range and `draw`.

    Attributes:
        inr: family of the weights.
        extent: highest coordinate of the signals, see `inrzoo.coords.grid`.
    """

    inr: INR
    extent: float = 1.0

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw A (B, D, D) and t (B, D) of `count` independent motions, float64, on the generator's device."""

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Return the weights of every f(g⁻¹(x)), each with another g. Shape (..., P) to (..., P).

        Raises:
            InrzooError: the family is not closed under such an A; see its `transform_coords`.
        """
        lead = weights.shape[:-1]
        matrix_BDD, shift_BD = self.draw(lead.numel(), generator)
        return self.inr.transform_coords(
            weights, matrix_BDD.reshape(*lead, *matrix_BDD.shape[1:]), shift_BD.reshape(*lead, *shift_BD.shape[1:])
        )

    def require_plane(self, motion: str) -> None:
        """Raise InrzooError unless the INR has two coordinates; `motion` names the transform in the message."""
        if self.inr.in_features != 2:
            raise InrzooError(f"{motion} needs an INR of 2 coordinates; this one has {self.inr.in_features}")

    def identity(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return A = 1 (B, D, D) and t = 0 (B, D) for `count` motions, float64, as new tensors."""
        size = self.inr.in_features
        matrix_BDD = torch.eye(size, dtype=torch.float64, device=generator.device).repeat(count, 1, 1)
        return matrix_BDD, matrix_BDD.new_zeros(count, size)


def uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw from U[low, high), float64, on the generator's device."""
    unit = torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)
    return low + (high - low) * unit
