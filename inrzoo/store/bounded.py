"""zarr's codecs with a bound: a chunk that unpacks to more than its array declares is refused while it is unpacked.

A codec of zarr unpacks whatever a chunk holds and looks at the size afterwards, and some kilobytes can hold gigabytes.
Here every codec that can enlarge its input stops at the size that the chunk's shape and type allow:

| codec | bound |
|---|---|
| `zstd` | unpacked up to the limit, frame by frame |
| `gzip` | unpacked up to the limit, member by member |
| `blosc` | the sizes in its header, which the decoder keeps to |
| `vlen-utf8` | the number of strings in its header; after a compressor also `STRING_BYTES` a string |
| `sharding_indexed` | its inner codecs are bounded; parts of a shard neither overlap nor are larger than a chunk |
| `bytes`, `crc32c`, `transpose` | they never enlarge |
"""

import asyncio
import copy
import math
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, GzipCodec, ShardingCodec, VLenUTF8Codec, ZstdCodec
from zarr.core.codec_pipeline import BatchedCodecPipeline

from inrzoo.errors import InrzooError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STRING_BYTES = 1024
"""Maximum average size of the strings of a chunk, in bytes."""
SLACK = 2**16
"""Maximum number of bytes that a compressor adds to a chunk, besides an eighth of its size."""
STRINGS_SLACK = 2**20
"""Number of bytes that a chunk of strings may have besides those of its strings."""
MISSING = 2**64 - 1
"""The entry of a shard's index for an absent chunk."""
GZIP = 31
"""zlib's `wbits` for the gzip format."""


def raw_bytes(spec: Any) -> int:
    """Bytes of a chunk of that shape and type before any compressor; of strings, the most that they may have."""
    count, dtype = math.prod(spec.shape), spec.dtype.to_native_dtype()
    return STRINGS_SLACK + count * STRING_BYTES if dtype.kind in "TO" else int(count * dtype.itemsize)


def most_bytes(raw: int) -> int:
    """The most that `raw` bytes become in a compressor that cannot compress them."""
    return raw + raw // 8 + SLACK


class _Bounded:
    """A codec that unpacks on its own. zarr calls one of the two, by its version."""

    def _unpack(self, content: memoryview, spec: Any) -> bytes:
        raise NotImplementedError

    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        content: memoryview = np.ascontiguousarray(chunk_bytes.as_numpy_array()).view(np.uint8).data
        return chunk_spec.prototype.buffer.from_bytes(self._unpack(content, chunk_spec))

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        return await asyncio.to_thread(self._decode_sync, chunk_bytes, chunk_spec)


class BoundedZstd(_Bounded, ZstdCodec):  # type: ignore[misc]  # zarr is not checked
    """`zstd`, any number of frames, with or without their sizes in the header."""

    def _unpack(self, content: memoryview, spec: Any) -> bytes:
        limit = most_bytes(raw_bytes(spec))
        return _joined(_frames(content, limit), limit)


class BoundedGzip(_Bounded, GzipCodec):  # type: ignore[misc]
    """`gzip`, any number of members."""

    def _unpack(self, content: memoryview, spec: Any) -> bytes:
        limit = most_bytes(raw_bytes(spec))
        return _joined(_members(content, limit), limit)


class BoundedBlosc(_Bounded, BloscCodec):  # type: ignore[misc]
    """`blosc`: its header says how large everything is, and the decoder writes no more than that."""

    def _unpack(self, content: memoryview, spec: Any) -> bytes:
        if len(content) < 16:
            raise ValueError(f"a blosc chunk of {len(content)} bytes")
        unpacked, block, packed = struct.unpack("<III", content[4:16])
        limit = most_bytes(raw_bytes(spec))
        if unpacked > limit:
            raise _too_much(limit)
        if packed != len(content) or block > max(unpacked, 1):
            raise ValueError(f"a blosc chunk of {len(content)} bytes says {packed}, in blocks of {block}")
        whole: bytes = self._blosc_codec.decode(content)
        return whole


class BoundedStrings(VLenUTF8Codec):  # type: ignore[misc]
    """`vlen-utf8`: room is made for the strings that its header announces."""

    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        content, count = bytes(chunk_bytes.as_numpy_array()[:4]), math.prod(chunk_spec.shape)
        if len(content) < 4 or struct.unpack("<I", content)[0] != count:
            raise ValueError(f"a chunk that should hold {count} strings announces another number")
        return super()._decode_sync(chunk_bytes, chunk_spec)

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        return self._decode_sync(chunk_bytes, chunk_spec)


class BoundedSharding(ShardingCodec):  # type: ignore[misc]
    """`sharding_indexed` with bounded codecs inside, and an index that is looked at before it is followed."""

    _chunk_bytes = 0

    def __init__(self, *, codecs: Iterable[Any] = (), index_codecs: Iterable[Any] = (), **settings: Any) -> None:
        super().__init__(codecs=codecs, index_codecs=index_codecs, **settings)
        object.__setattr__(self, "codecs", bounded(self.codecs))
        object.__setattr__(self, "index_codecs", bounded(self.index_codecs))

    def evolve_from_array_spec(self, array_spec: Any) -> Any:
        """As zarr does; what is known of the array says how large a chunk may be."""
        made = super().evolve_from_array_spec(array_spec)
        object.__setattr__(made, "_chunk_bytes", most_bytes(raw_bytes(self._get_chunk_spec(array_spec))))
        return made

    @property
    def codec_pipeline(self) -> Any:
        """zarr's own: another one that is configured would not ask these codecs."""
        return BatchedCodecPipeline.from_codecs(self.codecs)

    async def _decode_shard_index(self, index_bytes: Any, chunks_per_shard: tuple[int, ...]) -> Any:
        index = await super()._decode_shard_index(index_bytes, chunks_per_shard)
        _check_ranges(index.offsets_and_lengths.reshape(-1, 2), self._chunk_bytes)
        return index

    def __reduce__(self) -> tuple[Any, ...]:
        return _sharding, (self.to_dict(), self._chunk_bytes)


