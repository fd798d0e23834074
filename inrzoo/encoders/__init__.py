"""Weight-space networks: one file each. This file holds what they share.

An encoder is a plain `nn.Module` with keyword arguments, its configuration; it is built from a `WeightLayout` alone, so
that it serves every INR that has one. `registry.make("encoders", {"name": …}, layout=layout)` makes it.

Shape letters: B batch of INRs, P parameters of one INR, F features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from inrzoo.errors import InrzooError
from inrzoo.weights import WeightLayout, WeightTensor

SYMMETRIES = ("permutation", "sign")
"""Symmetries that can leave features unchanged. `permutation` renumbers hidden neurons; `sign` negates the incoming
weights, bias and outgoing weights of a neuron, as an odd activation allows."""

PIXELS_AXES = ("row", "col", "channel")


class Encoder(nn.Module, ABC):
    """Maps weights to features; a subclass in `inrzoo/encoders/<name>.py` adds its keyword arguments and `forward`.

    Args:
        layout: layout of the weights, or of the pixels; see `reads`.

    Attributes:
        out_features: F, the number of features.
        symmetries: those of `SYMMETRIES` that leave the features unchanged, up to rounding.
        reads: `weights`, or `signals`: pixels, in a layout made by `pixel_layout`.
    """

    symmetries: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[str] = "weights"
    out_features: int

    def __init__(self, layout: WeightLayout) -> None:
        super().__init__()
        self.layout = layout

    @abstractmethod
    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, F) of weights (B, P); each INR is encoded independently."""

    def require(self, key: str, value: object, holds: bool, allowed: str) -> None:
        """Raise the one-line error for argument `key` unless `holds`."""
        if not holds:
            raise InrzooError(f"{key} = {value!r} is not allowed; it must be {allowed}")

    def require_counts(self, **counts: int) -> None:
        """Raise the one-line error for the first argument that is below 1."""
        for key, count in counts.items():
            self.require(key, count, count >= 1, "at least 1")


def pixel_layout(grid: Sequence[int], channels: int) -> WeightLayout:
    """Return the layout of an image as one tensor, so that encoders read pixels as they read weights."""
    rows, cols = grid
    return WeightLayout((WeightTensor("pixels", (rows, cols, channels), PIXELS_AXES),))
