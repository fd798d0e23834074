"""Embeds the weights of an INR at the nodes or the edges of its graph.

Shape letters: B INRs, P parameters of one INR.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from inrzoo.encoders._fourier_features import FourierFeatures
from inrzoo.weight_graph import Values


class NumberEmbedding(nn.Module):
    """Embeds the weights at nodes or edges: Fourier features, a linear layer for each kind, their sum, a linear layer.

    A node or edge without a weight of some kind is embedded as if it had a 0, as in the authors' code.

    Args:
        values: positions of the weights of each kind.
        num_places: number of nodes, or of pairs of nodes.
        out_features: features of a node or edge.
        features: Fourier features of a weight.
    """

    def __init__(self, values: Sequence[Values], num_places: int, out_features: int, features: FourierFeatures) -> None:
        super().__init__()
        self.num_places, self.features = num_places, features
        self.kinds = [value.kind for value in values]
        self.maps = nn.ModuleList(nn.Linear(features.out_features, out_features) for _ in values)
        self.out = nn.Linear(out_features, out_features)
        for number, value in enumerate(values):
            self.register_buffer(f"index_{number}", torch.from_numpy(value.index.astype(np.int64)), persistent=False)
            self.register_buffer(f"place_{number}", torch.from_numpy(value.place.astype(np.int64)), persistent=False)

    def forward(self, weights: Tensor) -> Tensor:
        """Map weights (B, P) to embeddings (B, places, out_features)."""
        zero = self.features(weights.new_zeros(1))
        of_zero = torch.stack([linear_map(zero) for linear_map in self.maps]).sum(0)
        embedded = of_zero.expand(len(weights), self.num_places, -1)
        for number, linear_map in enumerate(self.maps):
            index, place = self.get_buffer(f"index_{number}"), self.get_buffer(f"place_{number}")
            change = linear_map(self.features(weights[:, index])) - linear_map(zero)
            embedded = embedded.index_add(1, place, change)
        result: Tensor = self.out(embedded)
        return result
