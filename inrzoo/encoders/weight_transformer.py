"""The encoder of MWT's classifier: a transformer on the weights of an INR, one token a neuron.

Gielisse & van Gemert 2025, "End-to-end implicit neural representations for classification"; sizes are those of
docs/derivations/encoders.md#transformer-on-neurons-of-mwt.

Shape letters: B batch of INRs, P parameters of one INR, T tokens (neurons), N numbers of a neuron, F features of a
token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inrzoo.encoders import Encoder
from inrzoo.encoders.transformer_blocks import Transformer
from inrzoo.errors import InrzooError
from inrzoo.weights import WeightLayout


class WeightTransformer(Encoder):
    """A token a neuron, which knows its number: for weights that begin alike, or offsets from a shared start.

    A token is a neuron: all that comes into it, its row of the weight matrix and its bias. Neurons that see coordinates
    and the output layer's are left out. x = m · (token + base), base learned and 0 at first, which also tells neurons
    apart; then a linear map, the transformer, and the mean over tokens.

    Args:
        layout: of the weights.
        features: F.
        num_layers: blocks.
        head_features: of an attention head; F / head_features heads.
        mlp_ratio: hidden neurons of a block's MLP, in multiples of F.
        modulation_scale: m. Offsets after a few steps are small numbers; whole or normalised weights want 1.

    Raises:
        InrzooError: an INR of one hidden layer, or one whose neurons have tokens of several lengths.
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
        """Neuron axis -> names of the tensors whose rows belong to it, for the layers behind the first."""
        lengths = {sum(tensor.size // tensor.shape[0] for tensor in incoming[axis]) for axis in self.incoming}
        if len(lengths) != 1 or features % head_features:
            raise InrzooError(
                f"weight_transformer needs hidden layers behind the first, all alike (this INR's neurons have "
                f"{sorted(lengths)} numbers), and features = {features} a multiple of head_features = {head_features}"
            )
        num_tokens = sum(layout.neuron_axes[axis] for axis in self.incoming)
        self.base = nn.Parameter(torch.zeros(num_tokens, lengths.pop()))
        self.embed = nn.Linear(self.base.shape[1], features)
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
        """Numbers of each neuron, (B, P) to (B, T, N)."""
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
        """Features (B, F) of weights (B, P)."""
        tokens_BTN = self.modulation_scale * (self.tokens(weights) + self.base)
        features_BF: Tensor = self.transformer(self.embed(tokens_BTN)).mean(dim=1)
        return features_BF
