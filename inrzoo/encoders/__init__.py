"""Weight-space networks: one file each. This file holds what they share.

An encoder is a plain `nn.Module` with keyword arguments, its configuration. One that reads weights is built from a
`WeightLayout` alone, so that it serves every INR that has one: `registry.make("encoders", {"name": …}, layout=layout)`.
One that reads the function evaluates the INR, and is built from `inr` and `domain` too: see `FunctionEncoder`. One that
needs to know more of the family than its layout takes `inr`.

Shape letters: B batch of INRs, P parameters of one INR, F features, K coordinates, D coordinate dimensions, C channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from inrzoo.errors import InrzooError
from inrzoo.weights import WeightLayout, WeightTensor

SYMMETRIES = ("permutation", "sign", "phase")
"""Symmetries that can leave features unchanged. `permutation` renumbers hidden neurons; `sign` negates the incoming
weights, bias and outgoing weights of a neuron, as an odd activation allows; `phase` adds half turns to the phase of a
sine and negates its outgoing weights if their number is odd."""

PIXELS_AXES = ("row", "col", "channel")
POINTS_AXES = ("point", "number")


class WeightModule(nn.Module):
    """What networks that read weights share: the layout, and one-line errors of their arguments.

    Args:
        layout: layout of the weights.
    """

    def __init__(self, layout: WeightLayout) -> None:
        super().__init__()
        self.layout = layout

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Take the statistics by which weights will be normalised, (P,) each; for networks that undo it."""

    def in_parts(self, weights: Tensor, inrs_at_once: int, encode: Callable[[Tensor], Tensor]) -> Tensor:
        """Return `encode(weights)`, on a CPU for few INRs at once, whose states then fit a core's cache."""
        at_once = inrs_at_once if weights.device.type == "cpu" else max(1, len(weights))
        return torch.cat([encode(part) for part in weights.split(at_once)])

    def require(self, key: str, value: object, holds: bool, allowed: str) -> None:
        """Raise the one-line error for argument `key` unless `holds`."""
        if not holds:
            raise InrzooError(f"{key} = {value!r} is not allowed; it must be {allowed}")

    def require_distinct_axes(self, name: str) -> None:
        """Raise InrzooError if a tensor has the same axis twice, which the network called `name` cannot take."""
        for tensor in self.layout.tensors:
            if len(set(tensor.axes)) < len(tensor.axes):
                raise InrzooError(
                    f"{tensor.name} has the axes {tensor.axes}; {name} cannot take a tensor with an axis twice"
                )

    def require_counts(self, **counts: int) -> None:
        """Raise the one-line error for the first argument that is below 1."""
        for key, count in counts.items():
            self.require(key, count, count >= 1, "at least 1")


class Encoder(WeightModule, ABC):
    """Maps weights to features; a subclass in `inrzoo/encoders/<name>.py` adds its keyword arguments and `forward`.

    Args:
        layout: layout of the weights, or of the signals; see `reads`.

    Attributes:
        out_features: F, the number of features.
        symmetries: those of `SYMMETRIES` that leave the features unchanged, up to rounding.
        reads: `weights`; `function`: values of the INR, for a `FunctionEncoder`, or both, for an instance with probes;
            or `signals`: pixels or points, in a layout made by `pixel_layout` or `point_layout`.
        normalised: whether it reads normalised weights; False for weights as they were fitted.
    """

    symmetries: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[str] = "weights"
    normalised: ClassVar[bool] = True
    out_features: int

    @abstractmethod
    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, F) of weights (B, P); each INR is encoded independently."""


class Function(Protocol):
    """What an encoder asks of an INR: `values = inr(weights, coords)`, (B, P) and (K, D) to (B, K, C)."""

    @property
    def in_features(self) -> int:
        """Return D, the number of coordinates."""

    @property
    def out_features(self) -> int:
        """Return C, the number of channels."""

    def __call__(self, weights: Tensor, coords: Tensor) -> Tensor:
        """Return the values of B functions at K coordinates, differentiable in both arguments."""


class Probed(Protocol):
    """An INR whose neurons can be probed."""

    @property
    def in_features(self) -> int:
        """Return D, the number of coordinates."""

    @property
    def layout(self) -> WeightLayout:
        """Return the layout of the whole network."""

    def activations(self, weights: Tensor, coords: Tensor) -> dict[str, Tensor]:
        """Return what each neuron says at coordinates (K, D), (B, K, N) for each axis."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Where the functions of a store were fitted; outside of it, an INR says anything.

    Attributes:
        extent: highest coordinate; functions were fitted in [-extent, extent]^D.
        sizes: points of the signals' grid along each axis; empty for signals with points of their own.
        coords: (K, D) coordinates of that grid in row-major order; None for signals with points of their own.
    """

    extent: float
    sizes: tuple[int, ...] = ()
    coords: Tensor | None = None


class FunctionEncoder(Encoder):
    """Maps the function of an INR to features: it evaluates the INR and reads values, not weights.

    All weights of one function have the same features, up to rounding, whatever their symmetries. It says nothing about
    what can be learned from weights: it reads the signal, through the INR.

    Args:
        layout: layout of the weights.
        inr: the family that the weights are of. They are weights as they were fitted, not normalised ones.
        domain: where the functions are evaluated.
    """

    symmetries = SYMMETRIES
    reads = "function"
    normalised = False

    def __init__(self, layout: WeightLayout, inr: Function, domain: Domain) -> None:
        super().__init__(layout)
        self.inr, self.domain = inr, domain

    def values(self, weights: Tensor, coords: Tensor) -> Tensor:
        """Return the values (B, K, C) of weights (B, P) at coordinates (K, D), without autocast.

        Phases of a sine need more digits than bfloat16 has.
        """
        with torch.autocast(weights.device.type, enabled=False):
            return self.inr(weights, coords)


def pixel_layout(grid: Sequence[int], channels: int) -> WeightLayout:
    """Return the layout of an image as one tensor, so that encoders read pixels as they read weights."""
    rows, cols = grid
    return WeightLayout((WeightTensor("pixels", (rows, cols, channels), PIXELS_AXES),))


def point_layout(num_points: int, coordinates: int, channels: int) -> WeightLayout:
    """Return the layout of the coordinates and values of points as one tensor; the values of a point come last."""
    return WeightLayout((WeightTensor("points", (num_points, coordinates + channels), POINTS_AXES),))
