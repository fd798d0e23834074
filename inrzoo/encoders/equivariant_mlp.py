"""Layers that are linear and equivariant under renumbering of neurons, for any layout: Navon et al. 2023 (DWSNets,
arXiv 2301.12780) and Zhou et al. 2023 (NFN, arXiv 2302.14040), which derive them for stacks of linear maps.

Here they follow from the names of the axes. Tensors that run over the same neuron axes share a *place* (coordinates and
channels are never renumbered, so those axes are features): an MLP 2/H/H/1 has the places (h0), (h1, h0), (h1) and ().
What a linear equivariant map may do between two places is: keep some of the axes that they share, average over the
others, spread over what is missing. Summed over all sets of kept axes and all pairs of places, that is every such map;
averages and not sums, so that their scale does not depend on H.
Formulas: docs/derivations/encoders.md#equivariant-layers.

Shape letters: B INRs, P parameters of one INR, C features at a place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor, nn

from inrzoo.encoders import Encoder
from inrzoo.encoders._fourier_features import FourierFeatures
from inrzoo.errors import InrzooError
from inrzoo.weights import FIXED_AXES, WeightLayout

Place = tuple[str, ...]

INRS_AT_ONCE = 16
"""On a CPU: what lies at 32 × 32 places for 16 INRs fits a core's cache. A training step of 128 takes half the time."""


