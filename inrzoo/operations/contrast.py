"""More contrast: values move away from the middle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrzoo.operations import Operation


@dataclass(frozen=True, kw_only=True)
class Contrast(Operation):
    """Multiply the distance of each value from `middle`, and clip to [0, 1].

    The papers on editing INRs equalise histograms of tiles instead (OpenCV's CLAHE on the lightness of CIFAR-10).

    Attributes:
        gain: factor, above 0; below 1 there is less contrast.
        middle: the value that stays, from 0 to 1.
    """

    gain: float = 2.0
    middle: float = 0.5

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a number is out of its range.
        """
        self.require("gain", 0 < self.gain < float("inf"), "above 0")
        self.require("middle", 0 <= self.middle <= 1, "from 0 to 1")

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Operation`."""
        return (self.middle + self.gain * (values - self.middle)).clip(0, 1).astype(np.float32)
