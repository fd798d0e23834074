"""Relational transformer on the graph of an INR: Zhang et al. 2023, "Neural networks are graphs!", by default without
probe features; the encoder of the contrastive paper (Sec. 3.3, 4.2). Its layer is that of Diao & Loynd, ICLR 2023,
"Relational attention", as Zhang et al. changed it for weights (`modulate_v`). Formulas and sizes:
docs/derivations/encoders.md#relational-attention.

Shape letters: B INRs, P parameters of one INR, N nodes, F node features, E edge features, A attention features, H
heads, d = A / H.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from inrzoo.encoders import Domain, Encoder, Probed
from inrzoo.encoders._fourier_features import FourierFeatures
from inrzoo.encoders._number_embedding import NumberEmbedding
from inrzoo.encoders._probe_features import ProbeFeatures
from inrzoo.native.relational import edge_update, relational_attention, serves
from inrzoo.weight_graph import Construction, WeightGraph, axes_in_order
from inrzoo.weights import WeightLayout

INRS_AT_ONCE_ON_A_CPU = 4
"""Number of INRs that are computed together on a CPU. The edges of 4 fit a core's cache: a training step takes
half the time that it takes with 16."""


class RelationalTransformer(Encoder):
    """A transformer whose features do not depend on the numbering of the neurons.

    Every weight is embedded by Gaussian Fourier features, at its node or its edge. Nodes have a learned position
    embedding (one for each coordinate and channel, one for all units of a layer). Where a graph has edges of several
    types (ω, W and products of a multiplicative filter network) the type is embedded too. Linear and ReLU map the
    concatenated output nodes to the features; the last linear layer of the paper's readout belongs to the task.

    Weights should be normalised for each tensor (`normalise="per_tensor"`): the frequencies are for values of order 1.
    Defaults are the authors', except dropout: their scripts take 0.2.

    The edges of an INR are N² · E numbers, and attention needs 4 A at each. Therefore `inrs_at_once` INRs are computed
    together, on a CPU at most 4, and training uses gradient checkpointing (`torch.utils.checkpoint`), which takes a
    third more time. Neither changes the result. In training on a CPU, without dropout, native code computes the layers
    (`inrzoo.native.relational`) and keeps nothing but their edges; it rounds otherwise.

    With probes, each neuron's activations at learned coordinates are added to its node: the encoder then evaluates the
    INR, too, and belongs to those that read the function.

    Args:
        layout: layout of the weights.
        inr, domain: the family that the weights are of, and where its functions were fitted; needed for probes.
        graph: `"merged"` or `"products"`, for multiplicative filter networks; see `inrzoo.weight_graph`.
        num_layers: number of transformer layers.
        num_heads: number of attention heads.
        node_features, edge_features, attention_features: F, E, A; A is a multiple of `num_heads`.
        node_hidden, edge_hidden: hidden features of the feed-forward networks.
        out_features: number of features.
        num_frequencies: half the number of Fourier features of a weight.
        sigma: standard deviation of the frequencies.
        dropout: dropout probability of every layer.
        num_probes: number of coordinates where activations are read; 0 for none. The authors take 64.
        inrs_at_once: number of INRs whose attention is in memory; 0 takes all, without gradient checkpointing.

    Raises:
        InrzooError: the layout has no graph, or an argument is out of range.
    """

    symmetries = ("permutation",)
    edge_types: Tensor
    positions: Tensor
    outputs: Tensor

    def __init__(
        self,
        *,
        layout: WeightLayout,
        inr: Probed | None = None,
        domain: Domain | None = None,
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
        num_probes: int = 0,
        inrs_at_once: int = 16,
    ) -> None:
        super().__init__(layout)
        self.require_counts(num_layers=num_layers, num_heads=num_heads, num_frequencies=num_frequencies)
        divides = attention_features % num_heads == 0
        self.require("attention_features", attention_features, divides, f"a multiple of num_heads = {num_heads}")
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        self.require("inrs_at_once", inrs_at_once, inrs_at_once >= 0, "at least 0")
        built = WeightGraph.from_layout(layout, graph)
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
        # An MLP has one type of edges: a missing edge is an edge of weight 0, as in the authors' code.
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
        self.probes: ProbeFeatures | None = None
        if num_probes:
            self.require("num_probes", num_probes, graph == "merged", f"0 with graph = {graph!r}")
            self.probes = ProbeFeatures(layout, inr, domain, num_probes, node_features)
            self.reads = "function"  # type: ignore[misc]

    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, out_features) of weights (B, P)."""
        at_once = self.inrs_at_once or len(weights)
        if weights.device.type == "cpu":
            at_once = min(at_once, INRS_AT_ONCE_ON_A_CPU)
        recompute = torch.is_grad_enabled() and self.inrs_at_once > 0
        parts = []
        for part in weights.split(at_once):
            nodes_BNF, edges_BNNE = self.embed(part)
            for layer in self.layers:
                assert isinstance(layer, RelationalLayer)
                if recompute and not layer.computes_edges_again(edges_BNNE):
                    nodes_BNF, edges_BNNE = checkpoint(layer, nodes_BNF, edges_BNNE, use_reentrant=False)
                else:
                    nodes_BNF, edges_BNNE = layer(nodes_BNF, edges_BNNE)
            parts.append(nodes_BNF[:, self.outputs].flatten(1))
        features: Tensor = self.read_out(torch.cat(parts))
        return features

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """See `Encoder.set_statistics`."""
        if self.probes is not None:
            self.probes.set_statistics(mean, std)

    def embed(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs of the first layer: nodes (B, N, F) and edges (B, N, N, E), edge (i, j) from i to j."""
        nodes_BNF = self.embed_nodes(weights) + self.position(self.positions)
        if self.probes is not None:
            features = self.probes(weights)
            nodes_BNF = nodes_BNF + torch.cat([features[axis] for axis in axes_in_order(self.layout)], dim=1)
        edges = self.embed_edges(weights)
        if self.edge_type is not None:
            edges = edges + self.edge_type(self.edge_types)
        return nodes_BNF, edges.unflatten(1, (self.num_nodes, self.num_nodes))


def linear(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """Make a linear layer with Xavier uniform weights and a bias of 0."""
    layer = nn.Linear(in_features, out_features, bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class RelationalAttention(nn.Module):
    """Attention of every node to every node, which also depends on the edge between them.

    With projections of nodes n and edges e: q_ij = q(n_i) + q(e_ij), k_ij = k(n_j) + k(e_ij),
    v_ij = v(n_j) ⊙ s(e_ij) + v(e_ij), a_ij = softmax_j(⟨q_ij, k_ij⟩ / √A), out_i = Lin(Σ_j a_ij v_ij), in H heads. All
    heads share the scale √A, as in the authors' code.

    Args:
        node_features, edge_features: features of the inputs.
        attention_features: A.
        num_heads: H, a divisor of A.
    """

    def __init__(self, node_features: int, edge_features: int, attention_features: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.of_nodes = linear(node_features, 3 * attention_features, bias=False)
        self.of_edges = linear(edge_features, 4 * attention_features, bias=False)
        self.out = linear(attention_features, node_features)

    def is_native(self, edges_BNNE: Tensor) -> bool:
        """Whether native code serves these edges."""
        return serves(self.training, edges_BNNE, (self.out.in_features,), self.num_heads)

    def forward(self, nodes_BNF: Tensor, edges_BNNE: Tensor) -> Tensor:
        """Return the new nodes, (B, N, node features)."""
        nodes = self.of_nodes(nodes_BNF)
        if self.is_native(edges_BNNE):
            mixed_BNA = relational_attention(nodes, edges_BNNE, self.of_edges.weight, self.num_heads)
            return self.out(mixed_BNA)  # type: ignore[no-any-return]
        query_BNHd, key_BNHd, value_BNHd = nodes.unflatten(-1, (3, self.num_heads, -1)).unbind(-3)
        # Rows of the projection of edges: queries, keys, factors of values, values.
        projections = self.of_edges.weight.chunk(4)
        query_BNNHd, key_BNNHd, factor_BNNHd = (
            functional.linear(edges_BNNE, rows).unflatten(-1, (self.num_heads, -1)) for rows in projections[:3]
        )
        attended = (query_BNHd[:, :, None] + query_BNNHd) * (key_BNHd[:, None] + key_BNNHd)
        weight_BNNH = (attended.sum(-1) / self.out.in_features**0.5).softmax(2)
        out_BNHd = torch.einsum("bijh,bjhd,bijhd->bihd", weight_BNNH, value_BNHd, factor_BNNHd)
        # Σ_j a_ij V e_ij = V Σ_j a_ij e_ij: summing edges before projecting them takes N times fewer products.
        summed_BNHE = torch.einsum("bijh,bije->bihe", weight_BNNH, edges_BNNE)
        values_HdE = projections[3].unflatten(0, (self.num_heads, -1))
        out_BNHd = out_BNHd + torch.einsum("bihe,hde->bihd", summed_BNHE, values_HdE)
        result: Tensor = self.out(out_BNHd.flatten(-2))
        return result


class EdgeUpdate(nn.Module):
    """e ← LN(e + Lin(GELU(A [e_ij, e_ji] + B n_i + C n_j))), then e ← LN(e + MLP(e))."""

    def __init__(self, node_features: int, edge_features: int, hidden_features: int, dropout: float) -> None:
        super().__init__()
        self.of_edges = linear(2 * edge_features, hidden_features)
        self.of_from = linear(node_features, hidden_features)
        self.of_to = linear(node_features, hidden_features)
        self.out = linear(hidden_features, edge_features)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(edge_features)
        self.mlp = feed_forward(edge_features, hidden_features, dropout)
        self.mlp_norm = nn.LayerNorm(edge_features)

    def is_native(self, edges_BNNE: Tensor) -> bool:
        """Whether native code serves these edges; it draws no dropout."""
        return self.dropout.p == 0 and serves(self.training, edges_BNNE, (self.of_from.out_features,))

    def forward(self, nodes_BNF: Tensor, edges_BNNE: Tensor) -> Tensor:
        """Return the new edges, (B, N, N, E)."""
        if self.is_native(edges_BNNE):
            modules = (self.of_edges, self.out, self.norm, self.mlp, self.mlp_norm)
            tensors = [tensor for module in modules for tensor in module.parameters()]
            return edge_update(edges_BNNE, self.of_from(nodes_BNF), self.of_to(nodes_BNF), tensors)
        forth, back = self.of_edges.weight.chunk(2, dim=-1)
        hidden = functional.linear(edges_BNNE, forth, self.of_edges.bias)
        hidden = hidden + functional.linear(edges_BNNE, back).transpose(1, 2)
        hidden = hidden + self.of_from(nodes_BNF)[:, :, None] + self.of_to(nodes_BNF)[:, None]
        edges_BNNE = self.norm(edges_BNNE + self.dropout(self.out(functional.gelu(hidden))))
        updated: Tensor = self.mlp_norm(edges_BNNE + self.mlp(edges_BNNE))
        return updated


class RelationalLayer(nn.Module):
    """Attention, a feed-forward network for each node, and an edge update; each is a residual with LayerNorm.

    Args:
        node_features, edge_features: features of the inputs and outputs.
        attention_features, num_heads: see `RelationalAttention`.
        node_hidden, edge_hidden: hidden features of the feed-forward networks.
        dropout: dropout probability.
        update_edges: whether edges are updated; nothing reads those of the last layer.
    """

    def __init__(
        self,
        *,
        node_features: int,
        edge_features: int,
        attention_features: int,
        num_heads: int,
        node_hidden: int,
        edge_hidden: int,
        dropout: float,
        update_edges: bool,
    ) -> None:
        super().__init__()
        self.attention = RelationalAttention(node_features, edge_features, attention_features, num_heads)
        self.out = linear(node_features, node_features)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(node_features)
        self.mlp = feed_forward(node_features, node_hidden, dropout)
        self.mlp_norm = nn.LayerNorm(node_features)
        self.edges = EdgeUpdate(node_features, edge_features, edge_hidden, dropout) if update_edges else None

    def computes_edges_again(self, edges_BNNE: Tensor) -> bool:
        """Whether native code keeps nothing but edges for the gradient, so that checkpoints would gain nothing."""
        update = self.edges is None or self.edges.is_native(edges_BNNE)
        return update and self.attention.is_native(edges_BNNE)

    def forward(self, nodes_BNF: Tensor, edges_BNNE: Tensor) -> tuple[Tensor, Tensor]:
        """Return new nodes (B, N, F) and edges (B, N, N, E)."""
        nodes_BNF = self.norm(nodes_BNF + self.dropout(self.out(self.attention(nodes_BNF, edges_BNNE))))
        nodes_BNF = self.mlp_norm(nodes_BNF + self.mlp(nodes_BNF))
        return nodes_BNF, edges_BNNE if self.edges is None else self.edges(nodes_BNF, edges_BNNE)


def feed_forward(features: int, hidden_features: int, dropout: float) -> nn.Sequential:
    """Make two linear layers, the first without bias, with GELU between them."""
    return nn.Sequential(
        linear(features, hidden_features, bias=False), nn.GELU(), linear(hidden_features, features), nn.Dropout(dropout)
    )
