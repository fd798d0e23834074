"""Exports a store to Parquet with one row for each INR, for `datasets`, the Hub's viewer, pandas and DuckDB.

A file contains the rows of a split in one shard of one seed, in the order of the shard and in plain, uncompressed pages
larger than a row group. The weights are then the same byte sequences as in the zarr store, which a storage with
content-defined chunks, such as the Hub's, stores once (measured: 0.6 to 2.3 % more than the store alone, without
pictures). Names and contents of files do not depend on the number of seeds.

Shape letters: B INRs of a row group, N signals, P parameters.
"""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inrzoo.choices import Status
from inrzoo.errors import InrzooError, MissingPackageError
from inrzoo.extras import needed
from inrzoo.interchange.safetensors import write_base
from inrzoo.rendering.thumbnails import has_thumbnails, require_thumbnails, thumbnails
from inrzoo.store import Store, open_store, row
from inrzoo.store.files import sync_tree
from inrzoo.store.row import Column

with needed("hub", "writing Parquet"):
    import pyarrow as pa
    import pyarrow.parquet as pq

ROW_GROUP_BYTES = 16 * 10**6
"""Size of the weights in a row group in bytes."""
BASE_FILE = "base.safetensors"
"""File, beside the Parquet files, with the base that the INRs share if they do."""
PAGE_BYTES = 2**30
"""Maximum size of a page in bytes, above any row group, as a page break would interrupt the common byte sequence."""


@dataclass(frozen=True)
class Part:
    """One Parquet file: the rows of a split in one shard of one seed.

    Attributes:
        split: name of the split.
        seed: number of the fit of each signal.
        shard, num_shards: number of the shard, and of the shards of a seed.
        start, stop: range of the signals.
    """

    split: str
    seed: int
    shard: int
    num_shards: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """File name, which never changes, because the dataset decides the shards of a seed."""
        return f"{prefix(self.split, self.seed)}{self.shard:05d}-of-{self.num_shards:05d}.parquet"


def prefix(split: str, seed: int) -> str:
    """Return the prefix of the file names of a split and seed."""
    return f"{split_name(split)}-seed{seed:05d}-"


def split_name(split: str) -> str:
    """Replace the characters of a split's name that `datasets` does not allow."""
    return re.sub(r"\W", "_", split)


def parts(store: Store, seeds: range) -> list[Part]:
    """Return the Parquet files of these seeds, in the order of the store's shards."""
    rows, names = store.partition.shard_rows, store.info.split_names
    edges = np.searchsorted(store.split, np.arange(len(names) + 1))
    files = []
    for seed in seeds:
        for shard in range(store.partition.num_shards):
            for code, name in enumerate(names):
                start, stop = max(edges[code], shard * rows), min(edges[code + 1], (shard + 1) * rows)
                if start < stop:
                    files.append(Part(name, seed, shard, store.partition.num_shards, int(start), int(stop)))
    return files


def has_images(store: Store, images: bool) -> bool:
    """Return whether the files have a picture of each INR: if `images`, and for signals of a kind that can be drawn.

    Raises:
        MissingPackageError: a package that draws them is not installed.
    """
    if not images or not has_thumbnails(store):
        return False
    try:
        require_thumbnails(store)
    except MissingPackageError as error:
        raise MissingPackageError(f"{error}, or leave the pictures out: --no-images") from None
    return True


def columns(store: Store, images: bool) -> list[Column]:
    """Return the columns of the files; see `inrzoo.store.row`.

    Args:
        images: whether a picture of the INR comes first, if there are pictures of signals of this kind.
    """
    return row.columns([store], image=has_images(store, images))


def write_part(store: Store, part: Part, target: Path, images: bool = True) -> None:
    """Write one file. Store and version of pyarrow decide its bytes, but for pictures, which the machine rounds.

    Args:
        images: as `columns`.

    Raises:
        OSError: there is no space or no permission.
        MissingPackageError: a package that draws the INRs is not installed.
    """
    shown = columns(store, images)
    schema = _schema(store, shown)
    num_steps, num_params = store.weights.shape[2:]
    group_rows = max(1, ROW_GROUP_BYTES // (4 * num_params * num_steps))
    with pq.ParquetWriter(
        target,
        schema,
        data_page_size=PAGE_BYTES,
        write_batch_size=PAGE_BYTES,
        write_page_index=True,
        compression="NONE",
        use_dictionary=False,
        store_schema=True,
    ) as writer:
        for start in range(part.start, part.stop, group_rows):
            rows = slice(start, min(start + group_rows, part.stop))
            table = _table(store, shown, schema, rows, part.seed)
            if table.num_rows:
                writer.write_table(table, row_group_size=table.num_rows)


def export_parquet(store_path: str | Path, out: Path, seeds: range | None = None, images: bool = True) -> int:
    """Write a store as a folder of Parquet files, which is created complete or not at all.

    Args:
        store_path: a complete store.
        out: the new folder.
        seeds: numbers of the fits of each signal; all if None.
        images: whether a small picture of each INR comes first, as in the Hub's files.

    Returns:
        The number of rows, one for each snapshot of an INR.

    Raises:
        InrzooError: the store is not finished or lacks a seed, or `out` exists.
        MissingPackageError: a package that draws the INRs is not installed.
    """
    store = open_store(store_path)
    if not store.complete:
        raise InrzooError(f"{store_path} is not finished; run the same build again, then export")
    if out.exists() or out.is_symlink():
        raise InrzooError(f"{out} exists; give another --out")
    if seeds is not None and not {*seeds} <= {*range(store.num_seeds)}:
        raise InrzooError(f"no seed {seeds.stop - 1} in {store_path}; there are 0 to {store.num_seeds - 1}")
    has_images(store, images)  # fails before anything is written
    files = parts(store, range(store.num_seeds) if seeds is None else seeds)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for part in files:
            write_part(store, part, partial / part.name, images)
        if store.info.base_layout is not None:
            write_base(store, partial / BASE_FILE)
        sync_tree(partial)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return sum(part.stop - part.start for part in files) * len(store.snapshots)


def _schema(store: Store, shown: Sequence[Column]) -> pa.Schema:
    metadata = {
        "huggingface": json.dumps({"info": {"features": row.features(shown)}}),
        "inrzoo": json.dumps(store.info.identity(store.formula)),
    }
    return row.schema(shown).with_metadata(metadata)


def _table(store: Store, shown: Sequence[Column], schema: pa.Schema, rows: slice, seed: int) -> pa.Table:
    present = np.arange(rows.start, rows.stop)
    present = present[store.status[present, seed] != Status.PENDING]  # an imported folder may lack some
    weights_BTP = store.weights[present, seed]
    num_signals, num_steps, num_params = weights_BTP.shape
    # Rows run over the signals, then over the snapshots, as in a shard.
    signals, steps = np.repeat(present, num_steps), np.tile(np.arange(num_steps), num_signals)
    weights_BP = weights_BTP.reshape(-1, num_params)
    arrays = row.small_columns(store, shown, signals, np.full(len(signals), seed), steps)
    arrays["weights"] = row.vectors(weights_BP)
    if any(column.kind == "image" for column in shown):
        pictures = thumbnails(store, signals, weights_BP)
        cells = [None if png is None else {"bytes": png, "path": None} for png in pictures]
        arrays["image"] = pa.array(cells, type=schema.field("image").type)
    return pa.Table.from_arrays([arrays[field.name].cast(field.type) for field in schema], schema=schema)
