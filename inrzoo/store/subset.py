"""Subsets of a published store: its first seeds, or the shards of some splits.

* The first n seeds are a store of their own: complete, and the same bytes as a build with `--seeds n`. Seeds are
  numbers in every random stream, so no others can be cut out.
* Some splits are an unfinished store: the axes stay, the INRs of shards that are not there are pending. Cutting the
  signal axis would change the blocks, and with them what fitting again must reproduce.

Shape letters: N signals, S seeds.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.nearest import among
from inrzoo.store.blocks import Block, Partition
from inrzoo.store.finalise import info_of, is_seed_column, open_group, partition_of, seed_columns, unpublish
from inrzoo.store.names import is_metadata
from inrzoo.store.root import change_info, own_files

if TYPE_CHECKING:
    from inrzoo.store.reader import Store


def seed_of(file: str) -> int | None:
    """The one seed that a file of a store belongs to, by its relative name; None for those of all seeds."""
    array, *key = file.split("/")
    if (array == "weights" or is_seed_column(array)) and key[0] == "c":
        return int(key[2])
    if array == "init" and key[0] == "c":
        return int(key[1])
    return None


def shard_of(file: str) -> int | None:
    """The shard that a file of a store is, by its relative name; None for other files."""
    array, *key = file.split("/")
    return int(key[1]) if array == "weights" and key[0] == "c" else None


def shards_of_splits(
    partition: Partition, split_N: NDArray[np.uint8], names: Sequence[str], splits: Iterable[str]
) -> set[int]:
    """Shards, the same for every seed, that hold an INR of one of `splits`.

    Args:
        split_N: index into `names` of each signal.

    Raises:
        InrzooError: a split that does not exist.
    """
    unknown = [name for name in splits if name not in names]
    if unknown:
        raise InrzooError(f"no split {unknown[0]!r}{among(unknown[0], names)}")
    rows = np.flatnonzero(np.isin(split_N, [names.index(name) for name in splits]))
    return {int(shard) for shard in np.unique(rows // partition.shard_rows)}


def link_first_seeds(path: Path, out: Path, num_seeds: int) -> None:
    """Make a folder with the first seeds of a store by hard links; nothing at `path` is changed, now or later.

    The statistics are still to be computed: they seal it.

    Raises:
        InrzooError: one of these seeds is not published.
    """
    group = open_group(path)
    info = info_of(group, path)
    missing = set(range(num_seeds)) - {*info.published_seeds}
    if missing:
        raise InrzooError(f"{path}: seeds {sorted(missing)} are not finished")
    for file in ["zarr.json", *own_files(path, info)]:
        seed = seed_of(file)
        if seed is None or seed < num_seeds:
            (out / file).parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path / file, out / file, copy=is_metadata(file))
    keep_seeds(out, num_seeds)


def link_or_copy(file: Path, target: Path, copy: bool) -> None:
    """Make `target` the same file by a hard link; a copy if `copy`, or where the disks know no such link."""
    try:
        if not copy:
            os.link(file, target, follow_symlinks=False)
            return
    except OSError:
        pass
    shutil.copyfile(file, target, follow_symlinks=False)


def keep_seeds(path: Path, num_seeds: int) -> None:
    """Cut a store, in place, to its first seeds; the inverse of `grow`. The statistics are still to be computed."""
    group = open_group(path)
    info = info_of(group, path)
    change_info(
        path,
        complete=False,
        manifest=info.manifest.with_seeds(num_seeds),
        published_seeds=[seed for seed in info.published_seeds if seed < num_seeds],
        checksums={name: digest for name, digest in info.checksums.items() if (seed_of(name) or 0) < num_seeds},
    )
    for name in ("init", *seed_columns(group, info), "weights"):
        if name in group:
            first = () if name == "init" else group[name].shape[:1]
            group[name].resize((*first, num_seeds, *group[name].shape[len(first) + 1 :]))


def keep_splits(path: Path, splits: list[str], shards: set[int]) -> None:
    """Cut a store, in place, to the shards of some splits: the INRs of the others become pending.

    Args:
        splits: names of the splits, recorded as `partial`.
        shards: numbers of the shards that hold them; the files of the others are absent.
    """
    group = open_group(path)
    info = info_of(group, path)
    partition = partition_of(group, info)
    left_out = set(range(partition.num_shards)) - shards
    absent = {index for shard in left_out for index in partition.shard_blocks(shard)}
    if absent:
        change_info(path, partial=splits)
        for seed in info.published_seeds:
            unpublish(path, seed, absent)


def expected_blocks(store: Store) -> list[Block]:
    """The blocks that a complete store has: all, or those of the shards that were pulled."""
    if not store.partial:
        return store.blocks()
    shards = shards_of_splits(store.partition, store.split, store.info.split_names, store.partial)
    within = {index for shard in shards for index in store.partition.shard_blocks(shard)}
    return [block for block in store.blocks() if block.index in within]
