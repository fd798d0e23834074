"""Denoising: the median of a window."""

from dataclasses import dataclass

from inrzoo.operations import WindowOperation


@dataclass(frozen=True, kw_only=True)
class Denoising(WindowOperation):
    """Replace each value by the median in a cube of points around it; edges are repeated outside of the grid.

    Single outliers vanish and edges stay.
    """

    FILTER = "median_filter"
