"""Denoising: the median of a window."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrzoo.extras import needed
from inrzoo.operations import WindowOperation


@dataclass(frozen=True, kw_only=True)
class Denoising(WindowOperation):
    """Replace each value by the median in a cube of points around it; edges are repeated outside of the grid.

    Single outliers vanish and edges stay.
    """

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Operation`."""
        with needed("train", "denoising"):
            from scipy.ndimage import median_filter

        edited: NDArray[np.float32] = median_filter(values, size=self.window, mode="nearest")
        return edited
