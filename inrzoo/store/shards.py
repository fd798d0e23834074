"""Maps an uncompressed zarr shard as the plain matrix that it is.

An uncompressed shard is its chunks, row-major, then an index of (offset, length) pairs and a CRC-32C. Because a store's
chunks differ in the signal axis alone, the chunks together are the matrix of the shard's rows
(docs/derivations/store.md#mapped-shards; `benchmarks/read_speed.py` compares). What is not laid out so is read through
zarr instead.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.store.files import is_local, map_bytes
from inrzoo.store.objects import Location

FLOAT32 = np.dtype("<f4")
MISSING = np.uint64(2**64 - 1)
"""The entry of a shard's index for an absent chunk."""


def map_shard(
    path: Location, num_chunks: int, chunk_shape: tuple[int, ...], dtype: np.dtype[Any] = FLOAT32
) -> NDArray[Any] | None:
    """Map a shard of little-endian numbers, read-only.

    Args:
        path: the shard file.
        num_chunks: chunks that a full shard holds.
        chunk_shape: shape of one chunk.
        dtype: type of the numbers.

    Returns:
        Shape (rows, *chunk_shape[1:]), rows those of the chunks present; None if the file is not a plain matrix.
    """
    index_bytes = 16 * num_chunks + 4
    content = map_bytes(path)  # an object is read whole: its index alone would cost a request of its own
    if len(content) < index_bytes:
        return None
    index = content[len(content) - index_bytes :][: 16 * num_chunks].view("<u8").reshape(num_chunks, 2)
    present = index[index[:, 0] != MISSING]
    chunk_bytes = dtype.itemsize * int(np.prod(chunk_shape))
    expected = np.arange(len(present), dtype=np.uint64) * np.uint64(chunk_bytes)
    plain = (
        np.array_equal(index[: len(present), 0], expected)
        and bool((present[:, 1] == chunk_bytes).all())
        and len(present) * chunk_bytes + index_bytes == len(content)
    )
    if not plain or not len(present):
        return None
    return _numbers(content[: len(present) * chunk_bytes], chunk_shape[1:], dtype)


def raw_rows(
    path: Location, rows: slice, row_shape: tuple[int, ...], dtype: np.dtype[Any] = FLOAT32
) -> NDArray[Any] | None:
    """Rows of a shard that is known to be uncompressed, whatever its index says: for checking and for salvage.

    Args:
        rows: which rows, counted from the shard's first.
        row_shape: shape of one row.
        dtype: type of the numbers.

    Returns:
        Shape (rows, *row_shape), read-only; None where the file is absent or too short.
    """
    row_bytes = dtype.itemsize * int(np.prod(row_shape))
    try:
        content = map_bytes(path, rows.start * row_bytes, rows.stop * row_bytes)
    except FileNotFoundError:
        return None
    return _numbers(content, row_shape, dtype) if len(content) == (rows.stop - rows.start) * row_bytes else None


def _numbers(content: NDArray[np.uint8], row_shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return bytes as little-endian numbers, shape (rows, *row_shape)."""
    return content.view(dtype.newbyteorder("<")).reshape(-1, *row_shape)


def read_ahead(path: Location, chunks: NDArray[np.int64], chunk_bytes: int) -> None:
    """Ask the system to read chunks of an uncompressed shard into the page cache: in the background, or not at all.

    Args:
        chunks: ascending.
    """
    if not is_local(path) or not hasattr(os, "posix_fadvise") or not path.exists():
        return
    with path.open("rb") as file:
        for run in np.split(chunks, np.flatnonzero(np.diff(chunks) > 1) + 1):
            start, size = int(run[0]) * chunk_bytes, len(run) * chunk_bytes
            os.posix_fadvise(file.fileno(), start, size, os.POSIX_FADV_WILLNEED)
