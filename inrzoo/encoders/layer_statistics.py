"""Statistics of each tensor of an INR.

Unterthiner et al. 2020, "Predicting neural network accuracy from weights" (arXiv 2002.11448), Sec. 3.

Shape letters: B INRs, P parameters of one INR, T tensors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inrzoo.encoders import Encoder
from inrzoo.weights import WeightLayout

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the entries of a tensor below the quantiles that are read."""


class LayerStatistics(Encoder):
    """Mean, variance and five quantiles of each tensor, then layers of Linear, GELU and dropout.

    It keeps nothing of which neuron has which weight, and so is a floor for encoders that do. The paper reads the
    statistics by boosted trees, a linear model or a perceptron; here it is a perceptron after layer norm.

    Args:
        layout: layout of the weights.
        hidden_features: neurons of a hidden layer.
        num_layers: number of layers; the last one has `out_features`.
        out_features: number of features.
        dropout: dropout probability after each layer.

    Raises:
        InrzooError: an argument is out of range.
    """

    symmetries = ("permutation",)

    def __init__(
        self,
        *,
        layout: WeightLayout,
        hidden_features: int = 256,
        num_layers: int = 3,
        out_features: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(layout)
        self.require_counts(hidden_features=hidden_features, num_layers=num_layers, out_features=out_features)
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        self.out_features = out_features
        count = (2 + len(QUANTILES)) * len(layout.tensors)
        sizes = [count, *[hidden_features] * (num_layers - 1), out_features]
        steps: list[nn.Module] = [nn.LayerNorm(count)]
        for i in range(num_layers):
            steps += [nn.Linear(sizes[i], sizes[i + 1]), nn.GELU(), nn.Dropout(dropout)]
        self.network = nn.Sequential(*steps)

    def statistics(self, weights: Tensor) -> Tensor:
        """Return mean, variance (divided by the count) and quantiles of each tensor, (B, 7 T), tensor by tensor."""
        shares = weights.new_tensor(QUANTILES)
        columns = []
        for values in self.layout.split(weights).values():
            flat = values.flatten(1)
            quantiles = torch.quantile(flat, shares, dim=1).T
            columns += [flat.mean(1, keepdim=True), flat.var(1, correction=0, keepdim=True), quantiles]
        return torch.cat(columns, dim=1)

    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, out_features) of weights (B, P)."""
        features: Tensor = self.network(self.statistics(weights))
        return features
