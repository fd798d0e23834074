"""The rows of loading.py: how each format is made and read.

Command:  python benchmarks/loading_rows.py ROW ORDER FOLDER     measures one row, one pass.
Needs:    a FOLDER that loading.py has filled.

Each reader does what the users of its format do: `.pth` files through a DataLoader, as DWSNets and nfn; HDF5 in chunks
of 64 INRs, sorted indices in every batch, as fit-a-nef's; Parquet through `datasets` (map-style when shuffled, which is
its fastest); litdata's StreamingDataset with its own shuffling, stacked without its DataLoader, which halves the rate;
np.memmap of one .npy as the limit.
"""

import argparse
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

import inrzoo
from inrzoo import stats
from inrzoo.inrs.siren import Siren
from inrzoo.store import Block, Contents, Quality, create_store, open_store, publish_seed, write_block
from inrzoo.store.info import StoreInfo
from inrzoo.store.recorded import PartitionRows, RecordedManifest

SIREN = Siren(in_features=2, out_features=1)
PARAMS, BATCH = SIREN.layout.num_params, 256
SEQUENTIAL, SHUFFLED = "sequential", "shuffled"
PTH_FILES, LITDATA_INRS = 20_000, 50_000
CHUNK_ROWS = 4096
Batches = Iterator[Any]


def values(start: int, stop: int) -> np.ndarray:
    """The weights of some INRs, the same in every format. Shape (stop − start, P)."""
    return np.random.default_rng(start).uniform(-0.3, 0.3, (stop - start, PARAMS)).astype(np.float32)


def parts(count: int) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, count, CHUNK_ROWS):
        yield start, values(start, min(start + CHUNK_ROWS, count))


# --- making ------------------------------------------------------------------------------------------------------


def make_store(path: Path, count: int) -> None:
    inr = {"name": "siren", "in_features": 2, "out_features": 1}
    manifest = {"name": "random", "source": {}, "inr": inr, "values": {"range": [-1, 1]}, "coords": {}}
    contents = Contents(
        info=StoreInfo(
            dataset="random",
            manifest=RecordedManifest.from_tables(manifest),
            fingerprint="benchmark",
            signals_sha256="benchmark",
            inr=inr,
            layout=SIREN.layout,
            grid=(1, 1),
            label_columns=("class",),
            label_names={"class": tuple(str(code) for code in range(10))},
            split_names=("train",),
            snapshots=(1000,),
            partition=PartitionRows.choose(count, PARAMS),
            version=inrzoo.__version__,
        ),
        ids=[str(index) for index in range(count)],
        split=np.zeros(count, dtype=np.uint8),
        labels={"class": np.arange(count) % 10},
        signals_NKC=np.zeros((count, 1, 1), dtype=np.uint8),
        publish_signals=True,
    )
    create_store(path, contents)
    partition = open_store(path).partition
    rows = np.lib.format.open_memmap(path.parent / "weights.npy", mode="r")
    for index in range(partition.num_blocks):
        weights = rows[partition.rows(index), None]
        ones = np.ones((len(weights), 1), dtype=np.float32)
        steps, status = ones.astype(np.int32), ones[:, 0].astype(np.uint8)
        quality = Quality(ones, ones, steps, status, ones, np.repeat(ones[:, :, None], 2, axis=2), ones)
        write_block(path, Block(0, index), weights, quality)
    publish_seed(path, 0)
    stats.run(open_store(path))


def make_memmap(path: Path, count: int) -> None:
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(count, PARAMS))
    for start, rows in parts(count):
        array[start : start + len(rows)] = rows
    array.flush()


def make_pth(path: Path, count: int) -> None:
    path.mkdir()
    for start, rows in parts(min(count, PTH_FILES)):
        for index, row in enumerate(rows, start=start):
            tensors = SIREN.layout.split(torch.from_numpy(row))
            torch.save({name: tensor.clone() for name, tensor in tensors.items()}, path / f"{index:06d}.pth")


def make_hdf5(path: Path, count: int) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        array = file.create_dataset("params", (count, PARAMS), dtype="f4", chunks=(64, PARAMS))
        for start, rows in parts(count):
            array[start : start + len(rows)] = rows


def make_parquet(path: Path, count: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("weights", pa.list_(pa.float32(), PARAMS)), ("label", pa.int64())])
    with pq.ParquetWriter(path, schema, compression="NONE", use_dictionary=False) as writer:
        for start, rows in parts(count):
            column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), PARAMS)
            labels = pa.array(np.arange(start, start + len(rows)) % 10)
            writer.write_table(pa.table([column, labels], schema=schema), row_group_size=CHUNK_ROWS)


def make_litdata(path: Path, count: int) -> None:
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(str(path), chunk_bytes="64MB")
    for start, rows in parts(min(count, LITDATA_INRS)):
        for index, row in enumerate(rows, start=start):
            writer[index] = {"weights": torch.from_numpy(row), "label": index % 10}
    writer.done()
    writer.merge()


# --- reading -----------------------------------------------------------------------------------------------------


def read_store(path: Path, order: str) -> Batches:
    return iter(inrzoo.load(path, streaming=True, shuffle=order == SHUFFLED, batch_size=BATCH, normalise="none"))


