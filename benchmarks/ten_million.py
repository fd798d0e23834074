"""A store of more than ten million INRs, fitted by nobody: what do the driver, opening, sampling and statistics cost?

Command:  python benchmarks/ten_million.py [--count 10500000] [--workers 1] [--out /tmp/ten_million]
Needs:    about 2.6 GB of disk at 10.5 million INRs of 37 parameters.

The workers of a real build on Ray write random weights instead of fitting (no-op fits), block after block; the driver
hands out blocks, counts them, and publishes. Each stage runs in a process of its own, which says how long it took, its
CPU time and its peak memory. Stages that are recorded in OUT/stages.json are not run again. Takes
10 to 20 minutes on one core. Writes OUT/ten_million.md.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fault_builds import descendants

import inrzoo
from inrzoo import builder, manifest, stats
from inrzoo.builder import queue
from inrzoo.builder.cluster import run_on_ray
from inrzoo.builder.execute import Worker
from inrzoo.builder.progress import BuildProgress
from inrzoo.builder.worker import environment
from inrzoo.inrs.siren import Siren
from inrzoo.store import Block, Contents, Quality, create_store, open_store, publish_seed, write_block
from inrzoo.store.info import StoreInfo
from inrzoo.store.recorded import PartitionRows, RecordedManifest

SIREN = Siren(in_features=2, out_features=1, hidden_features=4, hidden_layers=1)
P, GRID = SIREN.layout.num_params, (2, 2)
BATCH = 256


class Memory:
    """Anonymous memory of this process, looked at all the time; pages of mapped files are the system's to drop."""

    def __init__(self) -> None:
        self.before = self.peak = self._now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def ends(self) -> list[int]:
        """Before and at the peak, MB."""
        self._stop.set()
        self._thread.join()
        return [round(self.before / 1e6), round(self.peak / 1e6)]

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.peak = max(self.peak, self._now())

    def _now(self) -> int:
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
        return int(line.split()[1]) * 1024


class NoFit(Worker):
    """Writes random weights and made-up quality."""

    def run(self, block: Block) -> Quality:
        num_rows = self._store.num_rows(block)
        random = np.random.default_rng((block.seed, block.index))
        weights_BTP = random.standard_normal((num_rows, 1, P), dtype=np.float32)
        values = random.uniform(20, 40, (num_rows, 1)).astype(np.float32)
        quality = Quality(
            psnr=values,
            loss=values,
            steps=np.full((num_rows, 1), 1, np.int32),
            status=np.ones(num_rows, np.uint8),
            out_of_band=values,
            max_frequency=np.full((num_rows, 1, 2), np.nan, np.float32),
            exact=values,
        )
        write_block(self._place, block, weights_BTP, quality)
        return quality


