"""torch's transformer with normalisation before each branch, as the encoders on tensors and on neurons use it."""

from __future__ import annotations

from torch import nn


def pre_norm_transformer(
    features: int,
    num_heads: int,
    mlp_features: int | None,
    dropout: float,
    num_layers: int,
    *,
    last_norm: bool = True,
    branch_gain: float = 1.0,
) -> nn.TransformerEncoder:
    """Make blocks with GELU on tokens (B, L, features), with Xavier's initialisation.

    Args:
        mlp_features: hidden neurons of a block's MLP; four times `features` by default.
        last_norm: whether the output is normalised.
        branch_gain: gain of the last layer of each residual branch.
    """
    layer = nn.TransformerEncoderLayer(
        features, num_heads, mlp_features or 4 * features, dropout, activation="gelu", batch_first=True, norm_first=True
    )
    norm = nn.LayerNorm(features) if last_norm else None
    transformer = nn.TransformerEncoder(layer, num_layers, norm=norm, enable_nested_tensor=False)
    for name, parameter in transformer.named_parameters():
        if parameter.ndim > 1:  # TransformerEncoder copies one layer; the copies must differ
            branch_ends = name.endswith(("out_proj.weight", "linear2.weight"))
            nn.init.xavier_uniform_(parameter, gain=branch_gain if branch_ends else 1.0)
    return transformer
