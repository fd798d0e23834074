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
"""What an encoder can promise: the same features however hidden neurons are numbered; and if some of them are negated,
incoming weights, bias and outgoing weights alike, as an odd activation allows."""

PIXELS_AXES = ("row", "col", "channel")


class Encoder(nn.Module, ABC):
    """Weights to features; a subclass in `inrzoo/encoders/<name>.py` adds its keyword arguments and `forward`.

    Args:
        layout: of what it reads; see `reads`.

    Attributes:
        out_features: F.
        symmetries: those of `SYMMETRIES` that leave the features unchanged, to rounding.
        reads: `weights` of INRs, or `signals`: pixels, in a layout made by `pixel_layout`.
    """

    symmetries: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[str] = "weights"
    out_features: int

    def __init__(self, layout: WeightLayout) -> None:
        super().__init__()
        self.layout = layout

    @abstractmethod
    def forward(self, weights: Tensor) -> Tensor:
        """Features (B, F) of weights (B, P), each INR for itself."""

    def require(self, key: str, value: object, holds: bool, allowed: str) -> None:
        """Raise the one-line error for argument `key` unless `holds`."""
        if not holds:
            raise InrzooError(f"{key} = {value!r} is not allowed; it must be {allowed}")

    def require_counts(self, **counts: int) -> None:
        """Raise the one-line error for the first argument that is below 1."""
        for key, count in counts.items():
            self.require(key, count, count >= 1, "at least 1")


def pixel_layout(grid: Sequence[int], channels: int) -> WeightLayout:
    """Of an image that stands where weights do: one tensor, so that encoders read both in the same way."""
    rows, cols = grid
    return WeightLayout((WeightTensor("pixels", (rows, cols, channels), PIXELS_AXES),))
