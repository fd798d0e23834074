"""How fast INRs come out of a published store: our memory-mapped reader beside zarr's own, in one run.

Command:  python benchmarks/read_speed.py [signals]     Duration: under a minute.
Needs:    4.8 kB of disk per signal.
The store is written by inrzoo's own writer with random weights of a 2/32/32/1 SIREN (1,185 parameters).
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zarr

import inrzoo
from inrzoo.store import Block, Contents, Partition, Quality, create_store, open_store, publish_seed, write_block
from inrzoo.store.info import StoreInfo
from inrzoo.store.recorded import PartitionRows, RecordedManifest
from inrzoo.weights import WeightLayout, WeightTensor

PARAMS, BATCH, ROUNDS = 1185, 256, 20


def write(path: Path, count: int) -> float:
    """Write a store of random weights; returns MB/s of committing and publishing."""
    partition, draw = Partition.of(count, 4 * PARAMS), np.random.default_rng(0)
    manifest = {"name": "random", "source": {}, "inr": {}, "values": {"range": [-1, 1]}, "coords": {}}
    contents = Contents(
        info=StoreInfo(
            dataset="random",
            manifest=RecordedManifest.from_tables(manifest),
            fingerprint="",
            signals_sha256="",
            inr={},
            layout=WeightLayout((WeightTensor("weights", (PARAMS,), ("param",)),)),
            grid=(1,),
            label_columns=("none",),
            label_names={"none": ("none",)},
            split_names=("train",),
            snapshots=(1000,),
            partition=PartitionRows.choose(count, PARAMS),
            version=inrzoo.__version__,
        ),
        ids=[str(index) for index in range(count)],
        split=np.zeros(count, dtype=np.uint8),
        labels={"none": np.zeros(count, dtype=np.int64)},
        signals_NKC=np.zeros((count, 1, 1), dtype=np.uint8),
        publish_signals=True,
    )
    create_store(path, contents)
    started = time.perf_counter()
    for index in range(partition.num_blocks):
        rows = partition.rows(index)
        size = rows.stop - rows.start
        weights = draw.random((size, 1, PARAMS), dtype=np.float32)
        ones = np.ones((size, 1), dtype=np.float32)
        steps, status = ones.astype(np.int32), ones[:, 0].astype(np.uint8)
        write_block(path, Block(0, index), weights, Quality(ones, ones, steps, status, ones, ones[:, :, None], ones))
    publish_seed(path, 0)
    return count * PARAMS * 4 / 1e6 / (time.perf_counter() - started)


def rate(work: Callable[[np.ndarray], object], count: int, rounds: int) -> float:
    """Median INRs per second over random batches."""
    draw, times = np.random.default_rng(1), []
    for _ in range(rounds):
        rows = np.sort(draw.choice(count, BATCH, replace=False))
        started = time.perf_counter()
        work(rows)
        times.append(time.perf_counter() - started)
    return BATCH / statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("signals", type=int, nargs="?", default=100_000, help="INRs of the store (default 100,000)")
    count = parser.parse_args().signals
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.zarr"
        speed = write(path, count)
        ours, theirs = open_store(path).weights, zarr.open_group(path, mode="r")["weights"]
        same = np.arange(0, count, max(1, count // 50))
        np.testing.assert_array_equal(ours[same], theirs.oindex[same])
        zarr_rate = rate(lambda rows: theirs.oindex[rows, 0, 0], count, 5)
        our_rate = rate(lambda rows: ours[rows, 0, 0], count, ROUNDS)
    print(f"{count} INRs of {PARAMS} parameters, random batches of {BATCH}, page cache warm")
    print(f"written, committed and published at {speed:.0f} MB/s")
    print(f"zarr-python   {zarr_rate:10.0f} INRs/s")
    print(f"inrzoo        {our_rate:10.0f} INRs/s  {our_rate / zarr_rate:.1f}×")


if __name__ == "__main__":
    main()
