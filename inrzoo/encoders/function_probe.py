"""An MLP on the values of an INR at a few learned coordinates.

Kofinas et al. 2024, "Graph neural networks for learning equivariant representations of neural networks" (arXiv
2403.12143), give such probe features to a graph network; here they are all that is read.

Shape letters: B INRs, P parameters of one INR, K probes, D coordinate dimensions, C channels, F features.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.quasirandom import SobolEngine

from inrzoo.encoders import Domain, Function, FunctionEncoder
from inrzoo.weights import WeightLayout


class FunctionProbe(FunctionEncoder):
    """Evaluates the INR at K learned coordinates; layer norm, and layers of Linear, GELU and dropout, read the values.

    The encoder reads the function: it says nothing about weights, and with as many probes as a signal has points it is
    an MLP on the signal. What it shows is accuracy against K.

    Probes start at the points of a scrambled Sobol' sequence in the cube [-extent, extent]^D. They are learned in units
    of the extent, and clamped to the cube: outside of it nobody fitted the INR.

    Args:
        layout: layout of the weights.
        inr: the family that the weights are of.
        domain: where the functions were fitted.
        num_probes: K, the number of coordinates.
        learned: whether probes move in training.
        hidden_features: neurons of a hidden layer.
        num_layers: number of layers; the last one has `out_features`.
        out_features: F, the number of features.
        dropout: dropout probability after each layer.

    Raises:
        InrzooError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        layout: WeightLayout,
        inr: Function,
        domain: Domain,
        num_probes: int = 64,
        learned: bool = True,
        hidden_features: int = 256,
        num_layers: int = 2,
        out_features: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(layout, inr, domain)
        self.require("num_probes", num_probes, num_probes >= 2, "at least 2")
        self.require_counts(hidden_features=hidden_features, num_layers=num_layers, out_features=out_features)
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        self.out_features = out_features
        with torch.device("cpu"):  # numbers are read from them, also where the network is made without memory
            seed = int(torch.randint(2**31, ()))
            points_KD = 2 * SobolEngine(inr.in_features, scramble=True, seed=seed).draw(num_probes) - 1
        self.probes = nn.Parameter(points_KD, requires_grad=learned)
        sizes = [num_probes * inr.out_features, *[hidden_features] * (num_layers - 1), out_features]
        steps: list[nn.Module] = [nn.LayerNorm(sizes[0])]
        for fan_in, fan_out in pairwise(sizes):
            steps += [nn.Linear(fan_in, fan_out), nn.GELU(), nn.Dropout(dropout)]
        self.network = nn.Sequential(*steps)

    @property
    def coords(self) -> Tensor:
        """The coordinates of the probes, (K, D)."""
        return self.domain.extent * self.probes.clamp(-1, 1)

    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, F) of weights (B, P) as they were fitted."""
        features: Tensor = self.network(self.values(weights, self.coords).flatten(1))
        return features
