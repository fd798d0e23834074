"""Reads the fields of a file of arrays, one after the other: on a grid, or at points of a globe.

Shape letters: K points, M held-out points, C channels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.observations import ArraySpec
from inrzoo.sources import Reading
from inrzoo.sources._array_files import opened, read_array
from inrzoo.sources._globe import GlobePoints

POLE_SPREAD = 1e-3
"""Spread of the values at a pole, as a part of the field's range, that still counts as one value."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FieldReader:
    """Reads the signals of some variables of a file; it opens the file whenever it reads.

    Attributes:
        file: file of arrays.
        names: variables, one after the other in the channels.
        coords: dimensions of the coordinates, slowest first.
        signals: dimensions of the signals and their sizes, slowest first.
        channels: dimension of the channels, if there is one.
        num_channels: C.
        stride: every `stride`-th point along each axis of a grid is read.
        descending: for each of `coords`, whether it is turned around on a grid.
        vectors: coordinates of all points of the file's grid; of a globe only.
        globe: the points of a globe that are read; None on a grid.
    """

    file: Path
    names: tuple[str, ...]
    coords: tuple[str, ...]
    signals: Mapping[str, int]
    channels: str | None
    num_channels: int
    stride: int
    descending: tuple[bool, ...]
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 3), np.float32))
    globe: GlobePoints | None = None

    def on_globe(self, vectors: NDArray[np.float32], globe: GlobePoints) -> FieldReader:
        """The same fields at points of a globe."""
        return dataclasses.replace(self, vectors=vectors, globe=globe)

    def grid(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The grid of a signal, `Signals.grid`, for the sizes of the file's dimensions."""
        if self.globe is not None:
            return (len(self.globe.fitted),)
        return tuple(-(-sizes[dim] // self.stride) for dim in self.coords)

    @property
    def array_specs(self) -> dict[str, ArraySpec]:
        """The arrays of a signal beside its values, `Signals.arrays`."""
        if self.globe is None:
            return {}
        held_out = len(self.globe.held_out)
        return {
            "points": ArraySpec((len(self.globe.fitted), 3), "float32"),
            "held_out_points": ArraySpec((held_out, 3), "float32"),
            "held_out_signals": ArraySpec((held_out, self.num_channels), "float32"),
        }

    def values(self, indices: Sequence[int]) -> Iterator[tuple[int, Reading]]:
        """See `Signals.values`."""
        for index, numbers in self._fields(indices):
            if self.globe is None:
                turned = np.flip(numbers, tuple(axis for axis, turn in enumerate(self.descending) if turn))
                yield index, turned[tuple(slice(None, None, self.stride) for _ in self.coords)]
            else:
                numbers_KC = numbers.reshape(-1, self.num_channels)
                fitted, held_out, _ = self.globe
                yield (
                    index,
                    {
                        "points": self.vectors[fitted],
                        "signals": numbers_KC[fitted],
                        "held_out_points": self.vectors[held_out],
                        "held_out_signals": numbers_KC[held_out],
                    },
                )

    def check(self, ids: Sequence[str], title: str, one_pole: bool) -> None:
        """Read all fields once.

        Args:
            ids: ids of the signals.
            title: names and units of the variables, for messages.
            one_pole: whether a pole must have one value.

        Raises:
            InrzooError: a number is missing or not finite, or a pole has several values.
        """
        missing, total, first = 0, 0, ""
        for index, numbers in self._fields(range(len(ids))):
            bad = int(numbers.size - np.isfinite(numbers).sum())
            first = first or (ids[index] if bad else "")
            missing, total = missing + bad, total + numbers.size
            for row in self.globe.pole_rows if self.globe and one_pole and not bad else ():
                self._check_pole(numbers, row, ids[index], title)
        if missing:
            raise InrzooError(
                f"{self.file}: {missing} of {total} numbers of {title} are missing or not finite, the first "
                f"in {first}; an INR needs all of them"
            )

    def _check_pole(self, numbers: NDArray[np.float32], row: int, identifier: str, title: str) -> None:
        at_pole, every = numbers[row], numbers.reshape(-1, self.num_channels)
        if (np.ptp(at_pole, axis=0) > POLE_SPREAD * np.ptp(every, axis=0)).any():
            raise InrzooError(
                f"{self.file}: {identifier} has values of {title} from {at_pole.min():g} to {at_pole.max():g} at one "
                'pole, as components of vectors have; source.poles = "drop" leaves it out, "first" takes the first'
            )

    def _fields(self, indices: Sequence[int]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Read fields, (*sizes of coords, C), in the order of the file."""
        last = (self.channels,) if self.channels else ()
        with opened(self.file) as dataset:
            arrays: list[Any] = [dataset[name].transpose(*self.signals, *self.coords, *last) for name in self.names]
            for index in indices:
                at = tuple(int(position) for position in np.unravel_index(int(index), tuple(self.signals.values())))
                parts = [read_array(self.file, array[at]) for array in arrays]
                with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused
                    numbers = [part.reshape(*part.shape[: len(self.coords)], -1).astype(np.float32) for part in parts]
                yield int(index), np.concatenate(numbers, axis=-1)
