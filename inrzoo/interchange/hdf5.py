"""Reads arrays of HDF5 files by others, and nothing else of them: no links to other files, no raw data elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.extras import needed

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MOST_INFLATED = 1032
"""Bytes that a byte of deflate can unpack to."""
SLACK_BYTES = 2**20
"""Bytes that an array may declare beyond that."""


def is_hdf5(path: Path) -> bool:
    """Whether a file begins like an HDF5 file.

    Example:
        >>> is_hdf5(Path(__file__))
        False
    """
    with path.open("rb") as stream:
        return stream.read(len(SIGNATURE)) == SIGNATURE


class Hdf5File:
    """An HDF5 file, opened for reading; a context manager.

    Args:
        path: the file.

    Raises:
        InrzooError: the file is damaged.
        MissingPackageError: h5py is not installed.
    """

    def __init__(self, path: Path) -> None:
        with needed("hdf5", "reading HDF5 files"):
            import h5py
        self._h5py, self.path = h5py, path
        with self._refusing():
            self._file = h5py.File(path, "r")

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Close the file."""
        self._file.close()

    def names(self) -> set[str]:
        """Return the names at the root."""
        with self._refusing():
            return set(self._file.keys())

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of an array.

        Raises:
            InrzooError: as `rows`.
        """
        return tuple(self._dataset(key).shape)

    def rows(self, key: str, rows: slice, kinds: str) -> NDArray[Any]:
        """Return rows of an array; all of it if it has no axes.

        Args:
            key: name of the array.
            rows: its rows.
            kinds: allowed kinds of numbers, as numpy's `dtype.kind`.

        Raises:
            InrzooError: it is absent, damaged, elsewhere, or of another kind.
        """
        dataset = self._dataset(key)
        if dataset.dtype.kind not in kinds:
            raise InrzooError(f"{self.path}: {key} holds {dataset.dtype}; expected {_named(kinds)}")
        with self._refusing():
            return np.asarray(dataset[rows] if dataset.ndim else dataset[()])

    def all(self, key: str, kinds: str) -> NDArray[Any]:
        """Return a whole array; see `rows`."""
        return self.rows(key, slice(None), kinds)

    def text(self, key: str) -> str:
        """Return the only string of an array of one, as h5py writes it.

        Raises:
            InrzooError: as `rows`, or it is no array of one string.
        """
        dataset = self._dataset(key)
        if dataset.shape not in ((), (1,)) or self._h5py.check_string_dtype(dataset.dtype) is None:
            raise InrzooError(f"{self.path}: {key} is {dataset.dtype} of shape {dataset.shape}; expected one string")
        with self._refusing():
            value = dataset[()] if dataset.shape == () else dataset[0]
            return value.decode("utf-8") if isinstance(value, bytes) else str(value)

    def _dataset(self, key: str) -> Any:
        with self._refusing():
            link = self._file.get(key, getlink=True)
            if not isinstance(link, self._h5py.HardLink):
                what = "is a link" if link is not None else "is absent"
                raise InrzooError(f"{self.path}: {key} {what}; expected an array in this file")
            dataset = self._file[key]
            if not isinstance(dataset, self._h5py.Dataset):
                raise InrzooError(f"{self.path}: {key} is a group; expected an array")
            if dataset.external or dataset.is_virtual or dataset.shape is None:
                raise InrzooError(f"{self.path}: {key} has its numbers outside of this file; expected them inside")
            if dataset.nbytes > MOST_INFLATED * self.path.stat().st_size + SLACK_BYTES:
                raise InrzooError(f"{self.path}: {key} declares {dataset.nbytes} bytes, more than the file can hold")
            return dataset

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Turn what h5py raises of a damaged file into one line."""
        try:
            yield
        except InrzooError:
            raise
        except Exception as error:  # h5py raises a dozen classes, from the C library's errors and its own checks
            reason = " ".join(str(error).split())[:200] or "no reason"
            raise InrzooError(f"{self.path} cannot be read as HDF5 ({type(error).__name__}: {reason})") from None


def _named(kinds: str) -> str:
    names = {"f": "floats", "i": "integers", "u": "integers", "b": "integers"}
    return " or ".join(dict.fromkeys(names[kind] for kind in kinds))
