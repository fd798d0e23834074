"""The encoder of MWT's classifier: a transformer on the weights of an INR with one token for each neuron.

Gielisse & van Gemert 2025, "End-to-end implicit neural representations for classification"; sizes:
docs/derivations/encoders.md#transformer-on-neurons-of-mwt. TransINR, GINR-IPC and MWT share `Transformer` (Vaswani et
al. 2017; pre-norm, as in ViT).

Shape letters: B batch of INRs, P parameters of one INR, T tokens (neurons), N numbers of a neuron, F features of a
token, A attention heads, E features of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inrzoo.encoders import Encoder
from inrzoo.errors import InrzooError
from inrzoo.native.attention import attention
from inrzoo.native.linear import Linear
from inrzoo.weights import WeightLayout


class WeightTransformer(Encoder):
    """A transformer for weights that share an initialisation, or for their offsets: tokens encode the neuron's number.

    A token is a neuron's row of the weight matrix and its bias. The neurons of the first and of the output layer are
    left out. x = m · (token + base), with base learned and 0 at first, which also encodes the neuron; then a linear
    layer, the transformer, and the mean over tokens.

    Args:
        layout: layout of the weights.
        features: F.
        num_layers: number of blocks.
        head_features: features of an attention head; there are F / head_features heads.
        mlp_ratio: hidden neurons of a block's MLP, in multiples of F.
        modulation_scale: m. Offsets after a few steps are small; for whole or normalised weights take 1.

    Raises:
        InrzooError: the INR has one hidden layer, or its hidden layers have different widths.
    """

    def __init__(
        self,
        *,
        layout: WeightLayout,
        features: int = 128,
        num_layers: int = 10,
        head_features: int = 64,
        mlp_ratio: int = 1,
        modulation_scale: float = 1.0,
    ) -> None:
        super().__init__(layout)
        self.out_features = features
        self.modulation_scale = modulation_scale
        incoming = {
            axis: [tensor for tensor in layout.tensors if tensor.axes[0] == axis] for axis in layout.neuron_axes
        }
        self.incoming = {
            axis: [tensor.name for tensor in tensors]
            for axis, tensors in incoming.items()
            if any(set(tensor.axes[1:]) & layout.neuron_axes.keys() for tensor in tensors)
        }
        """Names of the tensors whose rows belong to each neuron axis, for the layers after the first."""
        lengths = {sum(tensor.size // tensor.shape[0] for tensor in incoming[axis]) for axis in self.incoming}
        if len(lengths) != 1 or features % head_features:
            raise InrzooError(
                f"weight_transformer needs hidden layers after the first, all of one width (this INR's neurons have "
                f"{sorted(lengths)} numbers), and features = {features} a multiple of head_features = {head_features}"
            )
        num_tokens = sum(layout.neuron_axes[axis] for axis in self.incoming)
        self.base = nn.Parameter(torch.zeros(num_tokens, lengths.pop()))
        self.embed = Linear(self.base.shape[1], features)
        self.transformer = Transformer(
            features,
            num_layers,
            features // head_features,
            head_features,
            mlp_ratio * features,
            qkv_bias=False,
            layer_scale=0.1,
        )

    def tokens(self, weights_BP: Tensor) -> Tensor:
        """Return the weights of each neuron: (B, P) to (B, T, N)."""
        tensors = self.layout.split(weights_BP)
        return torch.cat(
            [
                torch.cat(
                    [
                        tensors[name].flatten(2) if tensors[name].ndim > 2 else tensors[name][..., None]
                        for name in names
                    ],
                    dim=-1,
                )
                for names in self.incoming.values()
            ],
            dim=1,
        )

    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, F) of weights (B, P)."""
        tokens_BTN = self.modulation_scale * (self.tokens(weights) + self.base)
        features_BF: Tensor = self.transformer(self.embed(tokens_BTN)).mean(dim=1)
        return features_BF


class Attention(nn.Module):
    """Self-attention of T tokens."""

    def __init__(self, features: int, num_heads: int, head_features: int, qkv_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = Linear(features, 3 * num_heads * head_features, bias=qkv_bias)
        self.out = Linear(num_heads * head_features, features)

    def forward(self, tokens_BTF: Tensor) -> Tensor:
        """Map tokens (B, T, F) to tokens (B, T, F)."""
        return self.out(attention(self.qkv(tokens_BTF), self.num_heads, self.training))  # type: ignore[no-any-return]

    def maps(self, tokens_BTF: Tensor) -> Tensor:
        """Return the attention softmax(q kᵀ / √E), (B, A, T, T), of each token (third axis) to all (last axis)."""
        query, key, _ = self.qkv(tokens_BTF).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return torch.softmax(query @ key.mT / key.shape[-1] ** 0.5, dim=-1)


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
        self.mlp = nn.Sequential(Linear(features, mlp_features), nn.GELU(), Linear(mlp_features, features))
        self.dropout = nn.Dropout(dropout)
        start = None if layer_scale is None else torch.full((2, features), layer_scale)
        self.scales = None if start is None else nn.Parameter(start)

    def forward(self, tokens_BTF: Tensor) -> Tensor:
        """Map tokens (B, T, F) to tokens (B, T, F)."""
        for i, part in enumerate((self.attention, self.mlp)):
            change_BTF = self.dropout(part(self.norms[i](tokens_BTF)))
            tokens_BTF = tokens_BTF + (change_BTF if self.scales is None else self.scales[i] * change_BTF)
        return tokens_BTF


class Transformer(nn.Module):
    """A stack of blocks, without a final norm.

    Args:
        features: F.
        num_layers: number of blocks.
        num_heads, head_features: A and E; A E may differ from F.
        mlp_features: hidden neurons of a block's MLP.
        qkv_bias: whether queries, keys and values have biases.
        dropout: dropout probability of the residual branches.
        layer_scale: initial value of the residual branches' learned factors (Touvron et al. 2021); None for none.
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
        """Map tokens (B, T, F) to tokens (B, T, F)."""
        for block in self.blocks:
            tokens_BTF = block(tokens_BTF)
        return tokens_BTF

    def attention_maps(self, tokens_BTF: Tensor, layer: int = -1) -> Tensor:
        """Return the attention of one block, (B, A, T, T); see `Attention.maps`.

        Args:
            layer: index of the block; negative indices count from the last.

        Raises:
            IndexError: the index is out of range.
        """
        *before, last = list(self.blocks)[: range(len(self.blocks))[layer] + 1]
        for block in before:
            tokens_BTF = block(tokens_BTF)
        assert isinstance(last, Block)
        return last.attention.maps(last.norms[0](tokens_BTF))
