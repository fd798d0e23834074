"""What the motions of coordinates share: one random g(x) = A x + t for every INR, applied exactly.

The moved signal is f(g⁻¹(x)), for every x and to rounding, by `INR.transform_coords`
(docs/derivations/augmentation.md#moving-the-signal). Units are those of coordinates: the domain is
[-1, 1]^D, so one pixel of an image with n rows is 2/(n−1) on a grid with end points and 2/n on pixel centres. A and t
are in the order of the INR's own coordinates, (row, col) or (x, y).

What g brings into the domain from outside was never fitted: the network extrapolates there, and what leaves the domain
is not seen any more. Nothing is padded; a SIREN or an MFN continues with waves of the same frequencies, not with
background.

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
    """Motion of the signal by a random g(x) = A x + t; a subclass adds its range and `draw`.

    Attributes:
        inr: the family that the weights are of.
    """

    inr: INR

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A (B, D, D) and t (B, D) of `count` independent motions, float64, on the generator's device."""

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Weights of every f(g⁻¹(x)), each with its own g. Shape (..., P) to (..., P).

        Raises:
            InrzooError: the family is not closed under such an A: see its `transform_coords`.
        """
        lead = weights.shape[:-1]
        matrix_BDD, shift_BD = self.draw(lead.numel(), generator)
        return self.inr.transform_coords(
            weights, matrix_BDD.reshape(*lead, *matrix_BDD.shape[1:]), shift_BD.reshape(*lead, *shift_BD.shape[1:])
        )

    def require_plane(self, does: str) -> None:
        """Raise InrzooError unless the INR has two coordinates; `does` says what needs them."""
        if self.inr.in_features != 2:
            raise InrzooError(f"{does} needs an INR of 2 coordinates; this one has {self.inr.in_features}")

    def stay(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A = 1 and t = 0, `count` times, to be changed: (B, D, D) and (B, D), float64."""
        size = self.inr.in_features
        matrix_BDD = torch.eye(size, dtype=torch.float64, device=generator.device).repeat(count, 1, 1)
        return matrix_BDD, matrix_BDD.new_zeros(count, size)


def uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draws from U[low, high), float64, on the generator's device."""
    unit = torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)
    return low + (high - low) * unit
