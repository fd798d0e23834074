"""Publishing: joins the blocks of a finished seed into shards, then removes the blocks. Idempotent at every moment.

A seed is published by one atomic write of the group's attributes; until then its blocks stay where they are, so a
crash anywhere costs only work that can be done again.

Shape letters: N signals, S seeds, T snapshots, P parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.lazy import lazy
from inrzoo.store import blocks
from inrzoo.store.blocks import ADDED_LATER, BUILD_FOLDER, COLUMNS, MEASURE_PREFIX, Block, Partition
from inrzoo.store.checks import guarded
from inrzoo.store.create import every_chunk
from inrzoo.store.files import file_sizes, is_partial, remove, remove_tree, sha256, sync, sync_tree, write_atomically
from inrzoo.store.info import StoreInfo
from inrzoo.store.intact import require_intact
from inrzoo.store.names import is_metadata, is_statistic
from inrzoo.store.objects import Changed, Location
from inrzoo.store.root import change_info, own_files, seal
from inrzoo.store.shards import raw_rows

if TYPE_CHECKING:
    import zarr
else:
    zarr = lazy("zarr", globals())

SEED_COLUMNS = (*COLUMNS, "block_sha256")


def open_group(path: Location) -> zarr.Group:
    """Open a store's group for writing. Consolidated metadata, which may be stale, are not used."""
    from inrzoo.store.zarr_stores import writable

    return zarr.open_group(writable(path), mode="r+", use_consolidated=False)


def info_of(group: zarr.Group, path: Location) -> StoreInfo:
    """Parse what the root of a store recorded when its group was opened."""
    return StoreInfo.from_attributes(group.attrs.asdict(), str(path))


def partition_of(group: zarr.Group, info: StoreInfo) -> Partition:
    """The store's partition into chunks, blocks and shards."""
    return info.partition.of(group["weights"].shape[0])


def grow(path: Location, num_seeds: int, init_SP: NDArray[np.float32] | None) -> None:
    """Make room for more seeds; no published file is touched. Called by the driver before any worker starts.

    Args:
        num_seeds: S in all.
        init_SP: where all signals of each seed start, or None where each has a start of its own.

    Raises:
        InrzooError: a file of the complete store is damaged: growing it would record new checksums and hide that.
    """
    group = open_group(path)
    if num_seeds > group["weights"].shape[1]:
        info = info_of(group, path)
        if info.complete:
            require_intact(path, info, is_statistic)
        change_info(path, complete=False, manifest=info.manifest.with_seeds(num_seeds))
        if init_SP is not None:
            group["init"].resize(init_SP.shape)
            with every_chunk():
                group["init"][:] = init_SP
        # The weights last: their size is what says how many seeds there are, so a crash before it grows anew.
        for name in (*seed_columns(group, info), "weights"):
            shape = group[name].shape
            group[name].resize((shape[0], num_seeds, *shape[2:]))


@dataclass(frozen=True)
class JoinedShard:
    """A shard that was joined from its blocks and written.

    Attributes:
        sha256: sha256 (hex) of its file.
        record: the records of its blocks, joined.
    """

    sha256: str
    record: blocks.Record


def publish_seed(path: Location, seed: int, joined: Mapping[int, JoinedShard] | None = None) -> None:
    """Join a seed's blocks into shards and columns, record their checksums, then remove the blocks.

    Args:
        joined: shards that workers have joined already, by number.

    Raises:
        InrzooError: a block's file is not what its record says; the block is dropped, so that a build fits it again.
        OSError: no space, no permission; the blocks stay.
    """
    with every_chunk():
        guarded(str(path), f"seed {seed}", lambda: _publish_seed(path, seed, joined or {}), passing=(OSError, Changed))


def join_shard(path: Location, seed: int, shard: int) -> JoinedShard:
    """Join the blocks of a shard, all committed, and leave them in place.

    Raises:
        InrzooError, OSError: as `publish_seed`.
    """
    group = open_group(path)
    partition = partition_of(group, info_of(group, path))
    members = [Block(seed, index) for index in partition.shard_blocks(shard)]
    records = _records(path, partition, members)
    if any(blocks.map_blocks(path, lambda block: blocks.weights_path(path, block).exists(), members)):
        with every_chunk():  # none waits where a repair left this shard alone
            _write_shard(path, group["weights"], partition, members, records)
    file = shard_path(path, shard, seed)
    sync(file)
    return JoinedShard(sha256(file), blocks.concatenate(records))


