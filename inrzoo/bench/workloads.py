"""The workloads of a benchmark: four kinds of INR on 32×32 grids, and the arithmetic that one step of each takes.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inrzoo.coords import grid
from inrzoo.inrs import INR
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.siren import Siren
from inrzoo.seeding import Stream

COARSE = 8
"""Points a side of the random grid that a signal is interpolated from."""


@dataclass(frozen=True)
class Workload:
    """INRs of one kind, fitted to smooth random signals with all coordinates in every step.

    Attributes:
        name: short, as `--workload` takes it.
        title: what it is, for people.
        inr: the family.
        sizes: rows and columns of the grid.
        lr: Adam's step size.
    """

    name: str
    title: str
    inr: INR
    sizes: tuple[int, int] = (32, 32)
    lr: float = 5e-4

    @property
    def num_coords(self) -> int:
        """K."""
        return math.prod(self.sizes)

    @property
    def flops(self) -> int:
        """Floating-point operations of all matrix products in one step of one INR: a multiplication and an addition
        count two.

        A linear map has three products of the same size: its outputs, its weights' gradient and its inputs' gradient.
        The last one does not exist where the inputs are the coordinates.
        """
        matrices = [tensor for tensor in self.inr.layout.tensors if len(tensor.shape) == 2]
        return sum(2 * self.num_coords * tensor.size * (2 if tensor.axes[1] == "in" else 3) for tensor in matrices)

    @property
    def sincos(self) -> int:
        """Pairs (sin x, cos x) in one step of one INR, one for every neuron and coordinate; the backward pass needs
        the cosine. That sines of sums on a grid are products of fewer sines is not taken into account.
        """
        return self.num_coords * self.inr.num_neurons

    def coords(self) -> Tensor:
        """Shape (K, D)."""
        return torch.from_numpy(grid(self.sizes))

    def starts(self, count: int, first: int = 0) -> Tensor:
        """Starts of INRs number `first`, `first` + 1, …; shape (count, P)."""
        streams = (Stream("init", "benchmark", 0, str(i)) for i in range(first, first + count))
        return torch.from_numpy(np.stack([self.inr.init(stream) for stream in streams]))

    def signals(self, count: int, first: int = 0) -> Tensor:
        """Smooth random signals in [-1, 1], bicubic between 8×8 random points; shape (count, K, C)."""
        channels = self.inr.out_features
        draws = [
            Stream("signal", "benchmark", 0, str(i)).uniform(-1, 1, channels * COARSE**2)
            for i in range(first, first + count)
        ]
        coarse = torch.from_numpy(np.stack(draws)).float().reshape(count, channels, COARSE, COARSE)
        fine = torch.nn.functional.interpolate(coarse, size=self.sizes, mode="bicubic").clamp(-1, 1)
        return fine.flatten(2).transpose(1, 2).contiguous()


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("W1", "SIREN 2/32/32/1, 32×32×1", Siren(in_features=2, out_features=1)),
        Workload(
            "W2",
            "SIREN 2/64/64/64/64/1, 32×32×1",
            Siren(in_features=2, out_features=1, hidden_features=64, hidden_layers=3),
        ),
        Workload("W3", "SIREN 2/32/32/3, 32×32×3", Siren(in_features=2, out_features=3)),
        Workload("W4", "FourierNet, 3 filters × 16, 32×32×1", FourierNet(in_features=2, out_features=1)),
    )
}
