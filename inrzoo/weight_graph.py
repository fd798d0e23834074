"""The graph of an INR, from its layout alone: one node a neuron, one edge a weight.

Zhang et al. 2023, "Neural networks are graphs! Graph neural networks for equivariant processing of neural networks":
coordinates, neurons and channels are nodes, tensors with one axis are numbers at nodes, tensors with two axes
(to, from) are numbers at edges (docs/derivations/encoders.md#graph-of-an-inr). A multiplicative filter network has two
such graphs (docs/derivations/encoders.md#graph-of-a-filter-network):

* `"merged"`: every index of an axis is one node. A unit of filter i carries φ_i and the bias that multiplies it.
* `"products"`, Figure 1 of the contrastive paper: a unit of a filter and the product that it goes into are two nodes
  joined by an edge without a number: the diagonal blocks of the figure.

Both are the same for an MLP, and both have the same symmetry: renumbering an axis renumbers nodes.

Shape letters: P parameters of one INR, N nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.nearest import among
from inrzoo.weights import FIXED_AXES, WeightLayout, WeightTensor

Construction = Literal["merged", "products"]


@dataclass(frozen=True)
class Values:
    """The parameters of one kind and their nodes or edges.

    Attributes:
        kind: the tensors' name without its number: `weight`, `bias`, `omega`, …
        index: (count,) positions in the flat weights.
        place: (count,) the number of the node, or from · N + to for an edge.
    """

    kind: str
    index: NDArray[np.int64]
    place: NDArray[np.int64]


@dataclass(frozen=True)
class WeightGraph:
    """Nodes and edges of an INR, and the parameters at each.

    Attributes:
        num_nodes: N.
        position: (N,) number of the node's position: one for each coordinate and channel, one for all units of a layer.
        outputs: numbers of the output nodes, in the order of the channels.
        node_values, edge_values: one `Values` for each kind, in order of appearance.
        edge_type: (N · N,) the type of each edge, 0 for no edge; products have the highest number.
    """

    num_nodes: int
    position: NDArray[np.int64]
    outputs: NDArray[np.int64]
    node_values: tuple[Values, ...]
    edge_values: tuple[Values, ...]
    edge_type: NDArray[np.int64]

    @classmethod
    def from_layout(cls, layout: WeightLayout, construction: Construction = "merged") -> WeightGraph:
        """Build the graph of an INR.

        Raises:
            InrzooError: an unknown construction, a tensor with more than two axes, or no axis `out`.
        """
        if construction not in get_args(Construction):
            raise InrzooError(f"graph = {construction!r} is not known{among(construction, get_args(Construction))}")
        require_graph(layout)
        filters = _filter_layers(layout) if construction == "products" else {}

        nodes: dict[str, NDArray[np.int64]] = {}
        position: list[int] = []
        for axis in axes_in_order(layout):
            for group in [f"{axis} filters", axis] if axis in filters else [axis]:
                size, first = layout.axes[axis], 1 + max(position, default=-1)
                nodes[group] = len(position) + np.arange(size)
                position += [first + i if axis in FIXED_AXES else first for i in range(size)]
        num_nodes = len(position)

        def group_of(tensor: WeightTensor) -> str:
            """Return the group of nodes that a tensor's first axis runs over."""
            axis = tensor.axes[0]
            return f"{axis} filters" if _number(tensor) in filters.get(axis, ()) else axis

        numbers = layout.split(np.arange(layout.num_params))
        at_nodes, at_edges = [], []
        for tensor in layout.tensors:
            to = nodes[group_of(tensor)]
            if len(tensor.axes) == 1:
                at_nodes.append(Values(kind_of(tensor), numbers[tensor.name], to))
            else:
                place = nodes[tensor.axes[1]][None, :] * num_nodes + to[:, None]
                at_edges.append(Values(kind_of(tensor), numbers[tensor.name].ravel(), place.ravel()))
        node_values, edge_values = _by_kind(at_nodes), _by_kind(at_edges)

        edge_type = np.zeros(num_nodes**2, dtype=np.int64)
        for number, values in reversed(list(enumerate(edge_values, start=1))):
            edge_type[values.place] = number  # where parameters share an edge, the first kind decides the type
        for axis in filters:
            edge_type[nodes[f"{axis} filters"] * num_nodes + nodes[axis]] = len(edge_values) + 1
        return cls(num_nodes, np.array(position), nodes["out"], node_values, edge_values, edge_type)


def axes_in_order(layout: WeightLayout) -> list[str]:
    """Return the axes in the order of their nodes: coordinates, hidden neurons, channels."""
    return sorted(layout.axes, key=lambda axis: (axis == "out", axis != "in"))


def require_graph(layout: WeightLayout) -> None:
    """Raise InrzooError unless a layout has a graph: tensors with one or two axes, and an axis `out`."""
    for tensor in layout.tensors:
        if not 1 <= len(tensor.axes) <= 2:
            raise InrzooError(f"{tensor.name} has {len(tensor.axes)} axes; a graph takes tensors with one or two")
    if "out" not in layout.axes:
        raise InrzooError(f"a graph needs output nodes: no axis 'out' among {', '.join(layout.axes)}")


def kind_of(tensor: WeightTensor) -> str:
    """Return a tensor's name without its number: `weight` of `weight_0`."""
    return tensor.name.rstrip("0123456789").rstrip("_")


def _filter_layers(layout: WeightLayout) -> dict[str, set[str]]:
    """Return, for axes fed by coordinates and by neurons, the numbers of the tensors that read coordinates.

    Tensors of one layer share their number: `omega_1` and `phi_1` are a filter, `weight_0` and `bias_0` the linear
    layer whose value it is multiplied with.
    """
    of_coords: dict[str, set[str]] = {}
    of_neurons: dict[str, set[str]] = {}
    for tensor in layout.tensors:
        if len(tensor.axes) == 2:
            side = of_coords if tensor.axes[1] in FIXED_AXES else of_neurons
            side.setdefault(tensor.axes[0], set()).add(_number(tensor))
    return {axis: numbers - of_neurons[axis] for axis, numbers in of_coords.items() if axis in of_neurons}


def _number(tensor: WeightTensor) -> str:
    return tensor.name[len(tensor.name.rstrip("0123456789")) :]


def _by_kind(values: list[Values]) -> tuple[Values, ...]:
    order = list(dict.fromkeys(value.kind for value in values))
    grouped = groupby(sorted(values, key=lambda value: order.index(value.kind)), key=lambda value: value.kind)
    joined = [(kind, list(members)) for kind, members in grouped]
    return tuple(
        Values(kind, np.concatenate([m.index for m in members]), np.concatenate([m.place for m in members]))
        for kind, members in joined
    )
