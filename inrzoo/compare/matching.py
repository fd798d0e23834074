"""Matches the signals of two stores by their origin, and compares their numbers, labels and splits.

Shape letters: M signals that both stores have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.differences import differences
from inrzoo.store import Store
from inrzoo.store.recorded import damaged

BATCH_BYTES = 8 * 10**6
"""Target size, in bytes, of the numbers that are read from one store at once."""
MAX_SHOWN = 3
"""Maximum number of signals that are named where signals differ."""


def common_signals(a: Store, b: Store) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the signals that both have, (M,) in each, in the order of `a`; equal ids are matched in their order."""
    places = {key: row for row, key in enumerate(_keys(b.signal_ids))}
    pairs = [(row, places[key]) for row, key in enumerate(_keys(a.signal_ids)) if key in places]
    rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def _keys(names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each name with the number of its occurrences before."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, -1) + 1
        yield name, counts[name]


def of_signals(a: Store, b: Store, rows_a: NDArray[np.int64], rows_b: NDArray[np.int64]) -> list[str]:
    """Differences of the signals, one line each.

    Args:
        rows_a, rows_b: what `common_signals` returns.
    """
    lines = differences({"signals": a.num_signals}, {"signals": b.num_signals})
    for store, rows, name in ((a, rows_a, a.location), (b, rows_b, b.location)):
        only = np.setdiff1d(np.arange(store.num_signals), rows)
        if only.size:
            lines.append(f"{only.size:,} only in {name}: {_named(store, only)}")
    if (np.diff(rows_b) < 0).any():
        lines.append("the signals of both are in another order")
    digests = differences({"sha256": a.info.signals_sha256}, {"sha256": b.info.signals_sha256}, width=16)
    if not digests or not rows_a.size:
        return lines + digests
    if not (a.has_signals and b.has_signals):
        return [*lines, *digests, "the numbers of signals are not compared: they are not in both stores"]
    changed = [_unequal_signals(a, b, *pair) for pair in _in_parts(a, b, rows_a, rows_b)]
    unequal = np.concatenate(changed)
    if unequal.size:
        lines.append(f"{unequal.size:,} of {rows_a.size:,} in both have other numbers: {_named(a, unequal)}")
    return lines + digests


def _in_parts(
    a: Store, b: Store, rows_a: NDArray[np.int64], rows_b: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    rows = max(1, BATCH_BYTES // max(map(_row_bytes, (a, b))))
    for start in range(0, len(rows_a), rows):
        yield rows_a[start : start + rows], rows_b[start : start + rows]


def _row_bytes(store: Store) -> int:
    """The most bytes that the arrays of a signal take."""
    arrays = sum(math.prod(spec.shape) for spec in store.info.arrays.values())
    return 8 * (math.prod(store.info.grid) * store.channels + arrays)


def _unequal_signals(a: Store, b: Store, rows_a: NDArray[np.int64], rows_b: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of `a` whose signals have other numbers in `b`."""
    ours, theirs = a.signal_table(rows_a).arrays, b.signal_table(rows_b).arrays
    equal = np.full(len(rows_a), ours.keys() == theirs.keys(), dtype=np.bool_)
    for name in ours.keys() & theirs.keys():
        one, other = np.asarray(ours[name]), np.asarray(theirs[name])
        alike = one.shape == other.shape and one.dtype == other.dtype
        equal &= (_bytes(one) == _bytes(other)).all(axis=1) if alike else False
    unequal: NDArray[np.int64] = rows_a[~equal]
    return unequal


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The bytes of each row: NaN is equal to itself."""
    return np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8)


def of_labels(a: Store, b: Store, rows_a: NDArray[np.int64], rows_b: NDArray[np.int64]) -> list[str]:
    """Differences of labels and splits, one line each; codes are compared by their names.

    Args:
        rows_a, rows_b: what `common_signals` returns.
    """
    columns_a, columns_b = a.info.label_columns, b.info.label_columns
    lines = differences({"columns": list(columns_a)}, {"columns": list(columns_b)})
    lines += differences({"splits": list(a.info.split_names)}, {"splits": list(b.info.split_names)})
    for column in columns_a:
        if column not in columns_b:
            continue
        ours, theirs = a.info.label_names[column], b.info.label_names[column]
        lines += differences({column: list(ours)}, {column: list(theirs)}, width=60)
        changed = _changed(ours, _codes(a, column)[rows_a], theirs, _codes(b, column)[rows_b])
        lines += _counted(a, rows_a[changed], f"have another {column}")
    changed = _changed(a.info.split_names, a.split[rows_a], b.info.split_names, b.split[rows_b])
    return lines + _counted(a, rows_a[changed], "are in another split")


def _codes(store: Store, column: str) -> NDArray[np.int64]:
    codes = store.labels[column]
    if codes.size and not 0 <= codes.min() <= codes.max() < len(store.info.label_names[column]):
        raise damaged(store.location, f"the label column {column} holds what is no code of a name")
    return codes


def _changed(
    names_a: Sequence[str], codes_a: NDArray[Any], names_b: Sequence[str], codes_b: NDArray[Any]
) -> NDArray[np.bool_]:
    """Whether the names of two columns of codes differ, (M,)."""
    # Numbers that stand for each other are cheaper to compare than names, one for each signal.
    codes = {name: code for code, name in enumerate(dict.fromkeys([*names_a, *names_b]))}
    ours, theirs = (np.array([codes[name] for name in names], dtype=np.int64) for names in (names_a, names_b))
    changed: NDArray[np.bool_] = np.asarray(ours[codes_a] != theirs[codes_b])
    return changed


def _counted(store: Store, rows: NDArray[np.int64], what: str) -> list[str]:
    return [f"{rows.size:,} signals {what}: {_named(store, rows)}"] if rows.size else []


def _named(store: Store, rows: NDArray[np.int64]) -> str:
    names = [store.signal_ids[row] for row in rows[:MAX_SHOWN]]
    return ", ".join([*names, *(["…"] if len(rows) > MAX_SHOWN else [])])
