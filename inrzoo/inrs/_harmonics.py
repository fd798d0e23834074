"""Harmonics: frequencies that are whole multiples of one frequency along every axis.
Formulas: docs/derivations/filter_networks.md#harmonics.

Shape letters: H units, D coordinate dimensions.
"""

import itertools

import numpy as np
from numpy.typing import NDArray


def harmonics(units: int, num_axes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Whole-number frequencies k and phases φ of H units: sin(k·x + φ) are 1, then sine and cosine of each k.

    Of k and −k there is one. They ascend by their largest entry, then as words do.

    Args:
        units: H, at least 1.
        num_axes: D, at least 1.

    Returns:
        k (H, D) and φ (H,).

    Example:
        >>> multiples, phases = harmonics(units=4, num_axes=1)
        >>> multiples[:, 0].tolist()
        [0.0, 1.0, 1.0, 2.0]
    """
    largest = complete_up_to(units, num_axes) + 1
    entries = range(-largest, largest + 1)
    # The first entry that is not 0 is positive.
    half = [k for k in itertools.product(entries, repeat=num_axes) if k > (0,) * num_axes]
    half.sort(key=lambda k: (max(map(abs, k)), k))
    needed = half[: units // 2]
    multiples_HD = np.array([(0,) * num_axes, *(k for k in needed for _ in range(2))], dtype=np.float64)[:units]
    sines_H = np.arange(units) % 2 == 1
    return multiples_HD, np.where(sines_H, 0.0, np.pi / 2)


def complete_up_to(units: int, num_axes: int) -> int:
    """The largest K so that H units hold sine and cosine of every k whose entries are at most K: (2 K + 1)^D ≤ H."""
    return (parts_along_axis(units, num_axes) - 1) // 2


def parts_along_axis(units: int, num_axes: int) -> int:
    """The largest B so that a cube cut into B parts along each axis has no more parts than units: B^D ≤ H."""
    return next(parts for parts in itertools.count(1) if (parts + 1) ** num_axes > units)
