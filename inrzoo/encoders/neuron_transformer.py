"""A transformer with a token for each neuron, after Schürholt et al. 2021, "Self-supervised representation learning on
neural network weights for model characteristic prediction" (arXiv 2110.15288).

Shape letters: B INRs, P parameters of one INR, L tokens, F features of a token.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from inrzoo.encoders import Encoder, WeightModule
from inrzoo.encoders._pre_norm_transformer import pre_norm_transformer
from inrzoo.weights import FIXED_AXES, WeightLayout


@dataclass(kw_only=True, eq=False, repr=False)
class NeuronTokens(WeightModule):
    """A transformer with a token for each neuron, and one for the numbers of no neuron.

    Attributes:
        layout: layout of the weights.
        hidden_features: F.
        num_layers: number of transformer layers.
        num_heads: number of attention heads, a divisor of F.
        feedforward_features: width of the feed-forward part; 4 F if None.
        dropout: dropout probability of every layer.
        sort_neighbours: whether the numbers of a token are sorted.

    Raises:
        InrzooError: an argument is out of range.
    """

    layout: WeightLayout
    hidden_features: int = 128
    num_layers: int = 4
    num_heads: int = 8
    feedforward_features: int | None = None
    dropout: float = 0.0
    sort_neighbours: bool = False

    def __post_init__(self) -> None:
        """Make the transformer."""
        super().__init__(self.layout)
        F, tensors = self.hidden_features, self.layout.tensors
        self.require_counts(num_layers=self.num_layers, num_heads=self.num_heads)
        divides = F >= 1 and F % self.num_heads == 0
        self.require("hidden_features", F, divides, f"a multiple of num_heads = {self.num_heads}")
        self.require("dropout", self.dropout, 0 <= self.dropout < 1, "at least 0 and below 1")
        sizes = {
            axis: sum(tensor.size // size for tensor in tensors if axis in tensor.axes)
            for axis, size in self.layout.neuron_axes.items()
        }
        self.embed = nn.ModuleList(nn.Linear(size, F) for size in sizes.values())
        self.of_no_neuron = [tensor.name for tensor in tensors if set(tensor.axes) <= set(FIXED_AXES)]
        rest = sum(tensor.size for tensor in tensors if tensor.name in self.of_no_neuron)
        self.embed_rest = nn.Linear(rest, F) if rest else None
        self.transformer = pre_norm_transformer(
            F, self.num_heads, self.feedforward_features, self.dropout, self.num_layers
        )

    def encoded(self, weights: Tensor) -> Tensor:
        """Return the tokens after the last layer, (B, L, F): those of each neuron axis in order, then the rest."""
        tensors = self.layout.split(weights)
        # The bias of each layer's embedding encodes the layer.
        tokens = [
            embed(self.tokens(tensors, axis)) for axis, embed in zip(self.layout.neuron_axes, self.embed, strict=True)
        ]
        if self.embed_rest is not None:
            rest = torch.cat([tensors[name].flatten(1) for name in self.of_no_neuron], dim=-1)
            tokens.append(self.embed_rest(rest)[:, None])
        encoded: Tensor = self.transformer(torch.cat(tokens, dim=1))
        return encoded

    def tokens(self, tensors: dict[str, Tensor], axis: str) -> Tensor:
        """Return the weights at each neuron of an axis: (B, neurons, numbers)."""
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


class NeuronTransformer(NeuronTokens, Encoder):
    """A token holds the incoming and outgoing weights of a neuron; the features are the mean over all tokens.

    Tokens encode their layer and not their number in it. The numbers in a token are in the order of the neighbouring
    layer's neurons: renumbering those changes the features, unless no two hidden layers touch. The encoder suits stores
    with a shared initialisation, or augmentation by `PermuteNeurons`, as in the paper. `sort_neighbours` sorts the
    numbers that run over neurons in every token and makes the features invariant; a token then no longer shows which
    weight leads to which neuron.

    Attributes:
        symmetries: permutation where it holds.
    """

    def __post_init__(self) -> None:
        """Make the transformer."""
        super().__post_init__()
        self.out_features = self.hidden_features
        neighbours = any(len(set(tensor.axes) - set(FIXED_AXES)) > 1 for tensor in self.layout.tensors)
        self.symmetries = ("permutation",) if self.sort_neighbours or not neighbours else ()  # type: ignore[misc]

    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, F) of weights (B, P)."""
        return self.encoded(weights).mean(1)
