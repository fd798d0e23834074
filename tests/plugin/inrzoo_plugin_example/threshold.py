"""An operation: signals become black and white."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrzoo.operations import Operation


@dataclass(frozen=True, kw_only=True)
class Threshold(Operation):
    """Make values below a threshold 0, and all others 1.

    Attributes:
        threshold: from 0 to 1.
    """

    threshold: float = 0.5

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the threshold is out of range.
        """
        self.require("threshold", 0 <= self.threshold <= 1, "from 0 to 1")

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Edit signals (B, *sizes, C) in [0, 1]."""
        return (values >= self.threshold).astype(np.float32)
