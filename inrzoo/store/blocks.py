"""Blocks: one block of signals × one seed is one task, one file of weights and one commit record.

A block is committed if its record exists: the record is renamed into place after the weights are safe. No two workers
write to one file.

Shape letters: B INRs of a block, T snapshots, W numbers of a stored row (P parameters, and scales if there are any).
"""

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.store.files import file_sizes, is_local, map_bytes, remove, write_atomically
from inrzoo.store.objects import Location

Result = TypeVar("Result")

BUILD_FOLDER = "_build"
REBUILD_HINT = "remove it, and the same build command fits these INRs again"
CHUNK_BYTES = 512 * 1024
"""Target size of a chunk of weights in bytes."""
SHARD_BYTES = 80 * 10**6
"""Target size of a shard of weights in bytes."""
MIN_BLOCK_ROWS = 64
"""Minimum number of signals in a block, unless the dataset is small. Fewer are not worth a task."""
MIN_BLOCKS = 16
"""Minimum number of blocks of a small dataset, so that every core has work."""
LARGE_SPLIT_SHARDS = 4
"""Minimum number of shards of a dataset that does not fit one shard."""
CONCURRENT_REQUESTS = 16
"""Number of small objects that are requested at the same time."""
_DECODING = Lock()
"""numpy parses a header with `ast`, whose depth CPython 3.11 counts for all threads together (see gh-106905): in two at
a time it raises SystemError, and a sound record would be taken for a damaged one."""


