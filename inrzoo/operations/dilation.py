"""Dilation of grey values: the largest value of a window."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrzoo.extras import needed
from inrzoo.operations import WindowOperation


@dataclass(frozen=True, kw_only=True)
class Dilation(WindowOperation):
    """Replace each value by the largest in a cube of points around it, inside the grid. Bright strokes grow.

    With the default on images it is `cv2.dilate` with a kernel of 3 × 3 ones, which the papers on editing INRs take.
    """

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Operation`."""
        with needed("train", "dilation"):
            from scipy.ndimage import grey_dilation

        # Repeating the edge adds no value that the window has not already: as if points outside did not exist.
        edited: NDArray[np.float32] = grey_dilation(values, size=self.window, mode="nearest")
        return edited
