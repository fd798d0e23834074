"""Rotation of an image about its middle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.operations import Operation


@dataclass(frozen=True, kw_only=True)
class Rotation(Operation):
    """Turn each image about its middle, with linear interpolation; what comes from outside repeats the edge.

    `INR.transform_coords` turns weights exactly and without a network, which makes this operation a test of editing.

    Attributes:
        degrees: angle, counter-clockwise where rows run downwards.
    """

    degrees: float = 45.0

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the angle is not finite, or the signals are no images.
        """
        self.require("degrees", abs(self.degrees) < float("inf"), "finite")
        if len(self.sizes) != 2:
            raise InrzooError(f"rotation takes images; the signals have a grid of {len(self.sizes)} axes")

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Operation`."""
        with needed("train", "rotation"):
            from scipy.ndimage import rotate

        turned = rotate(values, self.degrees, axes=(1, 2), reshape=False, order=1, mode="nearest")
        edited: NDArray[np.float32] = turned
        return edited
