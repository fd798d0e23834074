"""Coordinate grids of signals in [-1, 1]^D, or another cube around 0.

Shape letters: K coordinates, D coordinate dimensions.
"""

import math
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import AxisOrder, Spacing
from inrzoo.errors import InrzooError


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What an axis of a signal's grid measures.

    Attributes:
        name: such as `time`.
        unit: such as `s`; empty for none.
        start: the measure at the first point.
        step: the measure from one point to the next, not 0; negative for one that falls.

    Raises:
        InrzooError: a number is not finite, or `step` is 0.

    Example:
        >>> Axis(name="time", unit="s", step=1 / 8000).measures(3).tolist()
        [0.0, 0.000125, 0.00025]
    """

    name: str
    unit: str = ""
    start: float = 0.0
    step: float = 1.0

    def __post_init__(self) -> None:
        """Reject an axis that measures nothing."""
        if not (math.isfinite(self.start) and math.isfinite(self.step) and self.step):
            raise InrzooError(
                f"axis {self.name} has start {self.start} and step {self.step}; both finite, no step of 0"
            )

    def measures(self, count: int) -> NDArray[np.float64]:
        """The measures of the first `count` points."""
        return np.float64(self.start) + self.step * np.arange(count, dtype=np.float64)


def grid(
    sizes: tuple[int, ...],
    spacing: Spacing = "end_points",
    axis_order: AxisOrder = "row_col",
    extent: float = 1.0,
    finer: int = 1,
) -> NDArray[np.float32]:
    """Return the coordinates of a grid over [-extent, extent]^D in row-major order.

    Args:
        sizes: points along each axis, slowest axis first: (rows, columns) of an image, (samples,) of a sound.
        spacing: `"end_points"` puts the outer points at -1 and 1 (spacing 2/(n-1), as SIREN's code does);
            `"pixel_centres"` puts points at -1 + (2i+1)/n (spacing 2/n), times `extent`. The point of an axis of one
            point is 0.
        axis_order: `"row_col"` gives coordinates in the order of the axes; `"x_y"` reverses them, as in DWSNets'
            sets (docs/derivations/grids.md#coordinates).
        extent: highest coordinate, above 0.
        finer: factor by which the number of points along each axis grows, over the same extent.

    Returns:
        Shape (K, D), float32, K the product of `sizes` times `finer`^D.

    Raises:
        ValueError: there is no axis, an axis without points, `finer` below 1, no extent, or an unknown name.

    Example:
        >>> grid((3,), extent=10.0).tolist()
        [[-10.0], [0.0], [10.0]]
    """
    _check(sizes, spacing, axis_order, extent, finer)
    axes = [extent * _axis(size * finer, spacing) for size in sizes]
    coords = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(sizes))
    return coords[:, ::-1].astype(np.float32) if axis_order == "x_y" else coords.astype(np.float32)


def nyquist(
    sizes: tuple[int, ...],
    spacing: Spacing = "end_points",
    axis_order: AxisOrder = "row_col",
    extent: float = 1.0,
) -> NDArray[np.float64]:
    """Return the Nyquist frequency π/Δ of the grid with the same arguments, Δ being the distance of its points.

    It is π(n−1)/2 for end points (Δ = 2/(n−1)), πn/2 for pixel centres (Δ = 2/n), over `extent`; hence 0 for one end
    point.

    Args:
        sizes, spacing, axis_order, extent: as in `grid`.

    Returns:
        Shape (D,), float64, radians per coordinate unit, in the order of the coordinates.

    Raises:
        ValueError: as in `grid`.
    """
    _check(sizes, spacing, axis_order, extent)
    counts = np.array(sizes, dtype=np.float64)
    bounds = np.pi / 2 * (counts - 1 if spacing == "end_points" else counts) / extent
    return bounds[::-1].copy() if axis_order == "x_y" else bounds


def _check(sizes: tuple[int, ...], spacing: Spacing, axis_order: AxisOrder, extent: float, finer: int = 1) -> None:
    if spacing not in get_args(Spacing) or axis_order not in get_args(AxisOrder):
        raise ValueError(f"no grid {spacing!r}, {axis_order!r}; there are {get_args(Spacing)}, {get_args(AxisOrder)}")
    if not sizes or min(sizes) < 1 or finer < 1:
        raise ValueError(f"a grid needs at least one point on each axis, not {sizes}, {finer} times finer")
    if not 0 < extent < np.inf:
        raise ValueError(f"the extent of a grid is above 0, not {extent}")


def _axis(count: int, spacing: Spacing) -> NDArray[np.float64]:
    if count == 1:
        return np.zeros(1)
    if spacing == "end_points":
        return np.linspace(-1.0, 1.0, count)
    return -1.0 + (2.0 * np.arange(count) + 1.0) / count