def _publish_seed(path: Location, seed: int, joined: Mapping[int, JoinedShard]) -> None:
    group = open_group(path)
    info = info_of(group, path)
    partition = partition_of(group, info)
    shards = [joined.get(shard) or join_shard(path, seed, shard) for shard in range(partition.num_shards)]
    record = blocks.concatenate([shard.record for shard in shards])
    names = seed_columns(group, info)
    for name in names:
        if name != "block_sha256":
            group[name][:, seed] = record.columns()[name]
    group["block_sha256"][:, seed] = record.sha256.reshape(-1, 32)
    files = [f"{name}/{key}" for name in names for key in [_chunk_key(group[name], 0, seed)]]
    for file in files:
        sync(path / file)
    of_shards = {f"weights/{shard_key(number, seed)}": shard.sha256 for number, shard in enumerate(shards)}
    checksums = {**info.checksums, **{file: sha256(path / file) for file in files}, **of_shards}
    change_info(path, checksums=checksums, published_seeds=sorted({*info.published_seeds, seed}))
    blocks.drop_blocks(path, [Block(seed, index) for index in range(partition.num_blocks)])


def complete(path: Location, statistics: Mapping[str, tuple[NDArray[Any], list[str]]]) -> None:
    """Write statistics, the remaining checksums and consolidated metadata; remove what only the build needed.

    Args:
        statistics: name -> (array, its dimension names), written as `stats/<name>`.

    Raises:
        InrzooError: a seed is not published yet.
    """
    guarded(str(path), "metadata", lambda: _complete(path, statistics), passing=(OSError, Changed))


def _complete(path: Location, statistics: Mapping[str, tuple[NDArray[Any], list[str]]]) -> None:
    group = open_group(path)
    missing = set(range(group["weights"].shape[1])) - {*info_of(group, path).published_seeds}
    if missing:
        raise InrzooError(f"{path}: seeds {sorted(missing)} are not finished; run the same build again")
    write_statistics(path, statistics)
    _remove_partial_files(path)
    info = info_of(open_group(path), path)
    # Data files of published seeds were recorded then; metadata have changed since, and the rest is new.
    fresh = [file for file in own_files(path, info) if is_metadata(file) or file not in info.checksums]
    sync_tree(path)
    seal(path, {**info.checksums, **{file: sha256(path / file) for file in fresh}})
    remove_leftovers(path)


def remove_leftovers(path: Location) -> None:
    """Remove the build folder of a complete store, as far as it can be removed."""
    with suppress(OSError):
        remove_tree(path / BUILD_FOLDER)


def _remove_partial_files(path: Location) -> None:
    """Remove files that a process left behind when it was killed while it wrote them."""
    remove(path, [name for name in file_sizes(path) if is_partial(name)])


def write_statistics(path: Location, statistics: Mapping[str, tuple[NDArray[Any], list[str]]]) -> None:
    """Replace the group `stats` and its checksums."""
    group = open_group(path)
    info = info_of(group, path)
    others = {name: digest for name, digest in info.checksums.items() if not is_statistic(name)}
    change_info(path, checksums=others, complete=False)
    for name in filter(is_statistic, own_files(path, info)):  # zarr would remove the folder, with all that is in it
        (path / name).unlink(missing_ok=True)
    home = group.require_group("stats")
    with every_chunk():
        for name, (array, dims) in sorted(statistics.items()):
            home.create_array(name, data=array, chunks=array.shape, dimension_names=dims)


def unpublish(path: Location, seed: int, bad_blocks: set[int]) -> None:
    """Turn a published seed back into committed blocks, without the bad ones; a build then fits exactly those.

    Good weights are copied out of the shards that hold a bad block before those shards go; other shards stay.
    """
    group = open_group(path)
    info = info_of(group, path)
    partition = partition_of(group, info)
    change_info(path, complete=False)
    (path / BUILD_FOLDER / "blocks").mkdir(parents=True, exist_ok=True)
    if len(bad_blocks) < partition.num_blocks:  # else there is nothing to keep, and perhaps nothing that can be read
        from inrzoo.store.bounded import bounded_array

        columns = {name: bounded_array(group[name])[:, seed] for name in seed_columns(group, info)}
    damaged = {shard for shard in range(partition.num_shards) if bad_blocks & {*partition.shard_blocks(shard)}}
    for shard in range(partition.num_shards):
        for index in partition.shard_blocks(shard):
            if index in bad_blocks:
                continue
            rows = partition.rows(index)
            if shard in damaged:
                part = block_in_shard(path, partition, Block(seed, index), group["weights"])
                if part is None:
                    raise InrzooError(f"shard {shard} of seed {seed} in {path} is too short to hold block {index}")
                write_atomically(blocks.weights_path(path, Block(seed, index)), np.ascontiguousarray(part).data, path)
            quality = {name: column[rows] for name, column in columns.items() if name != "block_sha256"}
            record = blocks.make_record({**quality, "sha256": columns["block_sha256"][index]})
            blocks.write_record(path, Block(seed, index), record)
    dropped = {f"weights/{_chunk_key(group['weights'], shard, seed)}" for shard in damaged}
    checksums = {name: digest for name, digest in info.checksums.items() if name not in dropped}
    change_info(path, checksums=checksums, published_seeds=[other for other in info.published_seeds if other != seed])
    for file in dropped:
        (path / file).unlink(missing_ok=True)


