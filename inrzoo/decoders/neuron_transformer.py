"""Changes of weights by a transformer with a token for each neuron; a weight between two neurons changes by a product
of what their tokens say. Formulas: docs/derivations/decoders.md#pairs-of-neurons.

Shape letters: B INRs, P parameters of one INR, N, M neurons of an axis, F features of a token, K of a product.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from inrzoo.decoders import NormalisedDecoder
from inrzoo.encoders.neuron_transformer import NeuronTokens
from inrzoo.errors import InrzooError
from inrzoo.weights import FIXED_AXES, WeightTensor


@dataclass(kw_only=True, eq=False, repr=False)
class NeuronTransformer(NeuronTokens, NormalisedDecoder):
    """The transformer of the encoder `neuron_transformer`, with sorted neighbours, read at each neuron.

    Sorting makes a token independent of the numbering of the neighbouring neurons, so that changes are equivariant. A
    token then does not show which weight leads where; the product of two tokens has to find it.

    Attributes:
        product_features: K, terms of the product that changes a weight between two neurons.

    Raises:
        InrzooError: a tensor runs over three axes of neurons or twice over one, or an argument is out of range.
    """

    symmetries = ("permutation",)

    sort_neighbours: bool = field(default=True, init=False)
    product_features: int = 32

    def __post_init__(self) -> None:
        """Make the transformer and the last maps."""
        super().__post_init__()
        self.require_counts(product_features=self.product_features)
        self.require_distinct_axes("neuron_transformer")
        self.out = nn.ModuleDict()
        for tensor in self.layout.tensors:
            neurons, fixed = _neurons_and_fixed(tensor)
            if len(neurons) > 2:
                raise InrzooError(f"{tensor.name} runs over {len(neurons)} axes of neurons; neuron_transformer takes 2")
            numbers = math.prod(fixed) * (self.product_features if len(neurons) == 2 else 1)
            self.out[tensor.name] = nn.ModuleList(nn.Linear(self.hidden_features, numbers) for _ in neurons or "-")

    def changes(self, weights: Tensor) -> Mapping[str, Tensor]:
        """See `NormalisedDecoder.changes`."""
        counts = [*self.layout.neuron_axes.values(), 1]
        parts = self.encoded(weights).split(counts[: len(counts) if self.embed_rest is not None else -1], dim=1)
        tokens = dict(zip(self.layout.neuron_axes, parts, strict=False))
        changes = {}
        for tensor in self.layout.tensors:
            neurons, fixed = _neurons_and_fixed(tensor)
            maps: nn.ModuleList = self.out[tensor.name]  # type: ignore[assignment]
            said = [each(tokens[axis]) for each, axis in zip(maps, neurons, strict=True)] if neurons else []
            if len(neurons) == 2:
                first, second = (numbers.unflatten(-1, (math.prod(fixed), -1)) for numbers in said)
                said = [torch.einsum("bnck,bmck->bnmc", first, second) / math.sqrt(first.shape[-1])]
            numbers = said[0] if said else maps[0](parts[-1][:, 0])
            numbers = numbers.reshape(len(weights), *(self.layout.axes[axis] for axis in neurons), *fixed)
            order = [*neurons, *(axis for axis in tensor.axes if axis in FIXED_AXES)]
            changes[tensor.name] = numbers.permute(0, *(1 + order.index(axis) for axis in tensor.axes))
        return changes


def _neurons_and_fixed(tensor: WeightTensor) -> tuple[list[str], list[int]]:
    """Return the axes of neurons of a tensor, and the sizes of its axes of coordinates and channels."""
    neurons = [axis for axis in tensor.axes if axis not in FIXED_AXES]
    return neurons, [size for axis, size in zip(tensor.axes, tensor.shape, strict=True) if axis in FIXED_AXES]