def read_normalised(path: Path, order: str) -> Batches:
    return iter(inrzoo.load(path, streaming=True, shuffle=order == SHUFFLED, batch_size=BATCH))


def read_map_style(path: Path, order: str) -> Batches:
    return iter(DataLoader(inrzoo.load(path, normalise="none"), batch_size=BATCH, shuffle=order == SHUFFLED))


def read_memmap(path: Path, order: str) -> Batches:
    array = np.load(path, mmap_mode="r")
    if order == SHUFFLED:
        for rows in np.array_split(np.random.default_rng(0).permutation(len(array)), -(-len(array) // BATCH)):
            yield torch.from_numpy(array[rows])
    else:
        for start in range(0, len(array), BATCH):
            yield torch.from_numpy(np.array(array[start : start + BATCH]))


class PthFiles(Dataset[torch.Tensor]):
    """One file an INR."""

    def __init__(self, path: Path) -> None:
        self.files = sorted(path.iterdir())

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        return SIREN.layout.join(torch.load(self.files[index]))


def read_pth(path: Path, order: str) -> Batches:
    return iter(DataLoader(PthFiles(path), batch_size=BATCH, shuffle=order == SHUFFLED))


def read_hdf5(path: Path, order: str) -> Batches:
    import h5py

    with h5py.File(path) as file:
        array = file["params"]
        chosen = np.random.default_rng(0).permutation(len(array)) if order == SHUFFLED else None
        for start in range(0, len(array), BATCH):
            rows = slice(start, start + BATCH) if chosen is None else np.sort(chosen[start : start + BATCH])
            yield torch.from_numpy(array[rows])


def read_parquet(path: Path, order: str) -> Batches:
    import datasets

    datasets.disable_progress_bars()
    cache = str(path.parent / "datasets_cache")
    stored = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=cache).with_format("torch")
    if order == SHUFFLED:
        return iter(DataLoader(stored, batch_size=BATCH, shuffle=True))
    return iter(stored.iter(BATCH))


def read_litdata(path: Path, order: str) -> Batches:
    from litdata import StreamingDataset

    # Its default decodes 32 neighbours at once, which shuffled reading throws away: 7,000 INRs/s.
    decoding = {"batch_decode": 0} if order == SHUFFLED else {}
    items = []
    for item in StreamingDataset(str(path), shuffle=order == SHUFFLED, **decoding):
        items.append(item["weights"])
        if len(items) == BATCH:
            yield torch.stack(items)
            items = []


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        file: what `make` makes in the folder.
        most_seconds: a pass is broken off then; its rate is that of what was read.
    """

    name: str
    title: str
    file: str
    make: Callable[[Path, int], None]
    read: Callable[[Path, str], Batches]
    needs: str = "inrzoo"
    most_seconds: float = 15.0

    def available(self) -> bool:
        return importlib.util.find_spec(self.needs) is not None


ROWS = [
    Row("inrzoo", "**inrzoo stream**", "store.zarr", make_store, read_store),
    Row("normalised", "inrzoo stream, normalised", "store.zarr", make_store, read_normalised),
    Row("map", "inrzoo map-style, DataLoader", "store.zarr", make_store, read_map_style),
    Row("pth", "(a) one .pth per INR, DataLoader", "pth", make_pth, read_pth),
    Row("hdf5", "(b) HDF5, chunks of 64", "weights.h5", make_hdf5, read_hdf5, "h5py"),
    Row("parquet", "(c) Parquet, datasets", "weights.parquet", make_parquet, read_parquet),
    Row("litdata", "(d) litdata", "litdata", make_litdata, read_litdata, "litdata"),
    Row("memmap", "(e) np.memmap of one .npy", "weights.npy", make_memmap, read_memmap),
]


def prepare(folder: Path, count: int) -> None:
    """Make what is not there yet; a part left by an interrupted run is not taken for the whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in sorted(ROWS, key=lambda row: row.name != "memmap"):
        done = folder / f"{row.file}.{count}.done"
        if row.available() and not done.exists():
            path = folder / row.file
            if path.exists():
                sys.exit(f"{path} is of another run; remove it, or name another folder")
            print(f"making {path}", flush=True)
            row.make(path, count)
            done.touch()


def resident() -> float:
    """MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", choices=[row.name for row in ROWS])
    parser.add_argument("order", choices=(SEQUENTIAL, SHUFFLED))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    row, order, folder = next(row for row in ROWS if row.name == options.row), options.order, options.folder
    torch.set_num_threads(1)
    batches = row.read(folder / row.file, order)
    next(batches)  # opening, importing, starting: once a run, not once a batch
    read, peaks, started = 0, [], time.perf_counter()
    for batch in batches:
        weights = batch["weights"] if isinstance(batch, dict) else getattr(batch, "weights", batch)
        read += len(weights)
        if read // BATCH % 16 == 0:
            peaks.append((time.perf_counter() - started, resident()))
        if time.perf_counter() - started > row.most_seconds:
            break
    seconds = time.perf_counter() - started
    quarters = [max([m for t, m in peaks if i <= 4 * t / seconds <= i + 1] or [resident()]) for i in range(4)]
    print(json.dumps({"rate": read / seconds, "count": read, "quarters": quarters}), flush=True)
    # `datasets` may abort on leaving a stream half-read (PyGILState_Release); nothing is left to be done here.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