class EquivariantMlp(Encoder):
    """Equivariant layers with a nonlinearity between them, then mean and maximum over each place.

    The layers are those of NFN with all their terms; layer norm and, from the second layer on, the sum with what came
    in are ours.

    Args:
        layout: of the weights.
        hidden_features: C.
        num_layers: equivariant ones.
        out_features: of the result.
        num_frequencies: Fourier features of every number are twice as many; 0 for the number itself. See
            docs/derivations/encoders.md#fourier-features-of-numbers.
        sigma: standard deviation of their frequencies.
        dropout: probability, behind each layer.

    Raises:
        InrzooError: a tensor in which one axis stands twice, or an argument out of its range.
    """

    symmetries = ("permutation",)

    def __init__(
        self,
        *,
        layout: WeightLayout,
        hidden_features: int = 64,
        num_layers: int = 4,
        out_features: int = 128,
        num_frequencies: int = 0,
        sigma: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(layout)
        self.require_counts(hidden_features=hidden_features, num_layers=num_layers, out_features=out_features)
        self.require("num_frequencies", num_frequencies, num_frequencies >= 0, "at least 0")
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        self.out_features = out_features
        channels: dict[Place, int] = {}
        for tensor in layout.tensors:
            if len(set(tensor.axes)) < len(tensor.axes):
                raise InrzooError(
                    f"{tensor.name} has the axes {tensor.axes}: one twice, which equivariant_mlp cannot do"
                )
            place = place_of(tensor.axes)
            fixed = [size for axis, size in zip(tensor.axes, tensor.shape, strict=True) if axis in FIXED_AXES]
            channels[place] = channels.get(place, 0) + math.prod(fixed)
        self.places = list(channels)
        self.fourier = FourierFeatures(num_frequencies, sigma) if num_frequencies else None
        each = self.fourier.out_features if self.fourier else 1
        self.embed = nn.ModuleList(nn.Linear(each * channels[place], hidden_features) for place in self.places)
        self.layers = nn.ModuleList(EquivariantLayer(self.places, hidden_features, dropout) for _ in range(num_layers))
        self.read_out = nn.Sequential(nn.Linear(2 * hidden_features * len(self.places), out_features), nn.ReLU())

    def forward(self, weights: Tensor) -> Tensor:
        """Features (B, out_features) of weights (B, P)."""
        at_once = INRS_AT_ONCE if weights.device.type == "cpu" else max(1, len(weights))
        features: Tensor = self.read_out(torch.cat([self.pooled(part) for part in weights.split(at_once)]))
        return features

    def pooled(self, weights: Tensor) -> Tensor:
        """Mean and maximum over each place, one behind the other."""
        at_places = {
            place: embed(numbers)
            for embed, (place, numbers) in zip(self.embed, self.numbers(weights).items(), strict=True)
        }
        for i, layer in enumerate(self.layers):
            new = layer(at_places)
            at_places = {place: at_places[place] + new[place] if i else new[place] for place in self.places}
        pooled = []
        for place in self.places:
            flat_BLC = at_places[place].flatten(1, -2) if place else at_places[place][:, None]
            pooled += [flat_BLC.mean(1), flat_BLC.amax(1)]
        return torch.cat(pooled, dim=-1)

    def numbers(self, weights: Tensor) -> dict[Place, Tensor]:
        """What stands at each place: (B, *neurons, numbers or their Fourier features)."""
        parts: dict[Place, list[Tensor]] = {place: [] for place in self.places}
        for tensor, values in zip(self.layout.tensors, self.layout.split(weights).values(), strict=True):
            place = place_of(tensor.axes)
            # Sorted axes, so that (to, from) and (from, to) agree; fixed axes last, then flat.
            order = [1 + tensor.axes.index(axis) for axis in place]
            order += [1 + i for i, axis in enumerate(tensor.axes) if axis in FIXED_AXES]
            values = values.permute(0, *order)[..., None]
            parts[place].append(values.flatten(1 + len(place)))
        joined = {place: torch.cat(values, dim=-1) for place, values in parts.items()}
        if self.fourier is None:
            return joined
        return {place: self.fourier(values).flatten(-2) for place, values in joined.items()}


class EquivariantLayer(nn.Module):
    """The general linear equivariant map between all places, layer norm, GELU.

    Args:
        places: neuron axes of each.
        features: C, of inputs and outputs.
        dropout: probability.
    """

    def __init__(self, places: list[Place], features: int, dropout: float) -> None:
        super().__init__()
        self.places = places
        # kept axes -> places that have them all
        self.sources = {
            kept: [place for place in places if set(kept) <= set(place)] for place in places for kept in subsets(place)
        }
        self.maps = nn.ModuleList(
            nn.ModuleList(
                nn.Linear(features * len(self.sources[kept]), features, bias=not kept) for kept in subsets(place)
            )
            for place in places
        )
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in places)
        self.dropout = nn.Dropout(dropout)

    def forward(self, at_places: Mapping[Place, Tensor]) -> dict[Place, Tensor]:
        """Place -> (B, *neurons, C), in and out."""
        known = {
            kept: torch.cat([average(at_places[place], place, kept) for place in sources], dim=-1)
            for kept, sources in self.sources.items()
        }
        result = {}
        for place, maps, norm in zip(self.places, self.maps, self.norms, strict=True):
            terms = [
                spread(linear_map(known[kept]), kept, place)
                for kept, linear_map in zip(subsets(place), maps, strict=True)  # type: ignore[call-overload]
            ]
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            result[place] = self.dropout(nn.functional.gelu(norm(total)))
        return result


def place_of(axes: tuple[str, ...]) -> Place:
    """The neuron axes among `axes`, sorted."""
    return tuple(sorted(axis for axis in axes if axis not in FIXED_AXES))


def subsets(place: Place) -> list[Place]:
    """All sets of axes of a place, the empty one first."""
    return [kept for size in range(len(place) + 1) for kept in combinations(place, size)]


def average(values: Tensor, place: Place, kept: Place) -> Tensor:
    """Mean over the axes that are not kept: (B, *neurons of place, C) to (B, *neurons of kept, C)."""
    away = [1 + i for i, axis in enumerate(place) if axis not in kept]
    return values.mean(away) if away else values


def spread(values: Tensor, kept: Place, place: Place) -> Tensor:
    """(B, *neurons of kept, C) with a dimension of size 1 for every further axis of `place`."""
    for i, axis in enumerate(place):
        if axis not in kept:
            values = values.unsqueeze(1 + i)
    return values
