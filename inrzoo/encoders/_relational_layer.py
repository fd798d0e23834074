"""The layer of the relational transformer: Diao & Loynd, ICLR 2023, "Relational attention", as Zhang et al. 2023
changed it for weights (`modulate_v`); formulas in docs/derivations/encoders.md#relational-attention.

Shape letters: B INRs, N nodes, E edge features, A attention features, H heads, d = A / H.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


def linear(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """Xavier uniform, bias 0: how every linear map of these layers starts."""
    layer = nn.Linear(in_features, out_features, bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class RelationalAttention(nn.Module):
    """Every node attends to every node, and what lies between them takes part.

    With projections of nodes n and edges e: q_ij = q(n_i) + q(e_ij), k_ij = k(n_j) + k(e_ij),
    v_ij = v(n_j) ⊙ s(e_ij) + v(e_ij), a_ij = softmax_j(⟨q_ij, k_ij⟩ / √A), out_i = Lin(Σ_j a_ij v_ij), in H heads. The
    scale is that of all heads together, as in the authors' code.

    Args:
        node_features, edge_features: of the inputs.
        attention_features: A.
        num_heads: H; divides A.
    """

    def __init__(self, node_features: int, edge_features: int, attention_features: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.of_nodes = linear(node_features, 3 * attention_features, bias=False)
        self.of_edges = linear(edge_features, 4 * attention_features, bias=False)
        self.out = linear(attention_features, node_features)

    def forward(self, nodes_BNF: Tensor, edges_BNNE: Tensor) -> Tensor:
        """(B, N, node features)."""
        query_BNHd, key_BNHd, value_BNHd = self.of_nodes(nodes_BNF).unflatten(-1, (3, self.num_heads, -1)).unbind(-3)
        # Rows of the projection of edges: queries, keys, factors of values, values.
        projections = self.of_edges.weight.chunk(4)
        query_BNNHd, key_BNNHd, factor_BNNHd = (
            functional.linear(edges_BNNE, rows).unflatten(-1, (self.num_heads, -1)) for rows in projections[:3]
        )
        attended = (query_BNHd[:, :, None] + query_BNNHd) * (key_BNHd[:, None] + key_BNNHd)
        weight_BNNH = (attended.sum(-1) / self.out.in_features**0.5).softmax(2)
        out_BNHd = torch.einsum("bijh,bjhd,bijhd->bihd", weight_BNNH, value_BNHd, factor_BNNHd)
        # Σ_j a_ij V e_ij = V Σ_j a_ij e_ij: edges are summed before they are projected, N times fewer products.
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

    def forward(self, nodes_BNF: Tensor, edges_BNNE: Tensor) -> Tensor:
        """(B, N, N, E)."""
        forth, back = self.of_edges.weight.chunk(2, dim=-1)
        hidden = functional.linear(edges_BNNE, forth, self.of_edges.bias)
        hidden = hidden + functional.linear(edges_BNNE, back).transpose(1, 2)
        hidden = hidden + self.of_from(nodes_BNF)[:, :, None] + self.of_to(nodes_BNF)[:, None]
        edges_BNNE = self.norm(edges_BNNE + self.dropout(self.out(functional.gelu(hidden))))
        updated: Tensor = self.mlp_norm(edges_BNNE + self.mlp(edges_BNNE))
        return updated


class RelationalLayer(nn.Module):
    """Attention, a feed-forward network for each node, and the update of the edges; each added and then normalised.

    Args:
        node_features, edge_features: of the inputs and outputs.
        attention_features, num_heads: see `RelationalAttention`.
        node_hidden, edge_hidden: of the feed-forward networks.
        dropout: probability.
        update_edges: the last layer's edges are read by nobody.
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

    def forward(self, nodes_BNF: Tensor, edges_BNNE: Tensor) -> tuple[Tensor, Tensor]:
        """New nodes (B, N, F) and edges (B, N, N, E)."""
        nodes_BNF = self.norm(nodes_BNF + self.dropout(self.out(self.attention(nodes_BNF, edges_BNNE))))
        nodes_BNF = self.mlp_norm(nodes_BNF + self.mlp(nodes_BNF))
        return nodes_BNF, edges_BNNE if self.edges is None else self.edges(nodes_BNF, edges_BNNE)


def feed_forward(features: int, hidden_features: int, dropout: float) -> nn.Sequential:
    """Two linear maps, the first without bias, GELU between them."""
    return nn.Sequential(
        linear(features, hidden_features, bias=False), nn.GELU(), linear(hidden_features, features), nn.Dropout(dropout)
    )
