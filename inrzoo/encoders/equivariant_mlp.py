"""Layers that are linear and equivariant under renumbering of neurons, for any layout: Navon et al. 2023 (DWSNets,
arXiv 2301.12780) and Zhou et al. 2023 (NFN, arXiv 2302.14040), which derive them for MLPs.

The layers follow from the names of the axes. Tensors that run over the same neuron axes share a *place* (coordinates
and channels are never renumbered, so those axes are features): an MLP 2/H/H/1 has the places (h0), (h1, h0), (h1) and
(). Between two places a linear equivariant map keeps some of the shared axes, averages over the others of its input and
broadcasts over the others of its output. The sum over all sets of kept axes and all pairs of places is the general map.
Averages instead of sums make the scale independent of H.
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
"""Number of INRs that are computed together on a CPU. The features of 16 fit a core's cache, which halves the
time of a training step of 128."""


class EquivariantMlp(Encoder):
    """Equivariant layers with GELU between them, then mean and maximum over each place.

    The layers are those of NFN with all their terms; layer norm and, from the second layer on, the residual are ours.

    Args:
        layout: layout of the weights.
        hidden_features: C.
        num_layers: number of equivariant layers.
        out_features: number of features.
        num_frequencies: half the number of Fourier features of a weight; 0 uses the weight itself. See
            docs/derivations/encoders.md#fourier-features-of-numbers.
        sigma: standard deviation of the frequencies.
        dropout: dropout probability after each layer.

    Raises:
        InrzooError: a tensor has the same axis twice, or an argument is out of range.
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
                    f"{tensor.name} has the axes {tensor.axes}; equivariant_mlp cannot take a tensor with an axis twice"
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
        """Return the features (B, out_features) of weights (B, P)."""
        features: Tensor = self.read_out(self.in_parts(weights, INRS_AT_ONCE, self.pooled))
        return features

    def pooled(self, weights: Tensor) -> Tensor:
        """Return mean and maximum over each place, concatenated."""
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
        """Return the weights at each place, or their Fourier features: (B, *neurons, numbers)."""
        parts: dict[Place, list[Tensor]] = {place: [] for place in self.places}
        for tensor, values in zip(self.layout.tensors, self.layout.split(weights).values(), strict=True):
            place = place_of(tensor.axes)
            # Neuron axes are sorted, so that (to, from) and (from, to) agree; fixed axes come last and are flattened.
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
        places: neuron axes of each place.
        features: C.
        dropout: dropout probability.
    """

    def __init__(self, places: list[Place], features: int, dropout: float) -> None:
        super().__init__()
        self.places = places
        # shared axes -> places that have them all
        self.sources = {
            shared: [place for place in places if set(shared) <= set(place)]
            for place in places
            for shared in subsets(place)
        }
        self.maps = nn.ModuleList(
            nn.ModuleList(
                nn.Linear(features * len(self.sources[shared]), features, bias=not shared) for shared in subsets(place)
            )
            for place in places
        )
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in places)
        self.dropout = nn.Dropout(dropout)

    def forward(self, at_places: Mapping[Place, Tensor]) -> dict[Place, Tensor]:
        """Map features (B, *neurons, C) of each place to new ones."""
        averages = {
            shared: torch.cat([average(at_places[place], place, shared) for place in sources], dim=-1)
            for shared, sources in self.sources.items()
        }
        result = {}
        for place, maps, norm in zip(self.places, self.maps, self.norms, strict=True):
            terms = [
                spread(linear_map(averages[shared]), shared, place)
                for shared, linear_map in zip(subsets(place), maps, strict=True)  # type: ignore[call-overload]
            ]
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            result[place] = self.dropout(nn.functional.gelu(norm(total)))
        return result


def place_of(axes: tuple[str, ...]) -> Place:
    """Return the neuron axes among `axes`, sorted."""
    return tuple(sorted(axis for axis in axes if axis not in FIXED_AXES))


def subsets(place: Place) -> list[Place]:
    """Return all sets of axes of a place, the empty one first."""
    return [axes for size in range(len(place) + 1) for axes in combinations(place, size)]


def average(values: Tensor, place: Place, shared: Place) -> Tensor:
    """Average over all axes but `shared`: (B, *neurons of place, C) to (B, *neurons of shared, C)."""
    averaged = [1 + i for i, axis in enumerate(place) if axis not in shared]
    return values.mean(averaged) if averaged else values


def spread(values: Tensor, shared: Place, place: Place) -> Tensor:
    """Give (B, *neurons of shared, C) a dimension of size 1 for every further axis of `place`."""
    for i, axis in enumerate(place):
        if axis not in shared:
            values = values.unsqueeze(1 + i)
    return values
