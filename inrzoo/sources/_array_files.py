"""Opens files of named arrays with dimensions (NetCDF, zarr, npz) as data sets of xarray."""

from __future__ import annotations

import functools
import gc
import json
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.sources._arrays import read_numpy
from inrzoo.sources._files import FileTree, only_file, sha256
from inrzoo.sources._unreadable import UnreadableError

SUFFIXES = (".nc", ".nc4", ".cdf", ".h5", ".npz", ".zarr")
"""Endings of the files that are looked for in a folder; a file that is named itself may have any."""
ZARR_METADATA = (".zgroup", ".zarray", ".zattrs", ".zmetadata", "zarr.json")
"""Names of the files that describe the arrays of a zarr folder."""
NETCDF3 = (b"CDF\x01", b"CDF\x02")
HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
"""First bytes of the files, by format."""
MAX_NPZ_BYTES = 8 * 2**30
"""Maximum unpacked size of a `.npz` file in bytes; it is read into memory."""


def array_file(path: Path) -> Path:
    """Return the file or zarr folder that `path` names, or the only one in the folder `path`.

    Raises:
        InrzooError: there is none, or there are several.
    """
    if path.is_dir() and _is_zarr(path):
        return path
    return only_file(path, SUFFIXES, "files of arrays", "NetCDF, zarr or npz file", f"({', '.join(SUFFIXES)})")


def checksums(path: Path) -> dict[str, str]:
    """Return the sha256 of a file; for a zarr folder, one over the names and contents of its files."""
    if path.is_file():
        return {path.name: sha256(path)}
    names = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
    return FileTree(path, tuple(sorted(names))).checksums(names)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Yield the xarray.Dataset of a file, unread. Packed numbers are unpacked and fill values are NaN when read.

    Times stay numbers. The arrays of a `.npz` have the dimensions that its array `dims` names, if it names as many, and
    else `dim_0`, `dim_1`, …; a list with the name of a dimension holds its coordinates.

    Raises:
        InrzooError: the file is damaged or of another format, or a library is not installed.
    """
    try:
        dataset = _open(path)
    except InrzooError:
        raise
    except UnreadableError as error:
        raise InrzooError(f"{path} {error}") from error
    except Exception as error:  # the libraries raise whatever they meet in damaged bytes
        reason = _short(error)
        with warnings.catch_warnings():
            # scipy warns when a file that it has mapped and could not read is freed.
            warnings.simplefilter("ignore", RuntimeWarning)
            traceback.clear_frames(error.__traceback__)
            del error
            gc.collect()
        raise InrzooError(f"{path} is damaged ({reason}); fetch it again") from None
    with dataset:
        yield dataset


def read_array(path: Path, array: Any) -> NDArray[Any]:
    """Read the numbers of a part of an array of `opened(path)`, in the byte order of this machine.

    Raises:
        InrzooError: the file is damaged.
    """
    try:
        numbers = np.asarray(array.values)
    except Exception as error:  # as above
        raise InrzooError(f"{path} is damaged ({_short(error)}); fetch it again") from error
    return numbers.astype(numbers.dtype.newbyteorder("="), copy=False)


def _open(path: Path) -> Any:
    with needed("build", "the source arrays"):
        import xarray

    options = {"decode_times": False, "decode_timedelta": False, "cache": False}
    if path.is_dir():
        if not _is_zarr(path):
            raise InrzooError(
                f"{path} is a folder without zarr metadata; --source must name a NetCDF, zarr or npz file"
            )
        _refuse_pickles(path)
        return xarray.open_dataset(path, engine="zarr", consolidated=False, **options)
    if not path.is_file():
        raise InrzooError(f"{path} is not a regular file; --source must name a NetCDF, zarr or npz file")
    with path.open("rb") as stream:
        head = stream.read(len(HDF5))
    if head.startswith(NETCDF3):
        _need_netcdf_3()
        return xarray.open_dataset(path, engine="scipy", **options)
    if head == HDF5:
        _need_netcdf_4()
        return xarray.open_dataset(path, engine="h5netcdf", **options)
    if head.startswith(ZIP):
        status = path.stat()
        return _npz(path, status.st_size, status.st_mtime_ns)
    raise InrzooError(f"{path} is no NetCDF, zarr or npz file: it begins with {head[:4]!r}")


def _need_netcdf_3() -> None:
    with needed("fields", "reading NetCDF-3 files"):
        import scipy
    del scipy


def _need_netcdf_4() -> None:
    with needed("fields", "reading NetCDF-4 files"):
        import h5netcdf
        import h5py
    del h5netcdf, h5py


# A compressed file cannot be read from the middle, so each process holds the last one in memory.
@functools.lru_cache(maxsize=1)
def _npz(path: Path, size: int, modified_ns: int) -> Any:
    import xarray

    with path.open("rb") as stream:
        arrays = read_numpy(stream, MAX_NPZ_BYTES)
    dims = [str(name) for name in np.atleast_1d(arrays.pop("dims", np.empty(0)))]
    variables = {}
    for name, array in arrays.items():
        if name in dims and array.shape != (len(array) if array.ndim else 0,):
            raise InrzooError(f"{path} has {name} of shape {array.shape}; the coordinates of a dimension are a list")
        names = (name,) if name in dims else dims if array.ndim == len(dims) else None
        variables[name] = (names or [f"dim_{axis}" for axis in range(array.ndim)], array)
    return xarray.Dataset(variables)


def _is_zarr(path: Path) -> bool:
    return any((path / name).is_file() for name in ZARR_METADATA)


def _refuse_pickles(path: Path) -> None:
    """Refuse arrays of Python objects that are pickled: reading them may run code."""
    for file in sorted(file for file in path.rglob("*") if file.name in ZARR_METADATA):
        if _names_pickle(json.loads(file.read_bytes())):
            raise InrzooError(f"{path} holds pickled objects ({file.name}), which may run code; save it as numbers")


def _names_pickle(node: Any) -> bool:
    if isinstance(node, dict):
        codec = str(node.get("id", "")) + str(node.get("name", ""))
        return "pickle" in codec.lower() or any(map(_names_pickle, node.values()))
    return isinstance(node, list) and any(map(_names_pickle, node))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
