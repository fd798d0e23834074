"""Arrays of numpy's files, whose sizes are checked before anything is read."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.sources._files import DEFLATE_RATIO, ZIP_ERRORS
from inrzoo.sources._unreadable import UnreadableError

MAGIC = b"\x93NUMPY"
"""First bytes of a `.npy` file."""


def read_npy(file: IO[bytes], size: int, max_bytes: int) -> NDArray[Any]:
    """Read an array of a `.npy` file, or of a member of a `.npz` file.

    Args:
        file: the open file, at its beginning.
        size: its size in bytes.
        max_bytes: maximum size in bytes.

    Raises:
        UnreadableError: it is no such file, holds Python objects, or is larger or shorter than its header says.
    """
    if size > max_bytes:
        raise UnreadableError(f"holds {size} bytes; the maximum is {max_bytes}")
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise UnreadableError(f"has version {version[0]}.{version[1]} of numpy's format; there are 1.0 and 2.0")
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = header(file)
        if dtype.hasobject:
            raise UnreadableError("holds Python objects, which may run code; save it as numbers")
        if (declared := math.prod(shape) * dtype.itemsize) != size - file.tell():
            raise UnreadableError(f"declares {declared} bytes of numbers and holds {size - file.tell()}")
        # A copy, so that the array can be written to, as numpy.load's.
        array = np.frombuffer(file.read(declared), dtype).copy() if declared else np.empty(0, dtype)
        return array.reshape(shape, order="F" if fortran_order else "C")
    except (*ZIP_ERRORS, SyntaxError, tokenize.TokenError, MemoryError) as error:
        raise UnreadableError(f"is not a whole array of numpy ({' '.join(str(error).split())[:100]})") from error


def read_numpy(file: IO[bytes], max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read all arrays of a `.npz` file by name, or the one of a `.npy` file, whose name is empty.

    Raises:
        UnreadableError: as in `read_npy`, each array being checked by itself.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    begin = file.read(len(MAGIC))
    file.seek(0)
    if begin == MAGIC:
        return {"": read_npy(file, size, max_bytes)}
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if (total := sum(entry.file_size for entry in entries)) > min(max_bytes, DEFLATE_RATIO * size):
                raise UnreadableError(f"declares {total} bytes; the maximum is {min(max_bytes, DEFLATE_RATIO * size)}")
            arrays = {}
            for entry in entries:
                with archive.open(entry) as member:
                    name = entry.filename.removesuffix(".npy")
                    arrays[name] = read_npy(member, entry.file_size, max_bytes)
            return arrays
    except ZIP_ERRORS as error:
        raise UnreadableError(f"is neither .npy nor .npz ({' '.join(str(error).split())[:100]})") from error
