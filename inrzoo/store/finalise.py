"""Publishing: joins the blocks of a finished seed into shards, then lets the records go. Idempotent at every moment.

A seed is published by one atomic write of the group's attributes; until then its blocks stay where they are, so a
crash anywhere costs only work that can be done again.

Shape letters: N signals, S seeds, T snapshots, P parameters.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.store import blocks, lease
from inrzoo.store.blocks import BUILD_FOLDER, COLUMNS, Block, Partition
from inrzoo.store.create import every_chunk
from inrzoo.store.files import file_sizes, remove_tree, sha256, sync, sync_tree, write_atomically
from inrzoo.store.object_group import ObjectGroup
from inrzoo.store.objects import Changed, Location, ObjectPath
from inrzoo.store.shards import raw_rows

SEED_COLUMNS = (*COLUMNS, "block_sha256")


def open_group(path: Location) -> zarr.Group:
    """The store's group for writing, its attributes as they are now and not as consolidated metadata remember them."""
    home = ObjectGroup(path) if isinstance(path, ObjectPath) else path
    return zarr.open_group(home, mode="r+", use_consolidated=False)


def partition_of(group: zarr.Group) -> Partition:
    """How the store's signals are cut."""
    return Partition(num_signals=group["weights"].shape[0], **group.attrs["partition"])


def grow(path: Location, num_seeds: int, init_SP: NDArray[np.float32] | None) -> None:
    """Make room for more seeds; no published file is touched. Called by the driver before any worker starts.

    Args:
        num_seeds: S in all.
        init_SP: where all signals of each seed start, or None where each has a start of its own.
    """
    group = open_group(path)
    if num_seeds > group["weights"].shape[1]:
        manifest = {**group.attrs["manifest"], "seeds": num_seeds}
        set_attributes(path, complete=False, manifest=manifest)
        if init_SP is not None:
            group["init"].resize(init_SP.shape)
            with every_chunk():
                group["init"][:] = init_SP
        # The weights last: their size is what says how many seeds there are, so a crash before it grows anew.
        for name in (*SEED_COLUMNS, "weights"):
            shape = group[name].shape
            group[name].resize((shape[0], num_seeds, *shape[2:]))


@dataclass(frozen=True)
class Joined:
    """A shard that is in its place.

    Attributes:
        sha256: of its file, hex.
        record: what is known of its INRs, and the digests of its blocks.
    """

    sha256: str
    record: blocks.Record


def publish_seed(path: Location, seed: int, joined: Mapping[int, Joined] | None = None) -> None:
    """Join a seed's blocks into shards and columns, record their checksums, then delete the blocks.

    Args:
        joined: those of the shards that workers have joined already.

    Raises:
        InrzooError: a block's file is not what its record says; the block is dropped, so that a build fits it again.
        OSError: no space, no permission; the blocks stay.
    """
    with every_chunk():
        _publish_seed(path, seed, joined or {})


def join_shard(path: Location, seed: int, shard: int) -> Joined:
    """Join the blocks of a shard whose blocks are all committed; they stay.

    Raises:
        InrzooError, OSError: as `publish_seed`.
    """
    group = open_group(path)
    partition = partition_of(group)
    members = [Block(seed, index) for index in partition.shard_blocks(shard)]
    records = blocks.read_records(path, members)
    if any(blocks.of_each(path, lambda block: blocks.weights_path(path, block).exists(), members)):
        with every_chunk():  # none waits where a repair left this shard alone
            _write_shard(path, group["weights"], partition, members, records)
    file = shard_path(path, shard, seed)
    sync(file)
    return Joined(sha256(file), blocks.concatenated(records))


