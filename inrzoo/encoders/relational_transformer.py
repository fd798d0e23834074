"""Relational transformer on the graph of an INR: Zhang et al. 2023, "Neural networks are graphs!", without probe
features; the encoder of the contrastive paper (Sec. 3.3, 4.2). Numbers and formulas:
docs/derivations/encoders.md#relational-attention.

Shape letters: B INRs, P parameters of one INR, N nodes, F node features, E edge features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from inrzoo.encoders import Encoder
from inrzoo.encoders._fourier_features import FourierFeatures
from inrzoo.encoders._graph import Construction, Values, WeightGraph
from inrzoo.encoders._relational_layer import RelationalLayer
from inrzoo.weights import WeightLayout

INRS_AT_ONCE_ON_A_CPU = 4
"""Their edges fit a core's cache: a training step takes half the time it takes with 16."""


class RelationalTransformer(Encoder):
    """Weights to features, the same for every numbering of the neurons.

    Every number is embedded by Gaussian Fourier features, at its node or its edge; nodes learn their position (each
    coordinate and channel has one, the units of a layer share theirs). Where a graph has edges of several types (ω, W
    and products of a multiplicative filter network) the type is embedded too. The output nodes, one behind the other,
    give the features: Linear, ReLU; the last linear map of the paper's read-out is the task's.

    Numbers should be normalised for each tensor (`normalise="per_tensor"`): the frequencies are for values of order 1.
    Defaults are the authors' but for dropout: their scripts take 0.2.

    Edges are N² · E numbers an INR, and attention needs 4 A of them at each. So `inrs_at_once` INRs are computed
    together, on a CPU 4 at most, and in training what a layer computed is thrown away and computed again for its
    gradient (`torch.utils.checkpoint`): a third more time. Neither changes the result.

    Args:
        layout: of the weights.
        graph: `"merged"` or `"products"`, for multiplicative filter networks; see `inrzoo.encoders._graph`.
        num_layers: of the transformer.
        num_heads: of the attention.
        node_features, edge_features, attention_features: F, E, A; A is a multiple of `num_heads`.
        node_hidden, edge_hidden: of the feed-forward networks.
        out_features: of the result.
        num_frequencies: Fourier features of a number are twice as many.
        sigma: standard deviation of their frequencies.
        dropout: probability, in every layer.
        inrs_at_once: how many INRs' attention is in memory at a time; 0 for all's, and nothing is computed twice.

    Raises:
        InrzooError: a layout that is no graph, or an argument out of its range.
    """

    symmetries = ("permutation",)
    edge_types: Tensor
    positions: Tensor
    outputs: Tensor

    def __init__(
        self,
        *,
        layout: WeightLayout,
        graph: Construction = "merged",
        num_layers: int = 4,
        num_heads: int = 8,
        node_features: int = 64,
        edge_features: int = 32,
        attention_features: int = 128,
        node_hidden: int = 128,
        edge_hidden: int = 64,
        out_features: int = 128,
        num_frequencies: int = 128,
        sigma: float = 1.0,
        dropout: float = 0.0,
        inrs_at_once: int = 16,
    ) -> None:
        super().__init__(layout)
        self.require_counts(num_layers=num_layers, num_heads=num_heads, num_frequencies=num_frequencies)
        divides = attention_features % num_heads == 0
        self.require("attention_features", attention_features, divides, f"a multiple of num_heads = {num_heads}")
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        self.require("inrs_at_once", inrs_at_once, inrs_at_once >= 0, "at least 0")
        built = WeightGraph.of(layout, graph)
        self.num_nodes = built.num_nodes
        self.out_features, self.inrs_at_once = out_features, inrs_at_once
        self.embed_nodes = NumberEmbedding(
            built.node_values, built.num_nodes, node_features, FourierFeatures(num_frequencies, sigma)
        )
        self.embed_edges = NumberEmbedding(
            built.edge_values, built.num_nodes**2, edge_features, FourierFeatures(num_frequencies, sigma)
        )
        self.register_buffer("positions", torch.from_numpy(built.position), persistent=False)
        self.register_buffer("edge_types", torch.from_numpy(built.edge_type), persistent=False)
        self.register_buffer("outputs", torch.from_numpy(built.outputs), persistent=False)
        self.position = nn.Embedding(1 + int(built.position.max()), node_features)
        num_types = 1 + int(built.edge_type.max())
        # An MLP has one type of edges: there, as in the authors' code, no edge is an edge of weight 0.
        self.edge_type = nn.Embedding(num_types, edge_features) if num_types > 2 else None
        self.layers = nn.ModuleList(
            RelationalLayer(
                node_features=node_features,
                edge_features=edge_features,
                attention_features=attention_features,
                num_heads=num_heads,
                node_hidden=node_hidden,
                edge_hidden=edge_hidden,
                dropout=dropout,
                update_edges=i < num_layers - 1,
            )
            for i in range(num_layers)
        )
        self.read_out = nn.Sequential(nn.Linear(len(built.outputs) * node_features, out_features), nn.ReLU())

    def forward(self, weights: Tensor) -> Tensor:
        """Features (B, out_features) of weights (B, P)."""
        at_once = self.inrs_at_once or len(weights)
        if weights.device.type == "cpu":
            at_once = min(at_once, INRS_AT_ONCE_ON_A_CPU)
        again = torch.is_grad_enabled() and self.inrs_at_once > 0
        parts = []
        for part in weights.split(at_once):
            nodes_BNF, edges_BNNE = self.embed(part)
            for layer in self.layers:
                if again:
                    nodes_BNF, edges_BNNE = checkpoint(layer, nodes_BNF, edges_BNNE, use_reentrant=False)
                else:
                    nodes_BNF, edges_BNNE = layer(nodes_BNF, edges_BNNE)
            parts.append(nodes_BNF[:, self.outputs].flatten(1))
        features: Tensor = self.read_out(torch.cat(parts))
        return features

    def embed(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """What the first layer sees: nodes (B, N, F) and edges (B, N, N, E), edge (i, j) from i to j."""
        nodes_BNF = self.embed_nodes(weights) + self.position(self.positions)
        edges = self.embed_edges(weights)
        if self.edge_type is not None:
            edges = edges + self.edge_type(self.edge_types)
        return nodes_BNF, edges.unflatten(1, (self.num_nodes, self.num_nodes))


class NumberEmbedding(nn.Module):
    """Numbers to vectors at their places: Fourier features, a linear map for each kind, their sum, another linear map.

    A place that has no number of a kind is embedded as if it had a 0, as in the authors' code.

    Args:
        values: where the numbers of each kind stand.
        num_places: nodes, or pairs of nodes.
        out_features: of a vector.
        features: of a number.
    """

    def __init__(self, values: Sequence[Values], num_places: int, out_features: int, features: FourierFeatures) -> None:
        super().__init__()
        self.num_places, self.features = num_places, features
        self.kinds = [value.kind for value in values]
        self.maps = nn.ModuleList(nn.Linear(features.out_features, out_features) for _ in values)
        self.out = nn.Linear(out_features, out_features)
        for number, value in enumerate(values):
            self.register_buffer(f"index_{number}", torch.from_numpy(value.index.astype(np.int64)), persistent=False)
            self.register_buffer(f"place_{number}", torch.from_numpy(value.place.astype(np.int64)), persistent=False)

    def forward(self, weights: Tensor) -> Tensor:
        """(B, P) to (B, places, out_features)."""
        zero = self.features(weights.new_zeros(1))
        of_zero = torch.stack([map_of_kind(zero) for map_of_kind in self.maps]).sum(0)
        embedded = of_zero.expand(len(weights), self.num_places, -1)
        for number, map_of_kind in enumerate(self.maps):
            index, place = self.get_buffer(f"index_{number}"), self.get_buffer(f"place_{number}")
            change = map_of_kind(self.features(weights[:, index])) - map_of_kind(zero)
            embedded = embedded.index_add(1, place, change)
        result: Tensor = self.out(embedded)
        return result
