"""Permutations of hidden neurons, which keep the function.

Shape letters: P parameters of one INR.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from inrzoo.inrs import INR, permute_randomly
from inrzoo.loaders.transforms import Transform


@dataclass(frozen=True, kw_only=True)
class PermuteNeurons(Transform):
    """Permute the neurons of every layer at random, each INR differently.

    See docs/derivations/symmetries.md#permutations. Encoders that are not invariant to permutations need it (Schürholt
    et al. 2021, arXiv 2110.15288).

    Attributes:
        inr: family of the weights.
    """

    same_function: ClassVar[bool] = True

    inr: INR

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Return weights of the same functions. Shape (..., P) to (..., P)."""
        return permute_randomly(self.inr.layout, weights, generator)