def _publish_seed(path: Location, seed: int, joined: Mapping[int, Joined]) -> None:
    group = open_group(path)
    partition = partition_of(group)
    shards = [joined.get(shard) or join_shard(path, seed, shard) for shard in range(partition.num_shards)]
    record = blocks.concatenated([shard.record for shard in shards])
    for name in COLUMNS:
        group[name][:, seed] = getattr(record, name)
    group["block_sha256"][:, seed] = record.sha256.reshape(-1, 32)
    files = [f"{name}/{key}" for name in SEED_COLUMNS for key in [_chunk_key(group[name], 0, seed)]]
    for file in files:
        sync(path / file)
    of_shards = {f"weights/{shard_key(number, seed)}": shard.sha256 for number, shard in enumerate(shards)}
    checksums = {**group.attrs["checksums"], **{file: sha256(path / file) for file in files}, **of_shards}
    published = sorted({*group.attrs["published_seeds"], seed})
    set_attributes(path, checksums=checksums, published_seeds=published)
    blocks.drop_blocks(path, [Block(seed, index) for index in range(partition.num_blocks)])


def complete(path: Location, statistics: Mapping[str, tuple[NDArray[Any], list[str]]]) -> None:
    """Write statistics, the remaining checksums and consolidated metadata; drop what only the build needed.

    Args:
        statistics: name -> (array, its dimension names), written as `stats/<name>`.

    Raises:
        InrzooError: a seed is not published yet.
    """
    group = open_group(path)
    missing = set(range(group["weights"].shape[1])) - set(group.attrs["published_seeds"])
    if missing:
        raise InrzooError(f"{path}: seeds {sorted(missing)} are not finished; run the same build again")
    write_statistics(path, statistics)
    known = open_group(path).attrs["checksums"]
    rest = sorted(file for file in data_files(path) if file not in known)
    checksums = {**known, **{file: sha256(path / file) for file in rest}}
    for file in metadata_files(path):
        checksums[file] = sha256(path / file)
    sync_tree(path)
    _seal(path, checksums)
    with suppress(OSError):
        remove_tree(path / BUILD_FOLDER)


def write_statistics(path: Location, statistics: Mapping[str, tuple[NDArray[Any], list[str]]]) -> None:
    """Replace the group `stats` and its checksums."""
    group = open_group(path)
    stale = {key: value for key, value in group.attrs["checksums"].items() if not key.startswith("stats/")}
    set_attributes(path, checksums=stale, complete=False)
    home = group.require_group("stats", overwrite=True)
    with every_chunk():
        for name, (array, dims) in sorted(statistics.items()):
            home.create_array(name, data=array, chunks=array.shape, dimension_names=dims)


def unpublish(path: Location, seed: int, bad_blocks: set[int]) -> None:
    """Turn a published seed back into committed blocks, without the bad ones; a build then fits exactly those.

    Good weights are copied out of the shards that hold a bad block before those shards go; other shards stay.
    """
    group = open_group(path)
    partition = partition_of(group)
    set_attributes(path, complete=False)
    (path / BUILD_FOLDER / "blocks").mkdir(parents=True, exist_ok=True)
    if len(bad_blocks) < partition.num_blocks:  # else there is nothing to keep, and perhaps nothing that can be read
        columns = {name: group[name][:, seed] for name in SEED_COLUMNS}
    damaged = {shard for shard in range(partition.num_shards) if bad_blocks & {*partition.shard_blocks(shard)}}
    for shard in range(partition.num_shards):
        for index in partition.shard_blocks(shard):
            if index in bad_blocks:
                continue
            rows = partition.rows(index)
            if shard in damaged:
                part = block_in_shard(path, partition, Block(seed, index), group["weights"].shape[2:])
                if part is None:
                    raise InrzooError(f"shard {shard} of seed {seed} in {path} is too short to hold block {index}")
                write_atomically(blocks.weights_path(path, Block(seed, index)), np.ascontiguousarray(part).data)
            quality = {name: columns[name][rows] for name in COLUMNS}
            record = blocks.Record(**quality, sha256=columns["block_sha256"][index])
            blocks.write_record(path, Block(seed, index), record)
    dropped = {f"weights/{_chunk_key(group['weights'], shard, seed)}" for shard in damaged}
    checksums = {file: value for file, value in group.attrs["checksums"].items() if file not in dropped}
    published = [other for other in group.attrs["published_seeds"] if other != seed]
    set_attributes(path, checksums=checksums, published_seeds=published)
    for file in dropped:
        (path / file).unlink(missing_ok=True)


def shard_path(path: Location, shard: int, seed: int) -> Location:
    """The file of a shard of `weights`."""
    return path / "weights" / shard_key(shard, seed)