def seed_columns(group: Any, info: StoreInfo) -> list[str]:
    """The names of a store's columns by seed. Stores of earlier versions have fewer; measures are the observation's."""
    own = [name for name in SEED_COLUMNS if name not in ADDED_LATER or name in group]
    return [*own, *(f"{MEASURE_PREFIX}{name}" for name in info.measures)]


def is_seed_column(array: str) -> bool:
    """Whether an array is a column by seed, by its name."""
    return array in SEED_COLUMNS or array.startswith(MEASURE_PREFIX)


def shard_path(path: Location, shard: int, seed: int) -> Location:
    """The file of a shard of `weights`."""
    return path / "weights" / shard_key(shard, seed)


def shard_key(shard: int, seed: int) -> str:
    """The name of a shard's file in `weights`."""
    return f"c/{shard}/{seed}/0/0"


def block_in_shard(path: Location, partition: Partition, block: Block, weights: Any) -> NDArray[Any] | None:
    """A published block's stored weights (B, T, W); None where the file is too short, or cannot be unpacked.

    Straight from the bytes of the shard, whatever its index says, unless the store is compressed.

    Args:
        weights: the array of zarr.
    """
    rows = partition.rows(block.index)
    if weights.compressors:
        from inrzoo.store.bounded import bounded_array

        try:
            unpacked: NDArray[Any] = guarded(str(path), "weights", lambda: bounded_array(weights)[rows, block.seed])
        except InrzooError:
            return None
        return unpacked
    shard, start = divmod(rows.start, partition.shard_rows)
    within = slice(start, start + rows.stop - rows.start)
    return raw_rows(shard_path(path, shard, block.seed), within, weights.shape[2:], weights.dtype)


def _records(path: Location, partition: Partition, members: list[Block]) -> list[blocks.Record]:
    """Read commit records. Of a damaged one the block is removed, and InrzooError raised."""

    def read(block: Block) -> blocks.Record:
        rows = partition.rows(block.index)
        try:
            record = blocks.read_record(path, block)
        except InrzooError as error:
            raise _remove_damaged(path, block, error) from None
        if len(record.psnr) != rows.stop - rows.start:
            raise _remove_damaged(path, block, f"its record has {len(record.psnr)} INRs")
        return record

    return blocks.map_blocks(path, read, members)


def _remove_damaged(path: Location, block: Block, reason: InrzooError | str) -> InrzooError:
    """Remove a damaged block, so that a build fits it again. Returns the error that says this."""
    blocks.drop_blocks(path, [block])
    why = str(reason).removesuffix(f"; {blocks.REBUILD_HINT}")
    return InrzooError(
        f"block {block.index} of seed {block.seed} in {path} was damaged on disk ({why}) and is removed; "
        "run the same build again"
    )


def _write_shard(
    path: Location, weights: Any, partition: Partition, members: list[Block], records: list[blocks.Record]
) -> None:
    def read(block: Block) -> NDArray[Any]:
        rows = partition.rows(block.index)
        try:
            return blocks.read_weights(path, block, rows.stop - rows.start, weights.shape[2], weights.dtype)
        except InrzooError as error:
            raise _remove_damaged(path, block, error) from None

    parts = blocks.map_blocks(path, read, members)
    for block, part, record in zip(members, parts, records, strict=True):
        if part.shape[2] != weights.shape[3] or not np.array_equal(blocks.digest(part), record.sha256):
            raise _remove_damaged(path, block, "its weights do not have the sha256 of its record")
    first, last = partition.rows(members[0].index), partition.rows(members[-1].index)
    weights[first.start : last.stop, members[0].seed] = np.concatenate(parts)


def _chunk_key(array: Any, row_chunk: int, seed: int) -> str:
    return "/".join(["c", str(row_chunk), str(seed), *["0"] * (array.ndim - 2)])
