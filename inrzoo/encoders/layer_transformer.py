"""A transformer over the tensors of an INR: the few-shot paper's encoder (Sec. 2.3, 3.1).
Formulas: docs/derivations/encoders.md#transformer-on-layers.

Shape letters: B batch of INRs, P parameters of one INR, L tokens, H hidden, F features.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from inrzoo.encoders import Encoder
from inrzoo.encoders._pre_norm_transformer import pre_norm_transformer
from inrzoo.weights import WeightLayout

BRANCH_GAIN = 0.1
"""Gain of the Xavier initialisation of each residual branch's last layer. A small one starts training near the
projections alone, which already separate classes."""


class LayerTransformer(Encoder):
    """Every weight matrix and every bias is one token, flattened and projected by a linear layer of its own.

    Hidden size 64, 4 layers, 4 heads and the projections are the paper's. It leaves open what we chose: a pre-norm
    encoder (GELU) without a final LayerNorm, one linear layer as projection ("the size of each token after linear
    projection", Sec. 3.1), a learned embedding of each token, the concatenated tokens as readout (better on Omniglot's
    validation alphabets than their mean), and a feed-forward width of four times the hidden size.

    Args:
        hidden_features: H, a multiple of `num_heads`.
        num_layers: number of transformer layers.
        num_heads: number of attention heads.
        feedforward_features: width of the feed-forward part; 4 H if None.
        projection: `linear`, or `mlp`: Linear, GELU, Linear (Sec. 2.3 says "a MLP").
        position: `learned` embedding of each token, or `none`; the projections already distinguish tokens.
        readout: all tokens concatenated, `concat` (F = L H), their `mean`, or a `cls` token (F = H).
        last_norm: whether a LayerNorm follows the last layer. It gives all tokens the same norm, even that of a single
            number (an output's bias); without it the projections decide their scales.
        dropout: dropout probability of the transformer.
    """

    def __init__(
        self,
        *,
        layout: WeightLayout,
        hidden_features: int = 64,
        num_layers: int = 4,
        num_heads: int = 4,
        feedforward_features: int | None = None,
        projection: Literal["linear", "mlp"] = "linear",
        position: Literal["learned", "none"] = "learned",
        readout: Literal["mean", "cls", "concat"] = "concat",
        last_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(layout)
        self.require_counts(hidden_features=hidden_features, num_layers=num_layers, num_heads=num_heads)
        self.require("hidden_features", hidden_features, hidden_features % num_heads == 0, "a multiple of num_heads")
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        num_tokens = len(layout.tensors)
        self.readout = readout
        self.out_features = hidden_features * (num_tokens if readout == "concat" else 1)
        self.projections = nn.ModuleDict(
            {tensor.name: _projection(tensor.size, hidden_features, projection) for tensor in layout.tensors}
        )
        self.position = nn.Parameter(torch.randn(num_tokens, hidden_features) * 0.02) if position == "learned" else None
        self.cls = nn.Parameter(torch.randn(hidden_features) * 0.02) if readout == "cls" else None
        sizes = (hidden_features, num_heads, feedforward_features, dropout, num_layers)
        self.transformer = pre_norm_transformer(*sizes, last_norm=last_norm, branch_gain=BRANCH_GAIN)

    def forward(self, weights: Tensor) -> Tensor:
        """Map weights (B, P) to features (B, F)."""
        parts = self.layout.split(weights)
        tokens_BLH = torch.stack([self.projections[name](parts[name].flatten(1)) for name in self.projections], dim=1)
        if self.position is not None:
            tokens_BLH = tokens_BLH + self.position
        if self.cls is not None:
            tokens_BLH = torch.cat([self.cls.expand(len(weights), 1, -1), tokens_BLH], dim=1)
        tokens_BLH = self.transformer(tokens_BLH)
        if self.readout == "concat":
            features: Tensor = tokens_BLH.flatten(1)
        else:
            features = tokens_BLH[:, 0] if self.readout == "cls" else tokens_BLH.mean(dim=1)
        return features


def _projection(size: int, hidden_features: int, kind: str) -> nn.Module:
    first = nn.Linear(size, hidden_features)
    if kind == "linear":
        return first
    return nn.Sequential(first, nn.GELU(), nn.Linear(hidden_features, hidden_features))
