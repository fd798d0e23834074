"""Sources of signals, one file for each dataset or file format. This file holds their base class.

Shape letters: N signals, K coordinates (the product of the grid's shape), C channels.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import ValueType
from inrzoo.coords import Axis
from inrzoo.errors import InrzooError
from inrzoo.observations import ArraySpec

Reading = NDArray[Any] | Mapping[str, NDArray[Any]]
"""The numbers of a signal, or all of its arrays by name."""
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """Reads signals from a dataset or file format; its fields are its configuration.

    A subclass in `inrzoo/sources/<name>.py` adds fields and `read`.
    """

    def __post_init__(self) -> None:  # noqa: B027
        """Reject impossible fields; a class with fields extends it."""

    @abstractmethod
    def read(self, path: Path | None) -> Signals:
        """List the signals without decoding them.

        Args:
            path: local files (`--source`), or None for the embedded data, a cached copy, or a verified download.

        Raises:
            InrzooError: files are absent or damaged, or do not fit the settings.
        """


@dataclass(frozen=True, kw_only=True)
class Signals:
    """The signals of a source: their metadata, which need no decoding, and a function that reads their values.

    Attributes:
        grid: sizes of a signal's grid, slowest axis first: `(rows, columns)` of an image.
        channels: C.
        ids: N unique strings that locate each signal in its source (archive member, row).
        labels: columns of N int64 codes; the first is the class that tasks use by default.
        label_names: for each column, the name of each code.
        split: N uint8 indices into `split_names`.
        split_names: names of the splits.
        checksums: sha256 (hex) of each file that was read, by file name without folders.
        values: `values(indices)` yields `(index, array)` once for each index, in the order of the source; the array has
            shape `(*grid, C)` and the type `dtype`. A streaming source restarts at every call: pass many indices.
        dtype: type of the numbers, one of `ValueType`: the manifest's `values.dtype`.
        axes: what each axis of the grid measures; empty if nothing is known.
        valid: for a grid of one axis, the range of points that are the signal's own, (N, 2) int64, first and one after
            the last; the points outside are padding. None if nothing is padded.
        arrays: further arrays that each signal has, by name: for the observation `points`, `points` (K, D) and
            `held_out_points`, `held_out_signals`. `values` then yields a table of these arrays and `signals`.
        numbers: columns of N further numbers, int64 or float64, such as the sample at which a clip begins.
        skipped: files that were left out because they cannot be read, each with the reason.
        random_access: whether `values` is as fast for a few signals in any order, and in several threads, as for all of
            them in order, as small files are. Training then decodes signals when it needs them, and all others once.
    """

    grid: tuple[int, ...]
    channels: int
    ids: Sequence[str]
    labels: dict[str, NDArray[np.int64]]
    label_names: dict[str, list[str]]
    split: NDArray[np.uint8]
    values: Callable[[Sequence[int]], Iterator[tuple[int, Reading]]]
    split_names: tuple[str, ...] = SPLITS
    checksums: dict[str, str] = dataclasses.field(default_factory=dict)
    dtype: ValueType = "uint8"
    axes: tuple[Axis, ...] = ()
    valid: NDArray[np.int64] | None = None
    arrays: dict[str, ArraySpec] = dataclasses.field(default_factory=dict)
    numbers: dict[str, NDArray[Any]] = dataclasses.field(default_factory=dict)
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    random_access: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def array_specs(self) -> dict[str, ArraySpec]:
        """Shape and type of every array of a signal: `signals`, (K, C), and `arrays`."""
        return {"signals": ArraySpec((math.prod(self.grid), self.channels), self.dtype), **self.arrays}

    def tables(self, indices: Sequence[int]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """Read the arrays of some signals by name, in the shapes of `array_specs`; otherwise as `values`."""
        shapes = {name: spec.shape for name, spec in self.array_specs.items()}
        for index, read in self.values(indices):
            arrays = read if isinstance(read, Mapping) else {"signals": read}
            yield index, {name: arrays[name].reshape(shape) for name, shape in shapes.items()}

    def array(self, indices: Sequence[int]) -> NDArray[Any]:
        """Read the values of different signals, (len(indices), K, C), in the order of `indices`."""
        return self.read_arrays(indices)["signals"]

    def read_arrays(
        self,
        indices: Sequence[int],
        allocate: Callable[[str, tuple[int, ...], str], NDArray[Any]] = lambda _, shape, dtype: np.empty(shape, dtype),
        on_read: Callable[[int, int], None] = lambda done, total: None,
    ) -> dict[str, NDArray[Any]]:
        """Read every array of different signals, in the order of `indices`.

        Args:
            indices: numbers of the signals.
            allocate: makes the array of a name for all signals, of a shape and a type.
            on_read: called with the numbers of signals read and of all.
        """
        positions = {int(index): position for position, index in enumerate(indices)}
        total = len(positions)
        read = {name: allocate(name, (total, *spec.shape), spec.dtype) for name, spec in self.array_specs.items()}
        on_read(0, total)
        for done, (index, arrays) in enumerate(self.tables(list(positions)), start=1):
            for name, array in arrays.items():
                read[name][positions[index]] = array
            on_read(done, total)
        return read

    def take(self, indices: NDArray[np.int64]) -> Signals:
        """Return the signals at `indices`, in that order."""
        positions = {int(index): position for position, index in enumerate(indices)}

        def values(subset: Sequence[int]) -> Iterator[tuple[int, Reading]]:
            for index, array in self.values([int(indices[position]) for position in subset]):
                yield positions[index], array

        return dataclasses.replace(
            self,
            ids=[self.ids[index] for index in indices],
            labels={column: codes[indices] for column, codes in self.labels.items()},
            split=self.split[indices],
            values=values,
            valid=None if self.valid is None else self.valid[indices],
            numbers={column: numbers[indices] for column, numbers in self.numbers.items()},
        )

    def by_split(self) -> Signals:
        """Sort the signals by split (stable), so that a split is a range."""
        return self.take(np.argsort(self.split, kind="stable"))

    def limit(self, count: int, earlier: Sequence[int] = ()) -> Signals:
        """Take at most `count` signals: an even share of every class (first label column), spread evenly inside each
        class.

        Class `i` of `c` gets `floor((i+1)·count/c) − floor(i·count/c)` signals; the shortfall of a small class is
        shared among the others in the same way. The order stays.

        Args:
            count: number of signals.
            earlier: ascending smaller numbers: the signals of the first are taken, then those that each next number
                adds from the rest, so that a set that grows keeps its signals.

        Raises:
            InrzooError: `count` is below 1.
        """
        if count < 1:
            raise InrzooError(f"limit = {count} is impossible; it must be 1 or more")
        if count >= len(self):
            return self
        chosen = np.array([], dtype=np.int64)
        for number in (*earlier, count):
            rest = np.setdiff1d(np.arange(len(self)), chosen)
            chosen = np.union1d(chosen, rest[self.take(rest)._even_share(number - len(chosen))])
        return self.take(chosen)

    def _even_share(self, count: int) -> NDArray[np.int64]:
        """Return the numbers of at most `count` signals, ascending; see `limit`."""
        if count >= len(self):
            return np.arange(len(self))
        codes = next(iter(self.labels.values()))
        members = [np.flatnonzero(codes == code) for code in np.unique(codes)]
        quota = np.zeros(len(members), dtype=np.int64)
        while (left := count - int(quota.sum())) > 0:
            open_classes = np.flatnonzero(quota < [len(rows) for rows in members])
            edges = np.arange(len(open_classes) + 1) * left // len(open_classes)
            quota[open_classes] += np.diff(edges)
            quota = np.minimum(quota, [len(rows) for rows in members])
        chosen = [
            rows[((np.arange(share) + 0.5) * len(rows) / share).astype(np.int64)]
            for rows, share in zip(members, quota, strict=True)
            if share
        ]
        return np.sort(np.concatenate(chosen))
