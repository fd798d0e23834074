"""Exports a store to Parquet with one row for each INR, for `datasets`, the Hub's viewer, pandas and DuckDB.

A file contains the rows of a split in one shard of one seed, in the order of the shard and in plain, uncompressed pages
larger than a row group. The weights are then the same byte sequences as in the zarr store, which a storage with
content-defined chunks, such as the Hub's, stores once (measured: 0.6 to 2.3 % more than the store alone). Names and
contents of files do not depend on the number of seeds.

Shape letters: B INRs of a row group, N signals, P parameters.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.store import Store, open_store
from inrzoo.store.files import sync_tree

with needed("hub", "writing Parquet"):
    import pyarrow as pa
    import pyarrow.parquet as pq

ROW_GROUP_BYTES = 16 * 10**6
"""Size of the weights in a row group in bytes."""
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


def features(store: Store) -> dict[str, Any]:
    """Return the columns in the format of `datasets.Features`, with names of labels and a fixed length of weights."""
    value = {dtype: {"dtype": dtype, "_type": "Value"} for dtype in ("float32", "int32", "int64", "string")}
    names = store.info.label_names
    return {
        "weights": {"feature": value["float32"], "length": store.layout.num_params, "_type": "List"},
        "signal": value["int64"],
        "signal_id": value["string"],
        "seed": value["int32"],
        "step": value["int32"],
        **{
            column: {"names": list(names[name]), "_type": "ClassLabel"} if names.get(name) else value["int64"]
            for column, name in zip(_label_columns(store), store.labels, strict=True)
        },
        "split": value["string"],
        "psnr": value["float32"],
        **dict.fromkeys(store.info.measures, value["float32"]),
        "steps": value["int32"],
        "status": value["string"],
    }


def write_part(store: Store, part: Part, target: Path) -> None:
    """Write one file. Store and version of pyarrow decide its bytes.

    Raises:
        OSError: there is no space or no permission.
    """
    schema = _schema(store)
    num_steps, num_params = store.weights.shape[2:]
    group_rows = max(1, ROW_GROUP_BYTES // (4 * num_params * num_steps))
    with pq.ParquetWriter(
        target,
        schema,
        compression="NONE",
        use_dictionary=False,
        data_page_size=PAGE_BYTES,
        write_page_index=True,
        write_batch_size=PAGE_BYTES,
        store_schema=True,
    ) as writer:
        for start in range(part.start, part.stop, group_rows):
            rows = slice(start, min(start + group_rows, part.stop))
            table = _table(store, schema, rows, part.seed, part.split)
            if table.num_rows:
                writer.write_table(table, row_group_size=table.num_rows)


def export_parquet(store_path: Path, out: Path, seeds: range | None = None) -> int:
    """Write a store as a folder of Parquet files, which is created complete or not at all.

    Args:
        store_path: a complete store.
        out: the new folder.
        seeds: numbers of the fits of each signal; all if None.

    Returns:
        The number of rows, one for each snapshot of an INR.

    Raises:
        InrzooError: the store is not finished or lacks a seed, or `out` exists.
    """
    store = open_store(store_path)
    if not store.complete:
        raise InrzooError(f"{store_path} is not finished; run the same build again, then export")
    if out.exists() or out.is_symlink():
        raise InrzooError(f"{out} exists; give another --out")
    if seeds is not None and not {*seeds} <= {*range(store.num_seeds)}:
        raise InrzooError(f"no seed {seeds.stop - 1} in {store_path}; there are 0 to {store.num_seeds - 1}")
    files = parts(store, range(store.num_seeds) if seeds is None else seeds)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for part in files:
            write_part(store, part, partial / part.name)
        sync_tree(partial)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return sum(part.stop - part.start for part in files) * len(store.snapshots)


def _label_columns(store: Store) -> list[str]:
    """Name the first label column `label`, the class, as in the store's arrays; others keep their names."""
    reserved = {"weights", "signal", "signal_id", "seed", "step", "split", "psnr", "steps", "status", "label"}
    reserved |= {*store.info.measures}
    return ["label", *(f"label_{name}" if name in reserved else name for name in list(store.labels)[1:])]


def _schema(store: Store) -> pa.Schema:
    types = {"float32": pa.float32(), "int32": pa.int32(), "int64": pa.int64(), "string": pa.string()}
    declared = features(store)
    fields = []
    for name, feature in declared.items():
        if feature["_type"] == "List":
            kind = pa.list_(pa.float32(), feature["length"])
        else:
            kind = pa.int64() if feature["_type"] == "ClassLabel" else types[feature["dtype"]]
        fields.append(pa.field(name, kind))
    metadata = {
        "huggingface": json.dumps({"info": {"features": declared}}),
        "inrzoo": json.dumps(store.info.identity()),
    }
    return pa.schema(fields, metadata=metadata)


def _table(store: Store, schema: pa.Schema, rows: slice, seed: int, split: str) -> pa.Table:
    names = np.array(store.info.status_names, dtype=object)
    present = np.arange(rows.start, rows.stop)
    present = present[names[store.status[present, seed]] != "pending"]  # an imported folder may lack some
    weights_BTP = store.weights[present, seed]
    num_signals, num_steps, num_params = weights_BTP.shape
    each = num_signals * num_steps  # rows run over the signals, then over the snapshots, as in a shard
    signals = np.repeat(present, num_steps)
    columns = {
        "weights": pa.FixedSizeListArray.from_arrays(pa.array(weights_BTP.reshape(-1)), num_params),
        "signal": signals,
        "signal_id": [store.signal_ids[signal] for signal in signals],
        "seed": np.full(each, seed, dtype=np.int32),
        "step": np.tile(np.array(store.snapshots, dtype=np.int32), num_signals),
        **{column: codes[signals] for column, codes in zip(_label_columns(store), store.labels.values(), strict=True)},
        "split": [split] * each,
        "psnr": store.psnr[present, seed].reshape(-1),
        **{name: values[present, seed].reshape(-1) for name, values in store.measures.items()},
        "steps": store.steps[present, seed].reshape(-1),
        "status": names[store.status[signals, seed]],
    }
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, type=schema.field(name).type)
        for name, column in columns.items()
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
