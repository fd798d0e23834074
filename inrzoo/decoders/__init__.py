"""Networks on weights whose output is weights: one file each. This file holds what they share.

A decoder returns a change of every weight of an INR. It is equivariant: the change for weights that a symmetry moved is
the change moved in the same way, so that which of the weights of a function are given does not decide what it becomes.
Formulas: docs/derivations/decoders.md#equivariance.

Shape letters: B batch of INRs, P parameters of one INR.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from inrzoo.encoders import WeightModule
from inrzoo.weights import WeightLayout

INRS_AT_ONCE = 8
"""Number of INRs that are computed together on a CPU, where the features of all weights of 8 fit a cache."""
FIRST_SCALE = 0.01
"""Initial size of changes in standard deviations of a tensor, as in the code of NFN and of neural graphs."""


class Decoder(WeightModule, ABC):
    """Maps weights to a change of them; a subclass in `inrzoo/decoders/<name>.py` adds its arguments and `forward`.

    Arguments are those of an encoder: `layout`, and for decoders that evaluate the INR `inr` and `domain`.

    Args:
        layout: layout of the weights.

    Attributes:
        symmetries: those of `inrzoo.encoders.SYMMETRIES` under which the change is equivariant, up to rounding.
        reads: `weights`, or `function` for a decoder that evaluates the INR.
    """

    symmetries: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[str] = "weights"

    @abstractmethod
    def forward(self, weights: Tensor) -> Tensor:
        """Return the change (B, P) of weights (B, P), both as they were fitted; each INR is changed independently."""


class NormalisedDecoder(Decoder):
    """A decoder that reads normalised weights, and whose changes have a learned scale for each tensor.

    Args:
        layout: layout of the weights.

    Attributes:
        mean, std: statistics of the weights, (P,), the same for all numbers of a tensor; 0 and 1 until they are set.
        scales: the learned scales, one for each tensor, in its standard deviations.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layout: WeightLayout) -> None:
        super().__init__(layout)
        self.register_buffer("mean", torch.zeros(layout.num_params))
        self.register_buffer("std", torch.ones(layout.num_params))
        self.scales = nn.Parameter(torch.full((len(layout.tensors),), FIRST_SCALE))

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """See `WeightModule.set_statistics`."""
        self.mean.copy_(mean)
        self.std.copy_(std)

    def forward(self, weights: Tensor) -> Tensor:
        """See `Decoder.forward`."""
        return self.in_parts(weights, INRS_AT_ONCE, self._scaled)

    def _scaled(self, weights: Tensor) -> Tensor:
        changes = self.changes((weights - self.mean) / self.std)
        scaled = {
            tensor.name: scale * changes[tensor.name]
            for tensor, scale in zip(self.layout.tensors, self.scales, strict=True)
        }
        change: Tensor = self.std * self.layout.join(scaled)
        return change

    @abstractmethod
    def changes(self, weights: Tensor) -> Mapping[str, Tensor]:
        """Return a number of order 1 for each number of normalised weights (B, P): tensors (B, *shape) by name."""
