"""Publishing: joins the blocks of a finished seed into shards, then lets the records go. Idempotent at every moment.

A seed is published by one atomic write of the group's attributes; until then its blocks stay where they are, so a
crash anywhere costs only work that can be done again.

Shape letters: N signals, S seeds, T snapshots, P parameters.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.store import blocks
from inrzoo.store.blocks import BUILD_FOLDER, COLUMNS, Block, Partition
from inrzoo.store.checks import guarded
from inrzoo.store.create import every_chunk
from inrzoo.store.files import sha256, sync, sync_tree, write_atomically
from inrzoo.store.shards import raw_rows

SEED_COLUMNS = (*COLUMNS, "block_sha256")


def open_group(path: Path) -> zarr.Group:
    """The store's group for writing, its attributes as they are now and not as consolidated metadata remember them."""
    return zarr.open_group(path, mode="r+", use_consolidated=False)


def partition_of(group: zarr.Group) -> Partition:
    """How the store's signals are cut."""
    return Partition(num_signals=group["weights"].shape[0], **group.attrs["partition"])


def grow(path: Path, num_seeds: int, init_SP: NDArray[np.float32] | None) -> None:
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


def publish_seed(path: Path, seed: int) -> None:
    """Join a seed's blocks into shards and columns, record their checksums, then delete the blocks.

    Raises:
        InrzooError: a block's file is not what its record says; the block is dropped, so that a build fits it again.
        OSError: no space, no permission; the blocks stay.
    """
    with every_chunk():
        guarded(str(path), f"seed {seed}", lambda: _publish_seed(path, seed), passing=OSError)


def _publish_seed(path: Path, seed: int) -> None:
    group = open_group(path)
    partition = partition_of(group)
    records = [_record(path, partition, Block(seed, index)) for index in range(partition.num_blocks)]
    for shard in range(partition.num_shards):
        members = partition.shard_blocks(shard)
        waiting = [blocks.weights_path(path, Block(seed, index)).exists() for index in members]
        if any(waiting):  # none waits where a repair left this shard alone
            _write_shard(path, group["weights"], partition, seed, members, records)
    for name in COLUMNS:
        group[name][:, seed] = np.concatenate([getattr(record, name) for record in records])
    group["block_sha256"][:, seed] = np.stack([record.sha256 for record in records])
    files = [f"{name}/{key}" for name in SEED_COLUMNS for key in [_chunk_key(group[name], 0, seed)]]
    files += [f"weights/{_chunk_key(group['weights'], shard, seed)}" for shard in range(partition.num_shards)]
    for file in files:
        sync(path / file)
    checksums = {**group.attrs["checksums"], **{file: sha256(path / file) for file in files}}
    published = sorted({*group.attrs["published_seeds"], seed})
    set_attributes(path, checksums=checksums, published_seeds=published)
    for index in range(partition.num_blocks):
        blocks.drop_block(path, Block(seed, index))


def complete(path: Path, statistics: Mapping[str, tuple[NDArray[Any], list[str]]]) -> None:
    """Write statistics, the remaining checksums and consolidated metadata; drop what only the build needed.

    Args:
        statistics: name -> (array, its dimension names), written as `stats/<name>`.

    Raises:
        InrzooError: a seed is not published yet.
    """
    guarded(str(path), "metadata", lambda: _complete(path, statistics), passing=OSError)


def _complete(path: Path, statistics: Mapping[str, tuple[NDArray[Any], list[str]]]) -> None:
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
    shutil.rmtree(path / BUILD_FOLDER, ignore_errors=True)


def write_statistics(path: Path, statistics: Mapping[str, tuple[NDArray[Any], list[str]]]) -> None:
    """Replace the group `stats` and its checksums."""
    group = open_group(path)
    stale = {key: value for key, value in group.attrs["checksums"].items() if not key.startswith("stats/")}
    set_attributes(path, checksums=stale, complete=False)
    home = group.require_group("stats", overwrite=True)
    with every_chunk():
        for name, (array, dims) in sorted(statistics.items()):
            home.create_array(name, data=array, chunks=array.shape, dimension_names=dims)


