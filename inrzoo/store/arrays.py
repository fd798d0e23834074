"""The arrays of a store, each checked before it is read: its codecs, its shape, and the memory that it would take."""

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.store.checks import guarded
from inrzoo.store.recorded import damaged

CODECS = frozenset({"blosc", "bytes", "crc32c", "gzip", "sharding_indexed", "transpose", "vlen-utf8", "zstd"})
"""Names of the codecs, of zarr format 3, that a store may use. None can run code, and `bounded` bounds each."""
MAX_CHUNKS = 2**16
"""Maximum number of chunks of an array that is read as a whole. Such arrays have one chunk, or one a seed."""
CHUNK_BYTES = 2**28
"""Maximum size of a chunk in bytes; larger only if one row, or an array that is read as a whole, is larger."""


class Arrays:
    """The arrays of a store's group, each checked before it is read.

    Raises:
        InrzooError: (its methods) an array that is not there, has another shape or an unknown codec, or is damaged.
    """

    def __init__(self, group: Any, where: str) -> None:
        self._group, self._where = group, where

    def has(self, name: str) -> bool:
        """Whether there is an array or a group of that name."""
        return bool(guarded(self._where, name, lambda: name in self._group))

    def array(self, name: str) -> Any:
        """An array of which rows are read, their last two axes whole. No chunk unpacks to more than it declares."""
        array = self._open(name)
        self._require_chunk(name, array, 2 * _num_bytes(array.shape[-2:], array.dtype))
        return array

    def read(
        self, name: str, shape: tuple[int, ...], below: int | None = None, seed_axis: int | None = None
    ) -> NDArray[Any]:
        """Read all of a small array.

        Args:
            shape: what it must have.
            below: the array must hold whole numbers from 0 to `below` - 1.
            seed_axis: an axis on which the array may be longer than `shape`; the rest is left out. While a store grows,
                its arrays get room for more seeds one after the other, `weights` last.
        """
        array = self._open(name)
        fits = array.shape == shape
        if seed_axis is not None and len(array.shape) == len(shape):
            longer = (*shape[:seed_axis], max(shape[seed_axis], array.shape[seed_axis]), *shape[seed_axis + 1 :])
            fits = array.shape == longer
        if not fits:
            raise damaged(self._where, f"{name} has shape {list(array.shape)}, expected {list(shape)}")
        values = self._whole(name, array)[tuple(map(slice, shape))]
        if below is not None and (values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= below):
            raise damaged(self._where, f"{name} holds what is none of 0 to {below - 1}")
        return values

    def content(self, name: str) -> bytes:
        """The bytes of a file that the store holds as an array."""
        array = self._open(name)
        if len(array.shape) != 1 or array.dtype != np.uint8:
            raise damaged(self._where, f"{name} is {array.dtype} of shape {list(array.shape)}, not a row of bytes")
        return self._whole(name, array).tobytes()

    def signals(
        self, name: str, shape: tuple[int, ...], rows: slice | NDArray[np.int64], dtype: str = "uint8"
    ) -> NDArray[Any]:
        """Some signals, shape (rows, K, C), of an array of that type and of shape (N, K, C)."""
        array = self.array(name)
        if array.shape != shape or array.dtype != np.dtype(dtype):
            raise damaged(self._where, f"{name} is {array.dtype} of shape {list(array.shape)}, not {list(shape)}")
        picked = array if isinstance(rows, slice) else array.oindex
        return guarded(self._where, name, lambda: np.asarray(picked[rows]))

    def _open(self, name: str) -> Any:
        array = guarded(self._where, name, lambda: self._group[name])
        codecs = getattr(getattr(array, "metadata", None), "codecs", None)
        if codecs is None:
            raise damaged(self._where, f"{name} is no array of zarr format 3")
        for codec in _codec_names([codec.to_dict() for codec in codecs]):
            if codec not in CODECS:
                raise damaged(self._where, f"{name} has the codec {codec!r}; known are {', '.join(sorted(CODECS))}")
        return array

    def _require_chunk(self, name: str, array: Any, size: int) -> None:
        chunk = guarded(self._where, name, lambda: _chunk_bytes(array))
        if chunk > max(size, CHUNK_BYTES):
            raise damaged(self._where, f"{name} is cut into chunks of {chunk} bytes; at most {CHUNK_BYTES} are read")

    def _whole(self, name: str, array: Any) -> NDArray[Any]:
        size, memory = _num_bytes(array.shape, array.dtype), _machine_bytes()
        if size > memory:
            raise damaged(self._where, f"{name} claims {size} bytes; this machine has a memory of {memory}")
        self._require_chunk(name, array, 2 * size)
        if (count := array.nchunks) > MAX_CHUNKS:
            raise damaged(self._where, f"{name} is cut into {count} chunks; at most {MAX_CHUNKS} are read")
        values: NDArray[Any] = guarded(self._where, name, lambda: np.array(array[:]))
        return values


def _num_bytes(shape: tuple[int, ...], dtype: Any) -> int:
    return math.prod(shape) * int(dtype.itemsize)


def _chunk_bytes(array: Any) -> int:
    """Bytes that have to be unpacked to read one number: a shard is read chunk by chunk, unless it is packed itself."""
    parted = [codec.to_dict()["name"] for codec in array.metadata.codecs] == ["sharding_indexed"]
    return _num_bytes(array.chunks if parted else array.shards or array.chunks, array.dtype)


def _machine_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _codec_names(tree: Any) -> list[str]:
    """Names of codecs, those inside other codecs as well."""
    if isinstance(tree, list | tuple):
        return [name for part in tree for name in _codec_names(part)]
    if not isinstance(tree, Mapping):
        return []
    inside = _codec_names(list(tree.get("configuration", {}).values()))
    return [str(tree["name"]), *inside] if "name" in tree else inside
