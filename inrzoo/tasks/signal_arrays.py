"""The arrays of the signals of a source by their positions, in memory that does not grow with the set.

Shape letters: N signals, B some of them.
"""

from __future__ import annotations

import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.cache import cache_folder
from inrzoo.errors import InrzooError
from inrzoo.sources import Signals
from inrzoo.store.files import free_bytes
from inrzoo.targets import extremes_of

LOG = logging.getLogger("inrzoo.tasks")
IN_MEMORY_BYTES = 256 * 2**20
"""Maximum size of the numbers of a set that is decoded once and stays in memory, in bytes."""
READ_AT_ONCE_BYTES = 16 * 2**20
"""Bytes of numbers that are read at once where all signals are gone through."""
MAX_DECODERS = 4
"""Maximum number of threads that decode the signals of a batch: decoders of pictures release Python's lock."""

Arrays = dict[str, NDArray[Any]]
"""The arrays of B signals by name, as `Signals.read_arrays` returns them."""


class SignalArrays:
    """Reads the arrays of signals by their positions.

    A set of at most `IN_MEMORY_BYTES` is decoded once, at the first call. Of a larger one signals are decoded each time
    they are asked for, by a few threads, if the source says that this is cheap (`Signals.random_access`); otherwise all
    are decoded once into a scratch file in the cache folder, which goes with the process, however that ends.

    Args:
        signals: of a source.

    Example:
        >>> from inrzoo.sources.digits import Digits
        >>> SignalArrays(Digits().read(None))(np.array([7, 3]))["signals"].shape
        (2, 64, 1)
    """

    def __init__(self, signals: Signals) -> None:
        self.signals = signals

    def __len__(self) -> int:
        return len(self.signals)

    def __call__(self, positions_B: NDArray[np.int64]) -> Arrays:
        """Return the arrays of different signals, in their order.

        Raises:
            InrzooError: a file is damaged or has changed, or the disk has no room for a scratch file.
        """
        return self._read(positions_B)

    @property
    def signal_bytes(self) -> int:
        """Size of all arrays of one signal in bytes."""
        each = self.signals.array_specs.values()
        return sum(math.prod(spec.shape) * np.dtype(spec.dtype).itemsize for spec in each)

    def in_order(self) -> Iterator[tuple[range, Arrays]]:
        """Yield all signals once, some at a time: their positions and their arrays."""
        at_once = max(1, READ_AT_ONCE_BYTES // self.signal_bytes)
        for first in range(0, len(self), at_once):
            positions = range(first, min(first + at_once, len(self)))
            yield positions, self(np.array(positions))

    @cached_property
    def extremes_N2(self) -> NDArray[np.float64]:  # noqa: N802 - the letters say the shape
        """The smallest and the largest number of each signal, (N, 2); all are gone through once.

        Raises:
            InrzooError: a signal holds a number that is not finite.
        """
        ids = self.signals.ids
        parts = [extremes_of(arrays["signals"], [ids[row] for row in rows]) for rows, arrays in self.in_order()]
        return np.concatenate(parts)

    @cached_property
    def _read(self) -> Callable[[NDArray[np.int64]], Arrays]:
        if len(self) * self.signal_bytes <= IN_MEMORY_BYTES:
            arrays = self.signals.read_arrays(range(len(self)))
            return lambda positions_B: {name: array[positions_B] for name, array in arrays.items()}
        return _Decoder(self.signals) if self.signals.random_access else _ScratchFile(self.signals, self.signal_bytes)


class _Decoder:
    """Decodes the signals that are asked for, by threads: nothing is kept."""

    def __init__(self, signals: Signals) -> None:
        self._signals, self._threads = signals, min(MAX_DECODERS, len(os.sched_getaffinity(0)))
        self._pool = ThreadPoolExecutor(self._threads, "inrzoo-decoder")

    def __call__(self, positions_B: NDArray[np.int64]) -> Arrays:
        parts = [part.tolist() for part in np.array_split(positions_B, max(1, min(self._threads, len(positions_B))))]
        read = list(self._pool.map(self._signals.read_arrays, parts))
        return {name: np.concatenate([arrays[name] for arrays in read]) for name in read[0]}


class _ScratchFile:
    """Decodes all signals once into one file without a name, row by row, and reads rows of it."""

    def __init__(self, signals: Signals, row_bytes: int) -> None:
        self._specs, self._row_bytes, folder = signals.array_specs, row_bytes, cache_folder("signals")
        needed, free = len(signals) * row_bytes, free_bytes(folder)
        if needed > free:
            raise InrzooError(
                f"these signals are decoded into a file of {needed:,} bytes, and the disk of {folder} has {free:,} "
                "free; set INRZOO_CACHE to a folder with more room"
            )
        folder.mkdir(parents=True, exist_ok=True)
        LOG.info("decoding %s signals into a file of %.1f GB in %s", f"{len(signals):,}", needed / 1e9, folder)
        # It has no name, so that a killed process leaves nothing behind. It is not mapped: that would count as memory.
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        for position, arrays in signals.tables(range(len(signals))):
            row = b"".join(np.ascontiguousarray(arrays[name]).tobytes() for name in self._specs)
            os.pwrite(self._file.fileno(), row, position * row_bytes)

    def __call__(self, positions_B: NDArray[np.int64]) -> Arrays:
        rows = np.empty((len(positions_B), self._row_bytes), np.uint8)
        for row, position in enumerate(positions_B.tolist()):
            read = os.pread(self._file.fileno(), self._row_bytes, position * self._row_bytes)
            rows[row] = np.frombuffer(read, np.uint8)
        arrays, first = {}, 0
        for name, spec in self._specs.items():
            size = math.prod(spec.shape) * np.dtype(spec.dtype).itemsize
            part = np.ascontiguousarray(rows[:, first : first + size])
            arrays[name], first = part.view(spec.dtype).reshape(len(rows), *spec.shape), first + size
        return arrays
