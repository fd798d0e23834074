"""Operations on signals that networks learn to do on weights, one file each: signals come in, edited ones go out.

The task `edit` trains a decoder to change the weights of an INR so that it says the edited signal.
`registry.make("operations", {"name": …}, sizes=sizes)` makes an operation.

Shape letters: B signals, C channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.extras import needed


@dataclass(frozen=True, kw_only=True)
class Operation(ABC):
    """A change of signals on a grid; a subclass in `inrzoo/operations/<name>.py` adds its fields and `__call__`.

    Attributes:
        sizes: the grid of the signals, slowest axis first; given by the data and not by the user.
    """

    RUNTIME_FIELDS: ClassVar[tuple[str, ...]] = ("sizes",)

    sizes: tuple[int, ...]

    @abstractmethod
    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the edited signals.

        Args:
            values: (B, *sizes, C) in [0, 1]; not modified.

        Returns:
            (B, *sizes, C).
        """

    def require(self, key: str, holds: bool, allowed: str) -> None:
        """Raise the one-line error for field `key` unless `holds`."""
        if not holds:
            raise InrzooError(f"{key} = {getattr(self, key)!r} is not allowed; it must be {allowed}")


@dataclass(frozen=True, kw_only=True)
class WindowOperation(Operation):
    """An operation that replaces each value by a statistic of a cube of points around it; a subclass names its filter.

    Attributes:
        size: points of the cube along each axis; odd.
    """

    FILTER: ClassVar[Literal["grey_dilation", "grey_erosion", "median_filter"]]
    """The function of `scipy.ndimage`. Edges are repeated outside of the grid."""

    size: int = 3

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the size is even or below 1.
        """
        self.require("size", self.size >= 1 and self.size % 2 == 1, "odd and at least 1")

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Operation`."""
        with needed("train", type(self).__name__.lower()):
            from scipy import ndimage

        window = (1, *[self.size] * len(self.sizes), 1)
        edited: NDArray[np.float32] = getattr(ndimage, self.FILTER)(values, size=window, mode="nearest")
        return edited