def shard_key(shard: int, seed: int) -> str:
    """The name of a shard's file in `weights`."""
    return f"c/{shard}/{seed}/0/0"


def block_in_shard(
    path: Location, partition: Partition, block: Block, row_shape: tuple[int, ...]
) -> NDArray[np.float32] | None:
    """A published block's weights (B, T, P), straight from its shard's bytes; None where the file is too short."""
    rows = partition.rows(block.index)
    shard, start = divmod(rows.start, partition.shard_rows)
    within = slice(start, start + rows.stop - rows.start)
    return raw_rows(shard_path(path, shard, block.seed), within, row_shape)


def data_files(path: Location) -> list[str]:
    """Relative names of all chunk files of the store, sorted; those of the build folder left out."""
    return [name for name in _files(path) if not name.endswith("zarr.json")]


def metadata_files(path: Location) -> list[str]:
    """Relative names of the metadata files of arrays and groups, sorted; the root's, which holds the checksums, not."""
    return [name for name in _files(path) if name.endswith("zarr.json") and name != "zarr.json"]


def _files(path: Location) -> list[str]:
    return sorted(
        name for name in file_sizes(path) if not name.startswith((f"{BUILD_FOLDER}/", ".")) and name[-8:] != ".partial"
    )


def _write_shard(
    path: Location, weights: Any, partition: Partition, members: list[Block], records: list[blocks.Record]
) -> None:
    def read(block: Block) -> NDArray[np.float32]:
        rows = partition.rows(block.index)
        return blocks.read_weights(path, block, rows.stop - rows.start, weights.shape[2])

    parts = blocks.of_each(path, read, members)
    for block, part, record in zip(members, parts, records, strict=True):
        if not np.array_equal(blocks.digest(part), record.sha256):
            blocks.drop_block(path, block)
            raise InrzooError(
                f"block {block.index} of seed {block.seed} in {path} was damaged on disk; run the same build again"
            )
    first, last = partition.rows(members[0].index), partition.rows(members[-1].index)
    weights[first.start : last.stop, members[0].seed] = np.concatenate(parts)


def _chunk_key(array: Any, row_chunk: int, seed: int) -> str:
    return "/".join(["c", str(row_chunk), str(seed), *["0"] * (array.ndim - 2)])


def set_attributes(path: Location, **changes: Any) -> None:
    """Change attributes of the group in one atomic write, consolidated metadata dropped: they would be stale."""

    def change(root: dict[str, Any]) -> None:
        root["attributes"] = {**root["attributes"], **changes}
        root.pop("consolidated_metadata", None)

    _change_root(path, change)


def _change_root(path: Location, change: Callable[[dict[str, Any]], None]) -> None:
    """Read the root, change it, write it; in a bucket only if nobody else has written it meanwhile."""
    file = path / "zarr.json"
    content, tag = file.read_tagged() if isinstance(file, ObjectPath) else (file.read_bytes(), "")
    root = json.loads(content)
    change(root)
    if not isinstance(file, ObjectPath):
        return write_atomically(file, _to_bytes(root))
    lease.require(file.parent)
    try:
        file.replace(_to_bytes(root), tag)
    except Changed:
        raise InrzooError(f"another process has written to {path}; this one stops") from None


def _seal(path: Location, checksums: Mapping[str, str]) -> None:
    """Gather all metadata in the root (one request opens a remote store) and say that the store is complete, in one
    atomic write. The form is zarr-python's; written here because zarr gathers in the order of the folder's listing.
    """
    nodes = {str(Path(file).parent): json.loads((path / file).read_text()) for file in metadata_files(path)}
    for node in nodes.values():
        if node["node_type"] == "group":
            node["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": {}}

    def seal(root: dict[str, Any]) -> None:
        root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": nodes}
        root["attributes"] = {**root["attributes"], "checksums": checksums, "complete": True}
        root["attributes"].pop("partial", None)

    _change_root(path, seal)


def _to_bytes(root: Mapping[str, Any]) -> bytes:
    return json.dumps(root, indent=2, sort_keys=True, ensure_ascii=False).encode()
