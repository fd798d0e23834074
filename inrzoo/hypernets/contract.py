"""The base class of all hypernetworks.

Shape letters: B batch of signals, P parameters of one INR, K coordinates, D in_features, C channels of a signal,
I numbers of the instance part, R numbers of a place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor, nn

from inrzoo.errors import InrzooError
from inrzoo.fit.losses import LOSSES
from inrzoo.hypernets.coordinate_subsets import random_subsets, take
from inrzoo.inrs import INR
from inrzoo.native.curvature import squared_errors, unsuitable
from inrzoo.seeding import Stream
from inrzoo.volume_rendering import Observer, predicted


@dataclass(eq=False, repr=False)
class Hypernet(nn.Module, ABC):
    """A map from signals to the weights of an INR, in two steps.

    signal ─ `instances` ─► the instance part, which is the signal's own (B, I) ─ `weights` ─► all weights (B, P).

    The instance part may be all weights, one matrix, or offsets from a learned initialisation. Test-time optimisation
    can be restricted to it. Signals in a batch are strangers: none affects another's weights.

    A signal is a pair of `coords`, (K, D) for all signals or (B, K, D), and `values`, (B, K, C). Hypernetworks that cut
    a signal into patches need all K points of the grid `sizes`, row-major; the others take any K.

    A new hypernetwork compares INRs with signals by the squared error at coordinates; `compare_by` changes that. With
    an observer, `coords` are what that takes in their place, (B, K, R): rays (B, K, 6) of volume rendering.

    In training mode `forward` is differentiable in the hypernetwork's parameters, also through gradient steps
    (`second_order`). In evaluation mode it is a function of the signal alone: nothing is random.

    Attributes:
        inr: the INR whose weights are made.
        sizes: the grid of the signals, slowest axis first: (rows, columns), (samples,), (views, rows, columns).
        needs_grid: whether it reads signals as grids; otherwise as sets of points in any order.
        observe: how values are predicted from INRs; None for their values at coordinates.
        loss_name: name of the error of a prediction, in `inrzoo.fit.losses`.
        native: whether native code (`inrzoo.native.curvature`) may compare INRs with signals in training: where the
            loss is the squared error of a perceptron, in float32 on a CPU, and a C++ compiler is there. It rounds
            otherwise than autograd and is several times as fast. In evaluation mode, which makes stores, autograd
            does it.

    Raises:
        InrzooError: an axis of the grid has no points, or, of subclasses, a number or a name is not allowed.
    """

    needs_grid: ClassVar[bool] = False
    native = True

    inr: INR
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        """Make a module without parameters."""
        super().__init__()
        if not self.sizes or min(self.sizes) < 1:
            raise InrzooError(f"a grid needs at least one point on each axis, given {tuple(self.sizes)}")
        self.sizes = tuple(self.sizes)
        self.observe: Observer | None = None
        self.loss_name = "mse"

    def compare_by(self, observe: Observer | None, loss_name: str) -> None:
        """Compare INRs with signals as an observation does: by its observer and the name of its loss."""
        self.observe, self.loss_name = observe, loss_name

    @abstractmethod
    def instances(self, coords: Tensor, values: Tensor) -> Tensor:
        """The instance part of each signal, (B, I)."""

    @abstractmethod
    def weights(self, instances: Tensor) -> Tensor:
        """All weights of INRs from their instance parts. Shape (B, I) to (B, P)."""

    def forward(self, coords: Tensor, values: Tensor) -> Tensor:
        """Weights of the INRs of signals.

        Args:
            coords: (K, D) or (B, K, D).
            values: (B, K, C).

        Returns:
            (B, P).

        Raises:
            ValueError: the shapes do not fit each other, the INR, or the grid that the hypernetwork needs.
        """
        self.require_signals(coords, values)
        return self.weights(self.instances(coords, values))

    def loss(self, coords: Tensor, values: Tensor, num_coords: int | None = None) -> Tensor:
        """The training loss: the mean error of each signal's INR, squared by default (TransINR eq. 1, GINR-IPC eq. 2).

        Args:
            coords, values: as in `forward`; channels C are those of the INR.
            num_coords: number of coordinates of the loss, drawn at random for each signal; None for all. The
                hypernetwork always reads the whole signal.

        Returns:
            (B,), in squared units of the values, or in nats for logits.
        """
        return self.reconstruction_loss(self(coords, values), coords, values, num_coords)

    def reconstruction_loss(
        self, weights: Tensor, coords: Tensor, values: Tensor, num_coords: int | None = None
    ) -> Tensor:
        """Mean error of INRs at all coordinates, or at random ones as in `loss`. Shape (B,)."""
        if num_coords is not None:
            coords, values = take(coords, values, random_subsets(len(values), values.shape[1], num_coords, values))
        if torch.is_grad_enabled() and weights.requires_grad and self.compares_natively(weights, coords):
            return squared_errors(self.inr, weights, coords, values)
        return LOSSES[self.loss_name](self.predict(weights, coords), values).mean(dim=(-2, -1))

    def predict(self, weights: Tensor, coords: Tensor) -> Tensor:
        """Values of signals that INRs predict, (B, K, C).

        In training mode an observer places its samples at random, anew for every ray; in evaluation mode it has fixed
        places.
        """
        draws_BK = None
        if self.training and self.observe is not None:
            draws_BK = torch.rand(coords.shape[:2], dtype=coords.dtype, device=coords.device)
        return predicted(self.observe, self.inr, weights, coords, draws_BK)

    def compares_natively(self, weights: Tensor, coords: Tensor) -> bool:
        """Whether native code computes errors of INRs and their gradients; autograd does otherwise."""
        squared = self.observe is None and self.loss_name == "mse"
        return self.native and self.training and squared and unsuitable(self.inr, weights, coords.shape[-2]) is None

    def require_signals(self, coords: Tensor, values: Tensor) -> None:
        """Raise ValueError unless `coords` and `values` are signals of one batch."""
        if self.observe is not None:
            if values.ndim != 3 or coords.ndim != 3 or coords.shape[:2] != values.shape[:2]:
                raise ValueError(
                    f"places {tuple(coords.shape)} and values {tuple(values.shape)} are no signals of an observer: "
                    "(B, K, R) and (B, K, C)"
                )
            return
        if values.ndim != 3 or coords.shape[-2:] != (values.shape[1], self.inr.in_features) or coords.ndim > 3:
            raise ValueError(
                f"coords {tuple(coords.shape)} and values {tuple(values.shape)} are no signals of "
                f"{self.inr.in_features} coordinate dimensions: (K, D) or (B, K, D), and (B, K, C)"
            )

    def require_grid(self, values: Tensor) -> None:
        """Raise ValueError unless `values` has a point for each of the grid's; of an observer, of one view or more."""
        count, points = values.shape[1], prod(self.sizes)
        if count != points and (self.observe is None or count == 0 or count % points):
            raise ValueError(f"{count} coordinates are not the grid {self.sizes} of {points}")


def initial_weights(inr: INR) -> Tensor:
    """Randomly initialised weights of `inr`, (P,), float32; `torch.manual_seed` decides them."""
    seed = int(torch.randint(2**31, ()))
    return torch.from_numpy(inr.init(Stream("init", "hypernets", seed)))
