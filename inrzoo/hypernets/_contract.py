"""What every hypernetwork keeps to.

Shape letters: B batch of signals, P parameters of one INR, K coordinates, D in_features, C channels of a signal,
I numbers of the instance part.
"""

from abc import ABC, abstractmethod
from math import prod

import torch
from torch import Tensor, nn

from inrzoo.errors import InrzooError
from inrzoo.fit.metrics import mse
from inrzoo.hypernets._subsets import random_subsets, take
from inrzoo.inrs import INR
from inrzoo.seeding import Stream


class Hypernet(nn.Module, ABC):
    """Something that maps signals to the weights of an INR, in two steps.

    signal ─ `instances` ─► what of the INR belongs to this signal alone (B, I) ─ `weights` ─► all of the INR (B, P).

    The instance part may be all weights, one matrix, or offsets from a learned start. It is what test-time
    optimisation can be restricted to. Signals in a batch are strangers: none has a part in another's weights.

    A signal is where and what: `coords`, (K, D) for all or (B, K, D), and `values`, (B, K, C). Hypernetworks that cut
    a signal into patches need all K points of the grid `sizes`, row-major; the others take any K.

    In training mode `forward` is differentiable in the hypernetwork's parameters; where it takes gradient steps, it is
    so through them (`second_order`). In evaluation mode it is a function of the signal alone: nothing is random.
    """

    def __init__(self, inr: INR, sizes: tuple[int, ...]) -> None:
        """Remember the target.

        Args:
            inr: whose weights are made.
            sizes: the grid of the signals, slowest axis first: (rows, columns), (samples,), (views, rows, columns).

        Raises:
            InrzooError: a grid without points.
        """
        super().__init__()
        if not sizes or min(sizes) < 1:
            raise InrzooError(f"a grid needs at least one point on each axis, given {tuple(sizes)}")
        self.inr = inr
        self.sizes = tuple(sizes)

    @abstractmethod
    def instances(self, coords: Tensor, values: Tensor) -> Tensor:
        """What belongs to each signal alone, (B, I)."""

    @abstractmethod
    def weights(self, instances: Tensor) -> Tensor:
        """All weights of the INRs with these instance parts, (B, I) to (B, P)."""

    def forward(self, coords: Tensor, values: Tensor) -> Tensor:
        """Weights of signals.

        Args:
            coords: (K, D) or (B, K, D).
            values: (B, K, C).

        Returns:
            (B, P).

        Raises:
            ValueError: shapes that do not fit each other, the INR, or the grid of a hypernetwork that needs one.
        """
        self.require_signals(coords, values)
        return self.weights(self.instances(coords, values))

    def loss(self, coords: Tensor, values: Tensor, num_coords: int | None = None) -> Tensor:
        """What training minimises: the mean squared error of each signal's INR (TransINR eq. 1, GINR-IPC eq. 2).

        Args:
            coords, values: as in `forward`; channels C are those of the INR.
            num_coords: how many coordinates to take, at random and for each signal apart; None for all. The
                hypernetwork always sees the whole signal.

        Returns:
            (B,), in squared units of the values.
        """
        return self.reconstruction_loss(self(coords, values), coords, values, num_coords)

    def reconstruction_loss(
        self, weights: Tensor, coords: Tensor, values: Tensor, num_coords: int | None = None
    ) -> Tensor:
        """Mean squared error of INRs at all coordinates of their signals, or at some as in `loss`. Shape (B,)."""
        if num_coords is not None:
            coords, values = take(coords, values, random_subsets(len(values), values.shape[1], num_coords, values))
        return mse(self.inr(weights, coords), values)

    def require_signals(self, coords: Tensor, values: Tensor) -> None:
        """Raise ValueError unless `coords` and `values` are signals of one batch."""
        if values.ndim != 3 or coords.shape[-2:] != (values.shape[1], self.inr.in_features) or coords.ndim > 3:
            raise ValueError(
                f"coords {tuple(coords.shape)} and values {tuple(values.shape)} are no signals of "
                f"{self.inr.in_features} coordinate dimensions: (K, D) or (B, K, D), and (B, K, C)"
            )

    def require_grid(self, values: Tensor) -> None:
        """Raise ValueError unless `values` has a point for each of the grid's."""
        if values.shape[1] != prod(self.sizes):
            raise ValueError(f"{values.shape[1]} coordinates are not the grid {self.sizes} of {prod(self.sizes)}")


def fresh_weights(inr: INR) -> Tensor:
    """A random start of `inr`, (P,), float32, that `torch.manual_seed` decides."""
    seed = int(torch.randint(2**31, ()))
    return torch.from_numpy(inr.init(Stream("init", "hypernets", seed)))
