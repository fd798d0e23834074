"""The general linear map between tensors that is equivariant under renumbering of axes: Navon et al. 2023 (DWSNets,
arXiv 2301.12780) and Zhou et al. 2023 (NFN, arXiv 2302.14040) derive it for MLPs.

It follows from the names of the axes. Tensors that run over the same axes share a *place*; axes that are never
renumbered are features there. Between two places an equivariant map keeps some of the shared axes, averages over the
others of its input and broadcasts over the others of its output. The sum over all sets of kept axes and all pairs of
places is the general map. Averages instead of sums make the scale independent of the width.
Formulas: docs/derivations/encoders.md#equivariant-layers.

Shape letters: B INRs, C features at a place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations

import torch
from torch import Tensor, nn

from inrzoo.weights import FIXED_AXES

Place = tuple[str, ...]


class EquivariantLinear(nn.Module):
    """The general linear equivariant map between all places.

    Args:
        inputs: number of features at each place.
        outputs: number of features that the map has at each place; the places of `inputs`.
    """

    def __init__(self, inputs: Mapping[Place, int], outputs: Mapping[Place, int]) -> None:
        super().__init__()
        self.places = list(outputs)
        # shared axes -> places that have them all
        self.sources = {
            shared: [place for place in self.places if set(shared) <= set(place)]
            for place in self.places
            for shared in subsets(place)
        }
        self.maps = nn.ModuleList(
            nn.ModuleList(
                nn.Linear(sum(inputs[source] for source in self.sources[shared]), outputs[place], bias=not shared)
                for shared in subsets(place)
            )
            for place in self.places
        )

    def forward(self, at_places: Mapping[Place, Tensor]) -> dict[Place, Tensor]:
        """Map features (B, *neurons, C) of each place to new ones."""
        averages = {
            shared: torch.cat([average(at_places[place], place, shared) for place in sources], dim=-1)
            for shared, sources in self.sources.items()
        }
        result = {}
        for place, maps in zip(self.places, self.maps, strict=True):
            terms = [
                spread(linear_map(averages[shared]), shared, place)
                for shared, linear_map in zip(subsets(place), maps, strict=True)  # type: ignore[call-overload]
            ]
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            result[place] = total
        return result


def place_of(axes: tuple[str, ...], fixed: Collection[str] = FIXED_AXES) -> Place:
    """Return those of `axes` that may be renumbered, sorted."""
    return tuple(sorted(axis for axis in axes if axis not in fixed))


def at_place(values: Tensor, axes: tuple[str, ...], fixed: Collection[str] = FIXED_AXES) -> Tensor:
    """Return a tensor (B, *axes, C) with the axes of its place in order; all others become features, (B, *place, C').

    Sorted axes make (to, from) and (from, to) agree.
    """
    place = place_of(axes, fixed)
    order = [1 + axes.index(axis) for axis in place]
    order += [1 + i for i, axis in enumerate(axes) if axis in fixed]
    return values.permute(0, *order, -1).flatten(1 + len(place))


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
