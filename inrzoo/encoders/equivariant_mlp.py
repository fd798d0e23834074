"""Layers that are linear and equivariant under renumbering of neurons, for any layout: Navon et al. 2023 (DWSNets,
arXiv 2301.12780) and Zhou et al. 2023 (NFN, arXiv 2302.14040), which derive them for MLPs.

Tensors that run over the same neuron axes share a *place*; coordinates and channels are features there. An MLP 2/H/H/1
has the places (h0), (h1, h0), (h1) and (). The map between places is that of `_equivariant_linear`.
Formulas: docs/derivations/encoders.md#equivariant-layers.

Shape letters: B INRs, P parameters of one INR, C features at a place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from inrzoo.encoders import Encoder, WeightModule
from inrzoo.encoders._equivariant_linear import EquivariantLinear, Place, at_place, place_of
from inrzoo.encoders._fourier_features import FourierFeatures
from inrzoo.weights import FIXED_AXES, WeightLayout, WeightTensor

INRS_AT_ONCE = 16
"""Number of INRs that are computed together on a CPU. The features of 16 fit a core's cache, which halves the
time of a training step of 128."""


@dataclass(kw_only=True, eq=False, repr=False)
class EquivariantTrunk(WeightModule):
    """Equivariant layers with GELU between them: numbers at places come in, C features of each place go out.

    Attributes:
        layout: layout of the weights.
        hidden_features: C.
        num_layers: number of equivariant layers.
        num_frequencies: half the number of Fourier features of a weight; 0 uses the weight itself.
        sigma: standard deviation of the frequencies.
        dropout: dropout probability after each layer.
        places: neuron axes of each place.
        channels: numbers of an INR at each place, by place.

    Raises:
        InrzooError: a tensor has the same axis twice, or an argument is out of range.
    """

    layout: WeightLayout
    hidden_features: int = 64
    num_layers: int = 4
    num_frequencies: int = 0
    sigma: float = 1.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Make the layers."""
        super().__init__(self.layout)
        self.require_counts(hidden_features=self.hidden_features, num_layers=self.num_layers)
        self.require("num_frequencies", self.num_frequencies, self.num_frequencies >= 0, "at least 0")
        self.require("dropout", self.dropout, 0 <= self.dropout < 1, "at least 0 and below 1")
        self.require_distinct_axes("equivariant_mlp")
        self.channels: dict[Place, int] = {}
        for tensor in self.layout.tensors:
            place = place_of(tensor.axes)
            self.channels[place] = self.channels.get(place, 0) + math.prod(_fixed_sizes(tensor))
        self.places = list(self.channels)
        self.fourier = FourierFeatures(self.num_frequencies, self.sigma) if self.num_frequencies else None
        each, C = self.fourier.out_features if self.fourier else 1, self.hidden_features
        self.embed = nn.ModuleList(nn.Linear(each * self.channels[place], C) for place in self.places)
        self.layers = nn.ModuleList(EquivariantLayer(self.places, C, self.dropout) for _ in range(self.num_layers))

    def at_places(self, weights: Tensor) -> dict[Place, Tensor]:
        """Return the features (B, *neurons, C) of each place after the last layer."""
        at_places = {
            place: embed(numbers)
            for embed, (place, numbers) in zip(self.embed, self.numbers(weights).items(), strict=True)
        }
        for i, layer in enumerate(self.layers):
            new = layer(at_places)
            at_places = {place: at_places[place] + new[place] if i else new[place] for place in self.places}
        return at_places

    def numbers(self, weights: Tensor) -> dict[Place, Tensor]:
        """Return the weights at each place, or their Fourier features: (B, *neurons, numbers)."""
        parts: dict[Place, list[Tensor]] = {place: [] for place in self.places}
        for tensor, values in zip(self.layout.tensors, self.layout.split(weights).values(), strict=True):
            parts[place_of(tensor.axes)].append(at_place(values[..., None], tensor.axes))
        joined = {place: torch.cat(values, dim=-1) for place, values in parts.items()}
        if self.fourier is None:
            return joined
        return {place: self.fourier(values).flatten(-2) for place, values in joined.items()}

    def tensors(self, numbers: Mapping[Place, Tensor]) -> dict[str, Tensor]:
        """Return the tensors (B, *shape) by name of one number of each weight: the inverse of `numbers`."""
        first = dict.fromkeys(self.places, 0)
        tensors = {}
        for tensor in self.layout.tensors:
            place, fixed = place_of(tensor.axes), _fixed_sizes(tensor)
            start, count = first[place], math.prod(fixed)
            first[place] += count
            values = numbers[place][..., start : start + count].unflatten(-1, fixed or (1,))
            order = [*place, *(axis for axis in tensor.axes if axis in FIXED_AXES)]
            values = values if fixed else values[..., 0]
            tensors[tensor.name] = values.permute(0, *(1 + order.index(axis) for axis in tensor.axes))
        return tensors


@dataclass(kw_only=True, eq=False, repr=False)
class EquivariantMlp(EquivariantTrunk, Encoder):
    """Equivariant layers with GELU between them, then mean and maximum over each place.

    The linear maps are the general ones, as in `nfn`, but a place has C features however many tensors share it. GELU,
    layer norm and, from the second layer on, the residual are ours. The published networks are `nfn` and `dws`.

    Attributes:
        out_features: number of features.
        num_frequencies: half the number of Fourier features of a weight; 0 uses the weight itself. See
            docs/derivations/encoders.md#fourier-features-of-numbers.
    """

    symmetries = ("permutation",)

    out_features: int = 128

    def __post_init__(self) -> None:
        """Make the layers and the read-out."""
        super().__post_init__()
        self.require_counts(out_features=self.out_features)
        pooled = 2 * self.hidden_features * len(self.places)
        self.read_out = nn.Sequential(nn.Linear(pooled, self.out_features), nn.ReLU())

    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, out_features) of weights (B, P)."""
        features: Tensor = self.read_out(self.in_parts(weights, INRS_AT_ONCE, self.pooled))
        return features

    def pooled(self, weights: Tensor) -> Tensor:
        """Return mean and maximum over each place, concatenated."""
        at_places = self.at_places(weights)
        pooled = []
        for place in self.places:
            flat_BLC = at_places[place].flatten(1, -2) if place else at_places[place][:, None]
            pooled += [flat_BLC.mean(1), flat_BLC.amax(1)]
        return torch.cat(pooled, dim=-1)


class EquivariantLayer(EquivariantLinear):
    """The general linear equivariant map between all places, layer norm, GELU.

    Args:
        places: neuron axes of each place.
        features: C.
        dropout: dropout probability.
    """

    def __init__(self, places: list[Place], features: int, dropout: float) -> None:
        super().__init__(dict.fromkeys(places, features), dict.fromkeys(places, features))
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in places)
        self.dropout = nn.Dropout(dropout)

    def forward(self, at_places: Mapping[Place, Tensor]) -> dict[Place, Tensor]:
        """Map features (B, *neurons, C) of each place to new ones."""
        mapped = super().forward(at_places)
        return {
            place: self.dropout(nn.functional.gelu(norm(mapped[place])))
            for place, norm in zip(self.places, self.norms, strict=True)
        }


def _fixed_sizes(tensor: WeightTensor) -> tuple[int, ...]:
    """Return the sizes of the axes of coordinates and channels, which are features at a place."""
    return tuple(size for axis, size in zip(tensor.axes, tensor.shape, strict=True) if axis in FIXED_AXES)
