"""Observations: how an INR is compared with a signal. This file holds what all of them share.

Shape letters: K points, D coordinate dimensions, C channels.
"""

from typing import NamedTuple


class ArraySpec(NamedTuple):
    """Shape and type of an array that each signal of a source has.

    Attributes:
        shape: shape for one signal.
        dtype: numpy's name of the type.
    """

    shape: tuple[int, ...]
    dtype: str