@dataclass(frozen=True)
class Partition:
    """The chunks, blocks and shards of N signals: a function of N and of the bytes of one row (T·P·4) alone.

    Rows are signals of one seed. A block is a whole number of chunks, a shard a whole number of blocks.
    """

    num_signals: int
    chunk_rows: int
    block_rows: int
    shard_rows: int

    @classmethod
    def of(cls, num_signals: int, row_bytes: int) -> "Partition":
        """Chunks of about 512 KiB, blocks of at least 64 INRs unless the set is small, shards of about 80 MB."""
        chunk = _power_of_two(CHUNK_BYTES / row_bytes)
        block = max(chunk, MIN_BLOCK_ROWS)
        share = _power_of_two(num_signals / MIN_BLOCKS)
        chunk, block = min(chunk, share), min(block, share)
        shard = max(1, round(SHARD_BYTES / row_bytes / block)) * block
        needed = -(-num_signals // block) * block
        if num_signals > shard:
            quarter = -(-num_signals // (LARGE_SPLIT_SHARDS * block)) * block
            shard = min(shard, quarter)
        return cls(num_signals, chunk, block, min(shard, needed))

    @property
    def num_blocks(self) -> int:
        """Blocks of one seed."""
        return -(-self.num_signals // self.block_rows)

    @property
    def num_shards(self) -> int:
        """Shards of one seed."""
        return -(-self.num_signals // self.shard_rows)

    def rows(self, block: int) -> slice:
        """The signals of a block."""
        return slice(block * self.block_rows, min((block + 1) * self.block_rows, self.num_signals))

    def shard_blocks(self, shard: int) -> range:
        """The blocks of a shard."""
        per_shard = self.shard_rows // self.block_rows
        return range(shard * per_shard, min((shard + 1) * per_shard, self.num_blocks))


@dataclass(frozen=True)
class Block:
    """One task: block number `index` of seed `seed`."""

    seed: int
    index: int

    @property
    def stem(self) -> str:
        """File name without ending."""
        return f"seed{self.seed:05d}-block{self.index:06d}"


@dataclass(frozen=True)
class Quality:
    """Quality of the fits of a block: one array for each of `COLUMNS`, and for each measure of the observation.

    Attributes:
        measures: name -> (B, T) float32.
    """

    psnr: NDArray[np.float32]
    loss: NDArray[np.float32]
    steps: NDArray[np.int32]
    status: NDArray[np.uint8]
    out_of_band: NDArray[np.float32]
    max_frequency: NDArray[np.float32]
    exact: NDArray[np.float32]
    measures: Mapping[str, NDArray[np.float32]] = field(default_factory=dict, kw_only=True)

    def columns(self) -> dict[str, NDArray[Any]]:
        """All columns by the names that their arrays have in a store."""
        own = {name: getattr(self, name) for name in COLUMNS}
        return {**own, **{f"{MEASURE_PREFIX}{name}": values for name, values in self.measures.items()}}


@dataclass(frozen=True)
class Column:
    """A small array of the store, by signal and seed.

    Attributes:
        axes: dimensions after (signal, seed): `step`, `axis` (of the coordinates).
        fill: the value for pending INRs.
    """

    dtype: str
    fill: float
    axes: tuple[str, ...]


COLUMNS = {
    "psnr": Column("float32", np.nan, ("step",)),
    "loss": Column("float32", np.nan, ("step",)),
    "steps": Column("int32", 0, ("step",)),
    "status": Column("uint8", 0, ()),
    "out_of_band": Column("float32", np.nan, ("step",)),
    "max_frequency": Column("float32", np.nan, ("step", "axis")),
    "exact": Column("float32", np.nan, ("step",)),
}
MEASURE_PREFIX = "quality."
"""First part of the names of a store's arrays of measures; no label column has a full stop in its name."""
MEASURE = Column("float32", np.nan, ("step",))
"""The column of each measure."""
ADDED_LATER = ("exact",)
"""Columns that stores of earlier versions lack; there they read as `fill`, and nothing is written."""


@dataclass(frozen=True)
class Record(Quality):
    """The commit record of a block: quality, and the sha256 (32 bytes) of its weights in row-major order."""

    sha256: NDArray[np.uint8]

    def columns(self) -> dict[str, NDArray[Any]]:
        """See `Quality.columns`; with `sha256`."""
        return {**super().columns(), "sha256": self.sha256}


def column_kind(name: str) -> Column:
    """Return type, fill value and axes of a column, by its name."""
    return MEASURE if name.startswith(MEASURE_PREFIX) else COLUMNS[name]


def make_record(columns: Mapping[str, NDArray[Any]]) -> Record:
    """Make a record of `Record.columns`. What an earlier version lacks of `ADDED_LATER` is unknown."""
    unknown = {name: np.full(columns["psnr"].shape, COLUMNS[name].fill, COLUMNS[name].dtype) for name in ADDED_LATER}
    measures = {
        name.removeprefix(MEASURE_PREFIX): array for name, array in columns.items() if name.startswith(MEASURE_PREFIX)
    }
    own = {name: {**unknown, **columns}[name] for name in (*COLUMNS, "sha256")}
    return Record(**own, measures=measures)


def digest(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """The sha256 of weights as the store holds them (little-endian, row-major). Shape (32,), uint8."""
    content = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("<"))
    return np.frombuffer(hashlib.sha256(content.data).digest(), dtype=np.uint8)


def weights_path(store: Location, block: Block) -> Location:
    """The file of a committed block's weights, until its shard is written."""
    return store / BUILD_FOLDER / "blocks" / f"{block.stem}.weights"


def record_path(store: Location, block: Block) -> Location:
    """The file of a block's commit record."""
    return store / BUILD_FOLDER / "blocks" / f"{block.stem}.npz"


def is_committed(store: Location, block: Block) -> bool:
    """Whether the block's record exists."""
    return record_path(store, block).exists()


def write_block(store: Location, block: Block, rows: NDArray[Any], quality: Quality) -> None:
    """Write weights, then the record: the commit. Writing a block twice writes the same bytes.

    Args:
        rows: the weights as the store holds them, (B, T, W): those of `StoreInfo.codec`.

    Raises:
        OSError: no space, no permission; the block stays uncommitted.
    """
    content = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("<"))
    weights_path(store, block).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(weights_path(store, block), content.data, store)
    write_record(store, block, make_record({**Quality.columns(quality), "sha256": digest(content)}))


def write_record(store: Location, block: Block, record: Record) -> None:
    """Write a commit record."""
    buffer = io.BytesIO()
    np.savez(buffer, **record.columns())  # type: ignore[arg-type]  # none is called allow_pickle
    write_atomically(record_path(store, block), buffer.getbuffer(), store)


def read_record(store: Location, block: Block) -> Record:
    """Read a commit record.

    Raises:
        FileNotFoundError: the block is not committed.
        ObjectError: the bucket does not answer.
        InrzooError: the record is damaged.
    """
    path = record_path(store, block)
    content = io.BytesIO(path.read_bytes())
    try:
        with _DECODING, np.load(content, allow_pickle=False) as arrays:
            record = make_record({key: arrays[key] for key in arrays.files})
        columns = Quality.columns(record)
        whole = record.sha256.shape == (32,) and len({len(array) for array in columns.values()}) == 1
        kinds = all(
            array.dtype.kind == np.dtype(column_kind(name).dtype).kind and array.ndim == 1 + len(column_kind(name).axes)
            for name, array in columns.items()
        )
    except Exception as error:  # of zip, zlib and numpy, a dozen classes
        raise InrzooError(f"{path} is damaged ({type(error).__name__}: {error}); {REBUILD_HINT}") from None
    if not whole or not kinds:
        raise InrzooError(f"{path} is no record of a block; {REBUILD_HINT}")
    return record


def map_blocks(store: Location, work: Callable[[Block], Result], blocks: Iterable[Block]) -> list[Result]:
    """Apply `work` to each block; in a bucket to several at a time, because each costs a request."""
    if is_local(store):
        return [work(block) for block in blocks]
    with ThreadPoolExecutor(CONCURRENT_REQUESTS) as pool:
        return list(pool.map(work, blocks))


def read_records(store: Location, blocks: Iterable[Block]) -> list[Record]:
    """Read commit records."""
    return map_blocks(store, lambda block: read_record(store, block), blocks)


def concatenate(records: Sequence[Record]) -> Record:
    """Join the records of several blocks into one."""
    columns = [record.columns() for record in records]
    return make_record({name: np.concatenate([each[name] for each in columns]) for name in columns[0]})


def committed_blocks(store: Location) -> Callable[[Block], bool]:
    """`is_committed` for the blocks of one store. In a bucket one request, at the first call, answers for all."""
    if is_local(store):
        return lambda block: is_committed(store, block)
    names = cache(lambda: file_sizes(store / BUILD_FOLDER / "blocks"))
    return lambda block: f"{block.stem}.npz" in names()


def read_weights(store: Location, block: Block, num_rows: int, num_steps: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Map a committed block's weights, read-only; those in a bucket are read. Shape (B, T, W).

    Args:
        dtype: type of the stored numbers.

    Raises:
        InrzooError: the file has another size.
    """
    path = weights_path(store, block)
    content = map_bytes(path)
    if not len(content) or len(content) % (dtype.itemsize * num_rows * num_steps):
        raise InrzooError(f"{path} is damaged (it has {len(content)} bytes); {REBUILD_HINT}")
    return content.view(dtype.newbyteorder("<")).reshape(num_rows, num_steps, -1)


def drop_blocks(store: Location, blocks: Sequence[Block]) -> None:
    """Remove blocks: the records first, so that no block is committed without its weights."""
    for ending in ("npz", "weights"):
        remove(store / BUILD_FOLDER / "blocks", [f"{block.stem}.{ending}" for block in blocks])


def _power_of_two(value: float) -> int:
    """The power of two nearest to `value` on the log scale, within [1, 1024]."""
    return int(np.clip(2.0 ** np.round(np.log2(max(value, 1))), 1, 1024))
