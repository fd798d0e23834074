"""INRs as graphs of PyTorch Geometric: a node for each neuron, an edge for each weight; see `inrzoo.weight_graph`.

Shape letters: B INRs of a batch, P parameters, N nodes, E edges, F kinds of numbers at a node, G at an edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from inrzoo.errors import InrzooError
from inrzoo.loaders.batch import Items, WeightBatch
from inrzoo.weight_graph import Construction, Values, WeightGraph
from inrzoo.weights import WeightLayout

if TYPE_CHECKING:
    from torch_geometric.data import Batch, Data

    from inrzoo.loaders.dataset import WeightDataset

NUMBERS = ("signal", "seed", "step")
"""Columns of a batch that a graph keeps under their names."""


@dataclass(frozen=True)
class GraphTensors:
    """The graphs of INRs of one layout.

    Attributes:
        x: (..., N, F), a number at each node for each kind of tensor with one axis, such as biases; 0 where a node has
            none.
        edge_index: (2, E) int64, the nodes from which and to which an edge leads, from the coordinates to the channels.
        edge_attr: (..., E, G), a number at each edge for each kind of tensor with two axes, such as weights; 0 where an
            edge has none.
        node_type: (N,) int64: one type for each coordinate and channel, and one for all neurons of a layer.
        edge_type: (E,) int64: the kind of the edge's number.
        node_kinds, edge_kinds: names of the F and G kinds.
    """

    x: Tensor
    edge_index: Tensor
    edge_attr: Tensor
    node_type: Tensor
    edge_type: Tensor
    node_kinds: tuple[str, ...]
    edge_kinds: tuple[str, ...]


@lru_cache(maxsize=8)
def _graph(layout: WeightLayout, construction: Construction) -> tuple[WeightGraph, np.ndarray[Any, Any]]:
    graph = WeightGraph.from_layout(layout, construction)
    return graph, np.flatnonzero(graph.edge_type)


def graph_tensors(weights: Tensor, layout: WeightLayout, graph: Construction = "merged") -> GraphTensors:
    """Return the graphs of INRs.

    Args:
        weights: (..., P).
        layout: their layout.
        graph: `"merged"`, or for multiplicative filter networks `"products"`.

    Raises:
        InrzooError: the construction is unknown, or the layout has no graph.
    """
    made, edges_E = _graph(layout, graph)
    places_E = torch.from_numpy(edges_E)
    number = np.zeros(made.num_nodes**2, dtype=np.int64)
    number[edges_E] = np.arange(len(edges_E))

    def table(kinds: Sequence[Values], size: int, at: Any) -> Tensor:
        values = weights.new_zeros((*weights.shape[:-1], size, len(kinds)))
        for column, kind in enumerate(kinds):
            values[..., torch.from_numpy(at(kind.place)), column] = weights[..., torch.from_numpy(kind.index)]
        return values

    return GraphTensors(
        x=table(made.node_values, made.num_nodes, lambda place: place),
        edge_index=torch.stack([places_E // made.num_nodes, places_E % made.num_nodes]),
        edge_attr=table(made.edge_values, len(edges_E), lambda place: number[place]),
        node_type=torch.from_numpy(made.position),
        edge_type=torch.from_numpy(made.edge_type[edges_E] - 1),
        node_kinds=tuple(kind.kind for kind in made.node_values),
        edge_kinds=tuple(kind.kind for kind in made.edge_values),
    )


def to_pyg(inrs: WeightBatch, layout: WeightLayout, graph: Construction = "merged") -> Data | Batch:
    """Return the graph of a single INR as PyTorch Geometric's `Data`, and those of a batch as its `Batch`.

    Attributes of a graph: `x`, `edge_index`, `edge_attr`, `node_type`, `edge_type` as in `GraphTensors`, `y` the class,
    the label columns as `label_NAME`, `signal`, `seed` and `step`.

    Args:
        inrs: a single INR or a batch.
        layout: `dataset.layout`.
        graph: `"merged"`, or for multiplicative filter networks `"products"`.

    Raises:
        InrzooError: torch_geometric is not installed, the construction is unknown, or the layout has no graph.

    Example:
        >>> dataset = inrzoo.load("digits.zarr")
        >>> graph_tensors(dataset[0].weights, dataset.layout).edge_attr.shape  # an edge for each weight
        torch.Size([88, 1])
    """
    if inrs.is_single:
        return _graphs(inrs.map(lambda tensor: tensor[None]), layout, graph)[0]
    batch: Batch = _geometric().Batch.from_data_list(_graphs(inrs, layout, graph))
    return batch


class GraphDataset(Dataset["Data"]):
    """The INRs of a dataset as graphs, map-style, for PyTorch Geometric's DataLoader; see `to_pyg`."""

    def __init__(self, dataset: WeightDataset, graph: Construction = "merged") -> None:
        _geometric()
        _graph(dataset.layout, graph)
        self.dataset, self.graph = dataset, graph

    def __len__(self) -> int:
        """Return the number of INRs."""
        return len(self.dataset)

    def __getitem__(self, number: int) -> Data:
        """Return the graph of one INR by its number."""
        return to_pyg(self.dataset[number], self.dataset.layout, self.graph)

    def __getitems__(self, numbers: list[int]) -> list[Data]:
        """Read the graphs of a whole batch for a DataLoader."""
        return _graphs(self.dataset[numbers], self.dataset.layout, self.graph)


def _graphs(inrs: WeightBatch, layout: WeightLayout, graph: Construction) -> list[Data]:
    data, tensors = _geometric().Data, graph_tensors(inrs.weights, layout, graph)
    shared = {name: getattr(tensors, name) for name in ("edge_index", "node_type", "edge_type")}
    return [
        data(x=tensors.x[number], edge_attr=tensors.edge_attr[number], **shared, **_columns(one))
        for number, one in enumerate(Items(inrs))
    ]


def _columns(inr: WeightBatch) -> Mapping[str, Tensor]:
    """Return the columns of one INR, (1,) each, so that a batch of graphs concatenates them."""
    named = {f"label_{name}": codes for name, codes in inr.labels.items()}
    numbers = {name: getattr(inr, name) for name in NUMBERS}
    return {name: tensor[None] for name, tensor in {"y": inr.label, **named, **numbers}.items()}


def _geometric() -> Any:
    try:
        import torch_geometric.data
    except ImportError:
        raise InrzooError("graphs need PyTorch Geometric: pip install torch_geometric") from None
    return torch_geometric.data