def create(path: Path, count: int) -> dict[str, Any]:
    """An empty store of `count` signals, four pixels each."""
    wanted = manifest.load("digits", overrides={"inr.hidden_features": 4, "inr.hidden_layers": 1})
    resolved = replace(wanted, fit=replace(wanted.fit, engine="reference", products="auto")).to_json()
    info = StoreInfo(
        dataset="no fits",
        manifest=RecordedManifest.from_tables({**resolved, "seeds": 1}),
        fingerprint="",
        signals_sha256="",
        inr={"name": "siren", "in_features": 2, "out_features": 1, "hidden_features": 4, "hidden_layers": 1},
        layout=SIREN.layout,
        grid=GRID,
        label_columns=("class",),
        label_names={"class": tuple(str(number) for number in range(10))},
        split_names=("train", "validation", "test"),
        snapshots=(1,),
        partition=PartitionRows.choose(count, P),
        environment=environment("cpu", "reference", by_network=False),
        version=inrzoo.__version__,
    )
    numbers = np.arange(count)
    create_store(
        path,
        Contents(
            info=info,
            ids=[f"{number:08d}" for number in range(count)],
            split=(numbers >= count * 9 // 10).astype(np.uint8) + (numbers >= count * 19 // 20),
            labels={"class": numbers % 10},
            signals_NKC=np.zeros((count, 4, 1), np.uint8),
            publish_signals=True,
        ),
    )
    return {"INRs": count}


def fill(path: Path, workers: int) -> dict[str, Any]:
    """The build itself, on Ray. CPU of the driver while blocks are handed out, and until the seed is published.

    The first blocks are handed out one by one, the others by the handful: the difference is what a message costs.
    """
    store = open_store(path)
    todo = [block for block in store.blocks() if not store.is_done(block)]
    memory: list[int] = []
    run = partial(run_on_ray, workers=workers, address=None, needs={"CPU": 1}, say=print, worker=NoFit)

    class Progress(BuildProgress):
        def done(self, quality: Quality) -> None:
            super().done(quality)
            if self._psnr_blocks % 1000 == 0:
                memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)

    def one_by_one(progress: BuildProgress) -> dict[str, Any]:
        few, largest, began = todo[: len(todo) // 4], queue.MAX_BLOCKS_PER_MESSAGE, time.process_time()
        queue.MAX_BLOCKS_PER_MESSAGE = 1
        run(store.path, few, "cpu", lambda _, quality: progress.done(quality) or [], lambda *_: None)
        queue.MAX_BLOCKS_PER_MESSAGE = largest
        return {
            "blocks handed out one by one": len(few),
            "driver CPU for a block alone, ms": 1e3 * (time.process_time() - began) / len(few),
        }

    with Progress(quiet=False) as progress:
        progress.begin(store, todo)
        found = one_by_one(progress)
        rest = todo[len(todo) // 4 :]
        began, messages = time.process_time(), 0
        handed_out, of_ray = 0.0, {}
        original, take = publish_seed, queue.Queue.take

        def publish(*words: Any) -> None:
            nonlocal handed_out
            handed_out = time.process_time() - began
            for program in ("gcs_server", "raylet"):
                of_ray[f"CPU of {program}, s"] = sum(map(_cpu_seconds, descendants(os.getpid(), program.encode())))
            original(*words)  # of all blocks, those of the first part too

        def counted(*words: Any) -> Any:
            nonlocal messages
            messages += 1
            return take(*words)

        vars(builder)["publish_seed"], queue.Queue.take = publish, counted
        builder._run(open_store(path), rest, "cpu", progress, run)
    return {
        **found,
        "blocks handed out by the handful": len(rest),
        "messages of those": messages,
        "driver CPU for a block of a handful, ms": 1e3 * handed_out / len(rest),
        **of_ray,
        "driver CPU to publish, ms for a block": 1e3 * (time.process_time() - began - handed_out) / len(todo),
        "driver memory after each 1,000 blocks, MB": [round(size / 1e6) for size in memory],
    }


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seal(path: Path) -> dict[str, Any]:
    """Statistics over nine tenths of the INRs, checksums, seal."""
    stats.run(open_store(path))
    return {"INRs in the statistics": int(open_store(path).stats["count"].max())}


def opened(path: Path) -> dict[str, Any]:
    """Open, and read one INR."""
    began = time.perf_counter()
    store = open_store(path)
    seconds = time.perf_counter() - began
    first = store.weights[store.num_signals // 2, 0, 0]
    assert first.shape == (P,) and np.isfinite(first).all()
    return {"open, s": seconds, "open and read one INR, s": time.perf_counter() - began, "complete": store.complete}


def sampled(path: Path) -> dict[str, Any]:
    """Random batches."""
    began = time.perf_counter()
    data = inrzoo.load(path)
    ready = time.perf_counter()
    random, batches = np.random.default_rng(0), 400
    for _ in range(batches):
        batch = data[random.integers(0, len(data), BATCH)]
    assert batch.weights.shape[-1] == P
    rate = batches * BATCH / (time.perf_counter() - ready)
    return {"ready to sample, s": ready - began, "random INRs/s": rate}


def streamed(path: Path) -> dict[str, Any]:
    """Every INR once, shuffled."""
    began, seen = time.perf_counter(), 0
    for batch in inrzoo.load(path, streaming=True, shuffle=True, batch_size=4096):
        seen += len(batch.weights)
    assert seen == open_store(path).num_signals, seen
    return {"streamed INRs": seen, "streamed INRs/s": seen / (time.perf_counter() - began)}


STAGES = {"create": create, "fill": fill, "statistics": seal, "open": opened, "sample": sampled, "stream": streamed}


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_500_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("/tmp/ten_million"))
    parser.add_argument("--stage", choices=STAGES, help="this one alone, in this process")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    path, record = given.out / "no_fits.zarr", given.out / "stages.json"
    if given.stage:
        further = {"create": (given.count,), "fill": (given.workers,)}.get(given.stage, ())
        began, watch = time.perf_counter(), Memory()
        found = STAGES[given.stage](path, *further)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        found |= {
            "seconds": time.perf_counter() - began,
            "CPU, s": usage.ru_utime + usage.ru_stime,
            "memory before and at its peak, mapped files left out, MB": watch.ends(),
        }
        done = json.loads(record.read_text()) if record.exists() else {}
        record.write_text(json.dumps({**done, given.stage: found}, indent=2))
        return
    for stage in STAGES:
        if not record.exists() or stage not in json.loads(record.read_text()):
            words = [sys.executable, __file__, "--stage", stage, "--out", str(given.out)]
            subprocess.run([*words, "--count", str(given.count), "--workers", str(given.workers)], check=True)
    lines = ["| stage | what | value |", "|---|---|---|"]
    for stage, found in json.loads(record.read_text()).items():
        lines += [f"| {stage} | {what} | {_text(value)} |" for what, value in found.items()]
    (given.out / "ten_million.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _text(value: Any) -> str:
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and value < 1000
        else f"{value:,}"
        if type(value) in (int, float)
        else str(value)
    )


if __name__ == "__main__":
    main()
