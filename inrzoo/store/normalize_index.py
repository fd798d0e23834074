"""Integers, slices and boolean masks as positions, without an array of the whole axis: it may have millions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def normalize_index(index: Any, size: int, name: str) -> NDArray[np.int64]:
    """Positions along an axis: `np.arange(size)[index]`, and for an integer an array of one position.

    Args:
        index: an integer, a slice, or a list or array of integers or of `size` booleans; negative ones count from the
            end.
        name: name of the axis, for the error.

    Raises:
        IndexError: out of range, or neither integers nor booleans.
    """
    if isinstance(index, slice):
        return np.arange(*index.indices(size))
    indices = np.atleast_1d(np.asarray(index))
    if indices.dtype == bool:
        if indices.shape != (size,):
            raise IndexError(f"{indices.size} booleans for {size} of {name}")
        return np.flatnonzero(indices)
    if not indices.size:
        return np.zeros(indices.shape, dtype=np.int64)
    if not np.issubdtype(indices.dtype, np.integer):
        raise IndexError(f"{name} takes integers, slices and booleans, not {indices.dtype}")
    positions = indices.astype(np.int64)
    low, high = positions.min(), positions.max()
    if low < -size or high >= size:
        raise IndexError(f"{name} {high if high >= size else low} is out of range; there are {size}")
    return np.where(positions < 0, positions + size, positions) if low < 0 else positions


def is_one(index: Any) -> bool:
    """Whether an index names one position, as an integer or an array without dimensions, and not a list of them."""
    return not isinstance(index, slice) and np.ndim(index) == 0
