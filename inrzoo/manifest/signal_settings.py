"""The tables of a manifest that say what signals mean: where their values lie, and what their numbers stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inrzoo.choices import AxisOrder, Spacing, ValueScale, ValueType
from inrzoo.errors import InrzooError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Coords:
    """The coordinates of a signal's values, in [-extent, extent] on each axis; see `inrzoo.coords.grid`.

    Attributes:
        spacing: `end_points`: the first and the last value of an axis lie at its ends. `pixel_centres`: at the centres
            of equal cells.
        axis_order: `row_col`: coordinates in the order of the signal's axes, rows first. `x_y`: in the reverse order.
        extent: half the length of each axis, above 0; signals of many periods, such as sounds, need more than 1.
    """

    spacing: Spacing = "end_points"
    axis_order: AxisOrder = "row_col"
    extent: float = 1.0

    def __post_init__(self) -> None:
        """Reject an impossible extent."""
        require("coords.extent", self.extent, 0 < self.extent < math.inf, "above 0")

    def grid(self, sizes: tuple[int, ...], finer: int = 1) -> NDArray[np.float32]:
        """The grid of a signal, (K, D); see `inrzoo.coords.grid`."""
        from inrzoo import coords  # with numpy, which a manifest alone does without

        return coords.grid(sizes, self.spacing, self.axis_order, self.extent, finer)

    def nyquist(self, sizes: tuple[int, ...]) -> NDArray[np.float64]:
        """The Nyquist frequency of each axis, (D,), in radians per coordinate unit; see `inrzoo.coords.nyquist`."""
        from inrzoo import coords

        return coords.nyquist(sizes, self.spacing, self.axis_order, self.extent)


@dataclass(frozen=True, kw_only=True)
class Values:
    """The target values of an INR: value = low + (high − low) · (number − first) / (last − first).

    `first` and `last` are the numbers of a signal that become the ends of the range; see `inrzoo.targets`.

    Attributes:
        range: (low, high); the peak of the PSNR is its width.
        dtype: type of the signals' numbers, as the source gives them and the store keeps them.
        scale: where `first` and `last` come from: `dtype`: the smallest and the largest number of an integer type;
            int16 counts from −32768 to 32768, so that 0 stays the middle. `dataset`: `limits`, or the extremes of the
            training split. `signal`: the extremes of each signal.
        limits: first and last, for `dataset`.
        symmetric: whether the extremes are ± the largest magnitude, so that 0 stays the middle of the range.
        unit: unit of the numbers, such as `m/s`.
    """

    range: tuple[float, float] = (-1.0, 1.0)
    dtype: ValueType = "uint8"
    scale: ValueScale = "dtype"
    limits: tuple[float, float] | None = None
    symmetric: bool = False
    unit: str = ""

    def __post_init__(self) -> None:
        """Reject an empty range, and a scale that does not go with the other settings."""
        allowed = "[low, high] with low below high, both finite"
        require("values.range", list(self.range), _ascending(self.range), allowed)
        if self.scale == "dtype":
            integers = "uint8, uint16 or int16 with values.scale = dtype; floats need dataset or signal"
            require("values.dtype", self.dtype, self.dtype in ("uint8", "uint16", "int16"), integers)
        if self.limits is not None:
            require("values.limits", list(self.limits), _ascending(self.limits), allowed)
            require(
                "values.limits", list(self.limits), self.scale == "dataset", "left out unless values.scale = dataset"
            )
        extremes = self.scale == "signal" or (self.scale == "dataset" and self.limits is None)
        require("values.symmetric", self.symmetric, extremes or not self.symmetric, "false unless extremes are taken")


def _ascending(pair: tuple[float, float]) -> bool:
    return -math.inf < pair[0] < pair[1] < math.inf


def require(key: str, value: Any, holds: bool, allowed: str) -> None:
    """Raise InrzooError that names a key, its value and what is allowed, unless a condition holds."""
    if not holds:
        raise InrzooError(f"{key} = {value!r} is not allowed; it must be {allowed}")