def unpublish(path: Path, seed: int, bad_blocks: set[int]) -> None:
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


def shard_path(path: Path, shard: int, seed: int) -> Path:
    """The file of a shard of `weights`."""
    return path / "weights" / "c" / str(shard) / str(seed) / "0" / "0"


def block_in_shard(
    path: Path, partition: Partition, block: Block, row_shape: tuple[int, ...]
) -> NDArray[np.float32] | None:
    """A published block's weights (B, T, P), straight from its shard's bytes; None where the file is too short."""
    rows = partition.rows(block.index)
    shard, start = divmod(rows.start, partition.shard_rows)
    within = slice(start, start + rows.stop - rows.start)
    return raw_rows(shard_path(path, shard, block.seed), within, row_shape)


def data_files(path: Path) -> list[str]:
    """Relative names of all chunk files of the store, sorted; those of the build folder left out."""
    return [name for name in _files(path) if not name.endswith("zarr.json")]


def metadata_files(path: Path) -> list[str]:
    """Relative names of the metadata files of arrays and groups, sorted; the root's, which holds the checksums, not."""
    return [name for name in _files(path) if name.endswith("zarr.json") and name != "zarr.json"]


def _files(path: Path) -> list[str]:
    names = (file.relative_to(path) for file in path.rglob("*") if file.is_file())
    return sorted(str(name) for name in names if name.parts[0] != BUILD_FOLDER and name.suffix != ".partial")


def _record(path: Path, partition: Partition, block: Block) -> blocks.Record:
    rows = partition.rows(block.index)
    try:
        record = blocks.read_record(path, block)
    except InrzooError:
        raise _dropped(path, block) from None
    if len(record.psnr) != rows.stop - rows.start:
        raise _dropped(path, block)
    return record


def _dropped(path: Path, block: Block) -> InrzooError:
    """Drop a damaged block, so that a build fits it again; the line that says so."""
    blocks.drop_block(path, block)
    return InrzooError(
        f"block {block.index} of seed {block.seed} in {path} was damaged on disk; run the same build again"
    )


def _write_shard(
    path: Path, weights: Any, partition: Partition, seed: int, members: range, records: list[blocks.Record]
) -> None:
    parts = []
    for index in members:
        rows = partition.rows(index)
        try:
            part = blocks.read_weights(path, Block(seed, index), rows.stop - rows.start, weights.shape[2])
        except InrzooError:
            raise _dropped(path, Block(seed, index)) from None
        if part.shape[2] != weights.shape[3] or not np.array_equal(blocks.digest(part), records[index].sha256):
            raise _dropped(path, Block(seed, index))
        parts.append(part)
    first, last = partition.rows(members[0]), partition.rows(members[-1])
    weights[first.start : last.stop, seed] = np.concatenate(parts)


def _chunk_key(array: Any, row_chunk: int, seed: int) -> str:
    return "/".join(["c", str(row_chunk), str(seed), *["0"] * (array.ndim - 2)])


def set_attributes(path: Path, **changes: Any) -> None:
    """Change attributes of the group in one atomic write, consolidated metadata dropped: they would be stale."""
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"] = {**root["attributes"], **changes}
    root.pop("consolidated_metadata", None)
    write_atomically(path / "zarr.json", _to_bytes(root))


def _seal(path: Path, checksums: Mapping[str, str]) -> None:
    """Gather all metadata in the root (one request opens a remote store) and say that the store is complete, in one
    atomic write. The form is zarr-python's; written here because zarr gathers in the order of the folder's listing.
    """
    root = json.loads((path / "zarr.json").read_text())
    nodes = {str(Path(file).parent): json.loads((path / file).read_text()) for file in metadata_files(path)}
    for node in nodes.values():
        if node["node_type"] == "group":
            node["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": {}}
    root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": nodes}
    root["attributes"] = {**root["attributes"], "checksums": checksums, "complete": True}
    root["attributes"].pop("partial", None)
    write_atomically(path / "zarr.json", _to_bytes(root))


def _to_bytes(root: Mapping[str, Any]) -> bytes:
    return json.dumps(root, indent=2, sort_keys=True, ensure_ascii=False).encode()
