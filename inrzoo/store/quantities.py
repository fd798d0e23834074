"""Columns of numbers that a store has of its INRs, for readers that choose one by name: targets of a regression.

Shape letters: N signals, S seeds, T snapshots.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inrzoo.keywords import unknown
from inrzoo.store.blocks import MEASURE_PREFIX
from inrzoo.store.info import StoreInfo
from inrzoo.store.names import number_array
from inrzoo.store.reader import Store

OF_INRS = ("psnr", "loss", "steps", "out_of_band", "exact")
"""Columns that every store has, beside the measures of its observation and the numbers of its source."""


def quantity_array(info: StoreInfo, name: str) -> str:
    """Return the array that holds a column of numbers: `psnr`, a measure such as `snr`, a number such as `offset`.

    Raises:
        InrzooError: the store has no such column; the message names all.

    Example:
        >>> from inrzoo.store.quantities import quantity_array
        >>> quantity_array(inrzoo.open_store("digits.zarr").info, "psnr")
        'psnr'
    """
    arrays = {name: number_array(name) for name in info.numbers}
    arrays |= {name: f"{MEASURE_PREFIX}{name}" for name in info.measures}
    arrays |= {name: name for name in OF_INRS}
    if name not in arrays:
        raise unknown("the store", name, list(arrays), kind="column of numbers")
    return arrays[name]


def quantity(store: Store, name: str) -> NDArray[np.float64]:
    """Return a column of numbers for every INR, (N, S, T); a number of the signal is that of all its fits.

    Raises:
        InrzooError: as `quantity_array`.

    Example:
        >>> from inrzoo.store.quantities import quantity
        >>> quantity(inrzoo.open_store("digits.zarr"), "psnr").shape
        (48, 2, 1)
    """
    quantity_array(store.info, name)
    shape = store.weights.shape[:3]
    if name in OF_INRS:
        return np.asarray(getattr(store, name), dtype=np.float64)
    if name in store.measures:
        return np.asarray(store.measures[name], dtype=np.float64)
    return np.broadcast_to(np.asarray(store.numbers[name], dtype=np.float64)[:, None, None], shape)
