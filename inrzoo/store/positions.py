"""What an index along one axis means, without an array of the whole axis: stores have millions of signals."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def positions(index: Any, size: int, name: str) -> NDArray[np.int64]:
    """Positions along an axis, as `np.arange(size)[index]`, of one integer an array of one.

    Args:
        index: an integer, a slice, or a list or array of integers or of `size` booleans; negative ones count from the
            end.
        name: of what is counted, for the error.

    Raises:
        IndexError: out of range, or neither integers nor booleans.
    """
    if isinstance(index, slice):
        return np.arange(*index.indices(size))
    given = np.atleast_1d(np.asarray(index))
    if given.dtype == bool:
        if given.shape != (size,):
            raise IndexError(f"{given.size} booleans for {size} of {name}")
        return np.flatnonzero(given)
    if not given.size:
        return np.zeros(given.shape, dtype=np.int64)
    if not np.issubdtype(given.dtype, np.integer):
        raise IndexError(f"{name} takes integers, slices and booleans, not {given.dtype}")
    found = given.astype(np.int64)
    low, high = found.min(), found.max()
    if low < -size or high >= size:
        raise IndexError(f"{name} {high if high >= size else low} is out of range; there are {size}")
    return np.where(found < 0, found + size, found) if low < 0 else found
