"""Permutation of hidden neurons: other weights of the same function.

Shape letters: P parameters of one INR.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from inrzoo.inrs import INR
from inrzoo.inrs.symmetries import permute_randomly
from inrzoo.loaders.transforms import Transform


@dataclass(frozen=True, kw_only=True)
class PermuteNeurons(Transform):
    """Give the neurons of every layer a random order, drawn for each INR.

    See docs/derivations/symmetries.md#permutations.
    It helps encoders without that symmetry (Schürholt et al. 2021, arXiv 2110.15288); an invariant encoder does not see
    it.

    Attributes:
        inr: the family that the weights are of.
    """

    same_function: ClassVar[bool] = True

    inr: INR

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Weights of the same functions. Shape (..., P) to (..., P)."""
        return permute_randomly(self.inr.layout, weights, generator)
