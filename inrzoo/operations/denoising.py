"""Denoising: the median of a window."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrzoo.extras import needed
from inrzoo.operations import Operation


@dataclass(frozen=True, kw_only=True)
class Denoising(Operation):
    """Replace each value by the median in a cube of points around it; edges are repeated outside of the grid.

    Single outliers vanish and edges stay.

    Attributes:
        size: points of the cube along each axis; odd.
    """

    size: int = 3

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the size is even or below 1.
        """
        self.require("size", self.size >= 1 and self.size % 2 == 1, "odd and at least 1")

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Operation`."""
        with needed("train", "denoising"):
            from scipy.ndimage import median_filter

        edited: NDArray[np.float32] = median_filter(values, size=self.window(self.size), mode="nearest")
        return edited
