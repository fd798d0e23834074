"""The transformer encoder that TransINR, GINR-IPC and MWT share (Vaswani et al. 2017; pre-norm, as in ViT).

Shape letters: B batch, T tokens, F features of a token, A attention heads, E features of a head.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Full self-attention of T tokens."""

    def __init__(self, features: int, num_heads: int, head_features: int, qkv_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(features, 3 * num_heads * head_features, bias=qkv_bias)
        self.out = nn.Linear(num_heads * head_features, features)

    def forward(self, tokens_BTF: Tensor) -> Tensor:
        """(B, T, F) to (B, T, F)."""
        query, key, value_BATE = self._heads(tokens_BTF)
        mixed_BATE = functional.scaled_dot_product_attention(query, key, value_BATE)
        return self.out(mixed_BATE.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def maps(self, tokens_BTF: Tensor) -> Tensor:
        """softmax(q kᵀ / √E), (B, A, T, T): how much each token (third axis) looks at each (last axis; sums to 1)."""
        query, key, _ = self._heads(tokens_BTF)
        return torch.softmax(query @ key.mT / key.shape[-1] ** 0.5, dim=-1)

    def _heads(self, tokens_BTF: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value, each (B, A, T, E)."""
        query, key, value = self.qkv(tokens_BTF).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return query, key, value


class Block(nn.Module):
    """x ← x + s · attention(norm(x)), then x ← x + s · mlp(norm(x)), s = 1 or learned for each feature."""

    def __init__(
        self,
        features: int,
        num_heads: int,
        head_features: int,
        mlp_features: int,
        *,
        qkv_bias: bool,
        dropout: float,
        layer_scale: float | None,
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(features), nn.LayerNorm(features)])
        self.attention = Attention(features, num_heads, head_features, qkv_bias)
        self.mlp = nn.Sequential(nn.Linear(features, mlp_features), nn.GELU(), nn.Linear(mlp_features, features))
        self.dropout = nn.Dropout(dropout)
        start = None if layer_scale is None else torch.full((2, features), layer_scale)
        self.scales = None if start is None else nn.Parameter(start)

    def forward(self, tokens_BTF: Tensor) -> Tensor:
        """(B, T, F) to (B, T, F)."""
        for i, part in enumerate((self.attention, self.mlp)):
            change_BTF = self.dropout(part(self.norms[i](tokens_BTF)))
            tokens_BTF = tokens_BTF + (change_BTF if self.scales is None else self.scales[i] * change_BTF)
        return tokens_BTF


class Transformer(nn.Module):
    """A stack of blocks, without a final norm.

    Args:
        features: F.
        num_layers: blocks.
        num_heads, head_features: A and E; A E need not be F.
        mlp_features: hidden neurons of a block's MLP.
        qkv_bias: whether queries, keys and values have biases.
        dropout: probability that a number of a residual branch is dropped in training.
        layer_scale: where the learned factors of the residual branches begin (Touvron et al. 2021); None for none.
    """

    def __init__(
        self,
        features: int,
        num_layers: int,
        num_heads: int,
        head_features: int,
        mlp_features: int,
        *,
        qkv_bias: bool = True,
        dropout: float = 0.0,
        layer_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(
                features,
                num_heads,
                head_features,
                mlp_features,
                qkv_bias=qkv_bias,
                dropout=dropout,
                layer_scale=layer_scale,
            )
            for _ in range(num_layers)
        )

    def forward(self, tokens_BTF: Tensor) -> Tensor:
        """(B, T, F) to (B, T, F)."""
        for block in self.blocks:
            tokens_BTF = block(tokens_BTF)
        return tokens_BTF

    def attention_maps(self, tokens_BTF: Tensor, layer: int = -1) -> Tensor:
        """Attention of one block, (B, A, T, T), see `Attention.maps`.

        Args:
            layer: which block; negative ones count from the last.

        Raises:
            IndexError: there is no such block.
        """
        *before, last = list(self.blocks)[: range(len(self.blocks))[layer] + 1]
        for block in before:
            tokens_BTF = block(tokens_BTF)
        assert isinstance(last, Block)
        return last.attention.maps(last.norms[0](tokens_BTF))