BOUNDED: dict[str, Any] = {
    "zstd": BoundedZstd,
    "gzip": BoundedGzip,
    "blosc": BoundedBlosc,
    "vlen-utf8": BoundedStrings,
    "sharding_indexed": BoundedSharding,
}
"""Codecs that can enlarge their input, by zarr's name. The other codecs of `CODECS` never do."""


def bounded(codecs: Iterable[Any]) -> tuple[Any, ...]:
    """The same codecs, those that can enlarge their input bounded."""
    return tuple(
        codec if type(codec) in BOUNDED.values() or name not in BOUNDED else BOUNDED[name].from_dict(codec.to_dict())
        for codec in codecs
        for name in [codec.to_dict()["name"]]
    )


def bounded_array(array: Any) -> Any:
    """A zarr array as it is, read through bounded codecs.

    Raises:
        InrzooError: this version of zarr has no place for them.
    """
    if not hasattr(ShardingCodec, "_decode_shard_index"):
        raise InrzooError(f"zarr {zarr.__version__} is not known to this version of inrzoo; install zarr 3.1")
    inner = array.async_array if hasattr(array, "async_array") else array._async_array
    metadata = copy.copy(inner.metadata)
    codecs = tuple(codec.evolve_from_array_spec(_spec(array, inner)) for codec in bounded(inner.metadata.codecs))
    object.__setattr__(metadata, "codecs", codecs)
    made = type(inner)(metadata=metadata, store_path=inner.store_path, config=inner.config)
    object.__setattr__(made, "codec_pipeline", BatchedCodecPipeline.from_codecs(codecs))
    return type(array)(made)


class BoundedGroup(zarr.Group):  # type: ignore[misc]
    """A zarr group whose arrays are read through bounded codecs."""

    def __getitem__(self, path: str) -> Any:
        return self._bounded(super().__getitem__(path))

    def members(self, *arguments: Any, **settings: Any) -> tuple[tuple[str, Any], ...]:
        """As zarr's."""
        return tuple((name, self._bounded(member)) for name, member in super().members(*arguments, **settings))

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """As zarr's."""
        return ((name, self._bounded(array)) for name, array in super().arrays())

    @staticmethod
    def _bounded(member: Any) -> Any:
        return bounded_array(member) if isinstance(member, zarr.Array) else member


def _spec(array: Any, inner: Any) -> Any:
    from zarr.core.buffer import default_buffer_prototype

    shape = array.shards or array.chunks
    return inner.metadata.get_chunk_spec((0,) * len(shape), inner.config, default_buffer_prototype())


def _joined(pieces: Iterator[bytes], limit: int) -> bytes:
    parts, total = [], 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise _too_much(limit)
        parts.append(piece)
    return b"".join(parts)


def _frames(content: memoryview, limit: int) -> Iterator[bytes]:
    rest: Any = content
    while len(rest):
        frame = zstd.ZstdDecompressor()
        yield frame.decompress(rest, limit + 1)
        while not frame.eof:
            if frame.needs_input:
                raise ValueError("a zstd frame that ends too early")
            yield frame.decompress(b"", limit + 1)
        rest = frame.unused_data


def _members(content: memoryview, limit: int) -> Iterator[bytes]:
    rest: Any = content
    while len(rest) and bytes(rest[:1]) != b"\0":  # zeros may follow the last member, as in Python's gzip
        member = zlib.decompressobj(GZIP)
        yield member.decompress(rest, limit + 1)
        while not member.eof and member.unconsumed_tail:
            yield member.decompress(member.unconsumed_tail, limit + 1)
        if not member.eof:
            raise ValueError("a gzip member that ends too early")
        rest = member.unused_data


def _check_ranges(ranges: NDArray[np.uint64], most: int) -> None:
    present = ranges[(ranges != MISSING).any(axis=1)]
    if not len(present):
        return
    if int(present[:, 1].max()) > most:
        raise _too_much(most)
    if int(present[:, 0].max()) > 2**62:
        raise ValueError("the index of a shard leads out of its file")
    order = np.argsort(present[:, 0], kind="stable")
    starts, ends = present[order, 0], present[order].sum(axis=1)
    if (starts[1:] < ends[:-1]).any():
        raise ValueError("the index of a shard names the same bytes for two chunks")


def _too_much(limit: int) -> ValueError:
    return ValueError(f"a chunk unpacks to more than {limit} bytes, which its array does not declare")


def _sharding(table: dict[str, Any], chunk_bytes: int) -> BoundedSharding:
    made: BoundedSharding = BoundedSharding.from_dict(table)
    object.__setattr__(made, "_chunk_bytes", chunk_bytes)
    return made
