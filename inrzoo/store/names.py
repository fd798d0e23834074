"""Names of the arrays and files of a store."""

import re
from collections.abc import Iterable
from functools import lru_cache

from inrzoo.store.blocks import COLUMNS

CHUNK = re.compile(r"(.+)/c((?:/[0-9]{1,9})+)")
"""The relative name of a chunk: the name of its array, then its position on each axis."""
RESERVED_NAMES = (
    "weights",
    *COLUMNS,
    "init",
    "fitter",
    "block_sha256",
    "label",
    "split",
    "signal_id",
    "signals",
    "stats",
)
"""Names of a store's own arrays and its one group; further ones are `FURTHER`."""
FURTHER = re.compile(r"(quality|signals|numbers)\.[a-z0-9_]+|inr\.base")
"""Names of arrays that the observation, the source and the INRs of a store decide: measures, arrays and limits of the
signals, numbers of each signal, the base. No label column has a full stop in its name."""
BASE = "inr.base"
"""Array of the numbers that all INRs share."""
LIMITS, VALID = "signals.limits", "signals.valid"
"""Arrays of the numbers that become the ends of the value range, and of the range of each signal's own points."""
STATISTICS = ("mean", "std", "count", "tensor_mean", "tensor_std", "tensor_count")
"""Names of the arrays in the group `stats`."""


def label_arrays(columns: Iterable[str]) -> list[str]:
    """Array names of label columns: the first one is `label`, the class; the others keep theirs unless reserved."""
    return ["label", *(f"label_{name}" if name in RESERVED_NAMES else name for name in list(columns)[1:])]


def signal_array(name: str) -> str:
    """Name of a further array of the signals: `points` -> `signals.points`."""
    return f"signals.{name}"


def number_array(name: str) -> str:
    """Name of a column of further numbers of each signal."""
    return f"numbers.{name}"


def is_own(name: str, label_columns: Iterable[str]) -> bool:
    """Whether a file belongs to a store with these label columns; any other file was put there by somebody else.

    Args:
        name: relative to the store.
    """
    chunk = CHUNK.fullmatch(name)
    array = chunk[1] if chunk else name.removesuffix("/zarr.json")
    ours = array in _arrays(tuple(label_columns)) or bool(FURTHER.fullmatch(array))
    return ours and (chunk is not None or name.endswith("/zarr.json"))


def is_metadata(name: str) -> bool:
    """Whether a file holds the metadata of an array or a group, rather than a chunk."""
    return name.endswith("zarr.json")


def is_statistic(name: str) -> bool:
    """Whether a file of a store belongs to its statistics."""
    return name.startswith("stats/")


def is_data(name: str) -> bool:
    """Whether a file of a store never changes when seeds are added."""
    return not is_metadata(name) and not is_statistic(name)


@lru_cache(maxsize=16)
def _arrays(label_columns: tuple[str, ...]) -> frozenset[str]:
    return frozenset({*RESERVED_NAMES, *label_arrays(label_columns), *(f"stats/{name}" for name in STATISTICS)})
