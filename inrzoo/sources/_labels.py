"""Label columns from file names or from a table, and splits by label."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.nearest import hint
from inrzoo.sources import SPLITS


def check_pattern(field: str, pattern: str) -> re.Pattern[str]:
    """Compile a regular expression with named groups.

    Raises:
        InrzooError: it is malformed or names no group.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise InrzooError(f"{field} = {pattern!r} is not a regular expression ({error})") from error
    if not compiled.groupindex:
        raise InrzooError(f"{field} = {pattern!r} names no group; expected one for each column, (?P<speaker>[a-z]+)")
    return compiled


def labels_of_names(place: str, names: Sequence[str], pattern: re.Pattern[str]) -> dict[str, list[str]]:
    """Read label columns off file names.

    Args:
        place: place of the files, for messages.
        names: names with forward slashes; the suffix is not searched.
        pattern: each named group is a column.

    Raises:
        InrzooError: the pattern is not found in a name, or a group of it took no part.
    """
    columns: dict[str, list[str]] = {column: [] for column in pattern.groupindex}
    for name in names:
        match = pattern.search(_stem(name))
        if match is None or None in match.groupdict().values():
            raise InrzooError(f"{place}: {name} does not match label_pattern = {pattern.pattern!r}")
        for column, label in match.groupdict().items():
            columns[column].append(label)
    return columns


def labels_of_table(
    place: str, content: bytes, names: Sequence[str], file_column: str, label_columns: Sequence[str], delimiter: str
) -> dict[str, dict[str, str]]:
    """Read the labels of files from a table with one row for each file.

    Args:
        place: name of the table, for messages.
        content: bytes of the table, in UTF-8, with the names of the columns in the first line.
        names: names of the files, with forward slashes.
        file_column: column of file names; outer folders and the suffix may be left out.
        label_columns: columns to read.
        delimiter: the character between two cells.

    Returns:
        For each file that the table names, the label of each column. Files without a row are absent.

    Raises:
        InrzooError: a column is absent, a cell is empty, or a row names no file, several, or one that has a row.
    """
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter)
        columns = rows.fieldnames or ()
        table = list(rows)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InrzooError(f"{place} is not a table in UTF-8 ({error})") from error
    if absent := [column for column in (file_column, *label_columns) if column not in columns]:
        raise InrzooError(f"{place} has no column {absent[0]!r}{hint(absent[0], columns)}; it has: {_listed(columns)}")
    name_of = _by_short_name(names)
    labels: dict[str, dict[str, str]] = {}
    for line, row in enumerate(table, start=2):
        cells = {column: row[column] for column in (file_column, *label_columns)}
        if empty := [column for column, cell in cells.items() if not cell]:
            raise InrzooError(f"{place}: row {line} has no {empty[0]}")
        short = cells.pop(file_column)
        if (name := name_of.get(short)) is None:
            count = "several files" if short in name_of else "no file"
            raise InrzooError(f"{place}: row {line} names {short!r}, which is {count}; write its folders and suffix")
        if name in labels:
            raise InrzooError(f"{place}: row {line} names {short!r}, which has a row already")
        labels[name] = cells
    return labels


def encode_labels(labels: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Return the code of each label, and the name of each code: whole numbers in their order, then other names."""
    names = sorted(set(labels), key=lambda label: (0, int(label), label) if _is_number(label) else (1, 0, label))
    code_of = {name: code for code, name in enumerate(names)}
    return np.array([code_of[label] for label in labels], dtype=np.int64), names


def held_out_split(
    field: str, held_out: Mapping[str, Sequence[str]], columns: Mapping[str, Sequence[str]]
) -> NDArray[np.uint8]:
    """Return a split whose test signals are those with one of the labels in `held_out`; the others are train.

    Args:
        field: name of the setting, for messages.
        held_out: for each label column, the names that are held out.
        columns: for each label column, the labels of the N signals.

    Raises:
        InrzooError: a column or a name is unknown, or nothing or everything is held out.
    """
    count = len(next(iter(columns.values())))
    test = np.zeros(count, dtype=bool)
    for column, names in held_out.items():
        if column not in columns:
            raise InrzooError(f"{field} has no column {column!r}{hint(column, columns)}; there are: {_listed(columns)}")
        known = encode_labels(columns[column])[1]
        if absent := set(names) - set(known):
            raise InrzooError(
                f"{field}.{column} names {min(absent)!r}, which no signal has{hint(min(absent), known)}; "
                f"there are: {_listed(known)}"
            )
        test |= np.isin(columns[column], names)
    if test.all() or not test.any():
        raise InrzooError(f"{field} holds out {test.sum()} of the {count} signals; expected some, but not all")
    return np.where(test, SPLITS.index("test"), SPLITS.index("train")).astype(np.uint8)


def _listed(names: Iterable[str]) -> str:
    """Join the first eight names, quoted, as a table may hold any characters."""
    every = [repr(name) for name in names]
    return (", ".join(every[:8]) or "none") + (", …" if len(every) > 8 else "")


def _is_number(label: str) -> bool:
    return label.isdecimal() and len(label) < 20  # int() refuses texts of thousands of digits


def _stem(name: str) -> str:
    return name.removesuffix(PurePosixPath(name).suffix)


def _by_short_name(names: Iterable[str]) -> dict[str, str | None]:
    """Map each name, with any outer folders and the suffix left out, to the name; to None if it is that of several."""
    name_of: dict[str, str | None] = {}
    for name in names:
        for whole in {name, _stem(name)}:
            parts = whole.split("/")
            for first in range(len(parts)):
                short = "/".join(parts[first:])
                name_of[short] = name if name_of.get(short, name) == name else None
    return name_of
