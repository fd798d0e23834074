"""A transformer with one token a neuron, as of Schürholt et al. 2021, "Self-supervised representation learning on
neural network weights for model characteristic prediction" (arXiv 2110.15288).

Shape letters: B INRs, P parameters of one INR, L tokens, F features of a token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inrzoo.encoders import Encoder
from inrzoo.weights import FIXED_AXES, WeightLayout


class NeuronTransformer(Encoder):
    """A token holds what enters and what leaves a neuron; the mean over all tokens is the result.

    Tokens know their layer and not their number in it. Yet what stands in a token is in the order of the neighbouring
    layer's neurons: renumbering those changes the token, so these features change unless no two hidden layers touch.
    They suit stores with one start for all signals, or augmentation by `PermuteNeurons`, as in the paper. With
    `sort_neighbours` numbers that run over neurons are sorted in every token, and the features do not change; what is
    lost is which of a neuron's weights leads to which neuron.

    Args:
        layout: of the weights.
        hidden_features: F.
        num_layers: of the transformer.
        num_heads: of the attention; divides F.
        feedforward_features: width of the feed-forward part; 4 F if None.
        dropout: probability, in every layer.
        sort_neighbours: see above.

    Attributes:
        symmetries: permutation where it holds.

    Raises:
        InrzooError: an argument out of its range.
    """

    def __init__(
        self,
        *,
        layout: WeightLayout,
        hidden_features: int = 128,
        num_layers: int = 4,
        num_heads: int = 8,
        feedforward_features: int | None = None,
        dropout: float = 0.0,
        sort_neighbours: bool = False,
    ) -> None:
        super().__init__(layout)
        self.require_counts(num_layers=num_layers, num_heads=num_heads)
        divides = hidden_features >= 1 and hidden_features % num_heads == 0
        self.require("hidden_features", hidden_features, divides, f"a multiple of num_heads = {num_heads}")
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        self.out_features, self.sort_neighbours = hidden_features, sort_neighbours
        neighbours = any(len(set(tensor.axes) - set(FIXED_AXES)) > 1 for tensor in layout.tensors)
        self.symmetries = ("permutation",) if sort_neighbours or not neighbours else ()  # type: ignore[misc]
        sizes = {
            axis: sum(tensor.size // size for tensor in layout.tensors if axis in tensor.axes)
            for axis, size in layout.neuron_axes.items()
        }
        self.embed = nn.ModuleList(nn.Linear(size, hidden_features) for size in sizes.values())
        self.of_no_neuron = [tensor.name for tensor in layout.tensors if set(tensor.axes) <= set(FIXED_AXES)]
        rest = sum(tensor.size for tensor in layout.tensors if tensor.name in self.of_no_neuron)
        self.embed_rest = nn.Linear(rest, hidden_features) if rest else None
        layer = nn.TransformerEncoderLayer(
            hidden_features,
            num_heads,
            feedforward_features or 4 * hidden_features,
            dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.transformer = nn.TransformerEncoder(
            layer, num_layers, norm=nn.LayerNorm(hidden_features), enable_nested_tensor=False
        )
        for parameter in self.transformer.parameters():  # TransformerEncoder copies one layer; copies must not be equal
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, weights: Tensor) -> Tensor:
        """Features (B, F) of weights (B, P)."""
        tensors = self.layout.split(weights)
        # The bias of each layer's map is what tells tokens their layer.
        tokens = [
            embed(self.tokens(tensors, axis)) for axis, embed in zip(self.layout.neuron_axes, self.embed, strict=True)
        ]
        if self.embed_rest is not None:
            rest = torch.cat([tensors[name].flatten(1) for name in self.of_no_neuron], dim=-1)
            tokens.append(self.embed_rest(rest)[:, None])
        features: Tensor = self.transformer(torch.cat(tokens, dim=1)).mean(1)
        return features

    def tokens(self, tensors: dict[str, Tensor], axis: str) -> Tensor:
        """The numbers at each neuron of an axis: (B, neurons, numbers)."""
        parts = []
        for tensor in self.layout.tensors:
            if axis in tensor.axes:
                dimension = tensor.axes.index(axis)
                of_neuron = tensors[tensor.name].movedim(1 + dimension, 1)
                over_neurons = any(other not in FIXED_AXES for other in tensor.axes if other != axis)
                if self.sort_neighbours and over_neurons:
                    of_neuron = of_neuron.sort(-1).values
                parts.append(of_neuron.flatten(2) if of_neuron.ndim > 2 else of_neuron[..., None])
        return torch.cat(parts, dim=-1)
