"""Estimates the work and the time of a build: counts from the manifest and the data, and times real fits.

Nothing is built. Only caches are written: a missing dataset is fetched, an engine compiled.

Shape letters: B INRs, T snapshots, P parameters, K coordinates, C channels.
"""

import math
import os
import resource
import statistics
import time
from dataclasses import dataclass, replace

import numpy as np

from inrzoo import registry
from inrzoo.builder.fitter import Fitter, weights_of
from inrzoo.builder.preparation import Request, disk_bytes, require_same, resolve, signal_bytes, signal_table
from inrzoo.builder.worker import fit_to, one_thread, random_draws, subset_keys
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.manifest import Manifest
from inrzoo.sources import Signals
from inrzoo.store import Partition, open_store
from inrzoo.store.blocks import COLUMNS
from inrzoo.store.weight_codec import WeightCodec
from inrzoo.targets import Targets

SECONDS = 10.0
"""Duration of the measurement in seconds."""
SHARD_INDEX_BYTES, SHARD_CRC_BYTES = 16, 4
"""Bytes of zarr's sharding codec: offset and length of each chunk, and a CRC-32C of them."""


@dataclass(frozen=True)
class Speed:
    """The measured speed of one core (or GPU) of this machine.

    Attributes:
        block_seconds: seconds to fit one full block.
        signal_seconds: seconds to read and decode one signal.
        peak_bytes: peak memory of this process during the measurement.
        whole: whether fits ran to their end; else the time of a step was extrapolated, without early stopping.
        num_inrs: number of INRs fitted for the measurement.
    """

    block_seconds: float
    signal_seconds: float
    peak_bytes: int
    whole: bool
    num_inrs: int


@dataclass(frozen=True)
class Plan:
    """The work of a build.

    Attributes:
        out: the store.
        continued: whether the store exists.
        num_signals, num_seeds, snapshots, num_params: axes of the store.
        num_blocks, block_rows: number of blocks of the whole store, and of signals in one.
        missing_blocks, missing_inrs: numbers of blocks and INRs that are not fitted.
        weight_bytes: exact size of the weight files in the finished store, as if they were not compressed.
        store_bytes: maximum size of the finished store, as if columns and signals were not compressed.
        disk_bytes: maximum disk space during the build.
        worker_bytes: memory of a worker.
        engine, device: engine and device of the fits.
        cores: number of cores that this process may use, or of GPUs.
        speed: measured speed.
    """

    out: str
    continued: bool
    num_signals: int
    num_seeds: int
    snapshots: tuple[int, ...]
    num_params: int
    num_blocks: int
    missing_blocks: int
    missing_inrs: int
    block_rows: int
    weight_bytes: int
    store_bytes: int
    disk_bytes: int
    worker_bytes: int
    engine: str
    device: str
    cores: int
    speed: Speed

    @property
    def num_inrs(self) -> int:
        """Number of (signal, seed) pairs of the whole store."""
        return self.num_signals * self.num_seeds

    def seconds(self, nodes: int) -> float:
        """Estimate the time on a number of machines like this one by `FORMULA`."""
        workers = max(1, min(nodes * self.cores, self.missing_blocks))
        reading = self.num_signals * self.speed.signal_seconds if self.missing_blocks else 0.0
        return reading + math.ceil(self.missing_blocks / workers) * self.speed.block_seconds


FORMULA = "time(N) = signals · t_read + ⌈blocks / min(N · cores, blocks)⌉ · t_block"


def plan(request: Request, seconds: float = SECONDS) -> Plan:
    """Count the work of a build and measure the speed of this machine.

    Args:
        request: arguments of the build.
        seconds: duration of the measurement.

    Raises:
        InrzooError: the build would refuse the request.
    """
    signals, inr, settings = resolve(request)
    out, device = request.out, request.device
    rows, steps = len(signals), settings.fit.snapshots
    partition = Partition.of(rows, 4 * len(steps) * inr.layout.num_params)
    missing = [block for _ in range(settings.seeds) for block in range(partition.num_blocks)]
    continued = (out / "zarr.json").exists()
    if continued:
        store = open_store(out)
        require_same(store, replace(request, manifest=settings))
        settings = replace(settings, seeds=max(settings.seeds, store.num_seeds))
        more = (settings.seeds - store.num_seeds) * partition.num_blocks
        missing = [block.index for block in store.blocks() if not store.is_done(block)]
        missing += [index % partition.num_blocks for index in range(more)]
    sizes = [partition.rows(index).stop - partition.rows(index).start for index in missing]
    row_bytes = len(steps) * WeightCodec(settings.weights, inr.layout).row_bytes
    weight_bytes = settings.seeds * _weight_bytes(partition, row_bytes)
    speed = measure(inr, signals, settings, partition.block_rows, device, seconds, request.fitter)
    return Plan(
        out=str(out),
        continued=continued,
        num_signals=rows,
        num_seeds=settings.seeds,
        snapshots=steps,
        num_params=inr.layout.num_params,
        num_blocks=partition.num_blocks * settings.seeds,
        missing_blocks=len(missing),
        missing_inrs=sum(sizes),
        block_rows=partition.block_rows,
        weight_bytes=weight_bytes,
        store_bytes=weight_bytes + _other_bytes(signals, inr, settings, request.fitter),
        disk_bytes=disk_bytes(settings, signals, inr),
        worker_bytes=_worker_bytes(speed, partition, inr, len(steps)),
        engine=settings.fit.engine,
        device=device,
        cores=_cores(device),
        speed=speed,
    )


def measure(
    inr: INR,
    signals: Signals,
    settings: Manifest,
    block_rows: int,
    device: str,
    seconds: float,
    fitter: Fitter | None = None,
) -> Speed:
    """Fit real signals with the real engine on one core, for about `seconds`.

    A block of signals is fitted together, as a worker does, with step counts that double until the fit is complete or
    the time is over. A hypernetwork is timed separately; the time of a step does not depend on the initial weights.
    """
    started, count = time.perf_counter(), min(block_rows, len(signals))
    chosen = np.linspace(0, len(signals) - 1, count).astype(np.int64)
    targets = signal_table(signals, settings, chosen.tolist()).targets()
    signal_seconds = (time.perf_counter() - started) / count
    ids = [signals.ids[index] for index in chosen]
    starts_BP, keys_B = random_draws(inr, settings.name, 0, ids), subset_keys(settings, 0, ids)
    network = 0.0 if fitter is None else _network(fitter, inr, signals.grid, settings, targets, device, seconds / 2)

    def once(steps: int) -> float:
        """Return the seconds of a number of steps, with the last snapshot at their end."""
        views = tuple(view for view in settings.fit.views if view < steps)
        shorter = replace(
            settings.fit,
            steps=steps,
            views=(*views, steps) if settings.fit.views else (),
            schedule="constant",  # the time of a step depends on neither
            warm_up=0,
        )
        begun = time.perf_counter()
        with one_thread():
            fit_to(inr, starts_BP, targets, replace(settings, fit=shorter), signals.grid, device, keys_B=keys_B)
        return time.perf_counter() - begun

    steps = min(1, settings.fit.steps)
    once(steps)  # warm up: compile, grow the heap
    deadline, last = time.perf_counter() + seconds, once(steps)
    before, fitted = (0, 0.0), 2 * count
    while steps < settings.fit.steps and time.perf_counter() + 2 * last < deadline:
        before = (steps, last)
        steps = min(2 * steps, settings.fit.steps)
        last, fitted = once(steps), fitted + count
    whole = steps == settings.fit.steps
    times = [last]
    while whole and time.perf_counter() + last < deadline:
        times.append(once(steps))
        fitted += count
    block_seconds = statistics.median(times)
    if not whole:
        per_step = max((last - before[1]) / (steps - before[0]), 0.0)
        block_seconds = last + (settings.fit.steps - steps) * per_step
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Speed(block_seconds * block_rows / count + network * block_rows, signal_seconds, peak, whole, fitted)


def _network(
    fitter: Fitter,
    inr: INR,
    grid: tuple[int, ...],
    settings: Manifest,
    targets: Targets,
    device: str,
    seconds: float,
) -> float:
    """Return a hypernetwork's seconds per signal, for batches that double until the time is over."""
    deadline, count, last = time.perf_counter() + seconds, 1, 0.0
    while True:
        for _ in range(1 + (count == 1)):  # the first call also loads it
            begun = time.perf_counter()
            with one_thread():
                weights_of(fitter.content, inr, grid, settings, targets.take(count), device)
            last = time.perf_counter() - begun
        if count == len(targets.values_BKC) or time.perf_counter() + 2 * last > deadline:
            return last / count
        count = min(2 * count, len(targets.values_BKC))


def _weight_bytes(partition: Partition, row_bytes: int) -> int:
    """Return the size of one seed's shards: whole chunks, and the index of a full shard after each."""
    per_shard = partition.shard_rows // partition.chunk_rows
    ends = [min((shard + 1) * partition.shard_rows, partition.num_signals) for shard in range(partition.num_shards)]
    chunks = sum(-(-(end - shard * partition.shard_rows) // partition.chunk_rows) for shard, end in enumerate(ends))
    index = partition.num_shards * (SHARD_INDEX_BYTES * per_shard + SHARD_CRC_BYTES)
    return chunks * partition.chunk_rows * row_bytes + index


def _other_bytes(signals: Signals, inr: INR, settings: Manifest, fitter: Fitter | None) -> int:
    """Return the size of columns, ids, statistics and signals without compression, and of the metadata."""
    sizes = {"step": len(settings.fit.snapshots), "axis": inr.in_features}
    row = sum(
        np.dtype(column.dtype).itemsize * math.prod(sizes[axis] for axis in column.axes) for column in COLUMNS.values()
    )
    observation = registry.make("observations", settings.observation)
    row += 4 * sizes["step"] * len(observation.measure_names)
    of_signal = 1 + 8 * (len(signals.labels) + len(signals.numbers)) + 32  # limits, and the range that is no padding
    columns = len(signals) * (settings.seeds * row + of_signal) + sum(4 + len(i) for i in signals.ids)
    statistics_bytes = 3 * 8 * sizes["step"] * (inr.layout.num_params + len(inr.layout.tensors))
    values = signal_bytes(signals) if settings.redistributable else 0
    start = 0 if settings.init.mode == "random" else 4 * settings.seeds * inr.layout.num_params
    start = start if fitter is None else len(fitter.content)
    names = sum(len(name) + 8 for names in signals.label_names.values() for name in names)
    # Roots and arrays take about 60 kB of JSON, twice if consolidated; each file has a line of checksum.
    files = 200 * settings.seeds * (len(COLUMNS) + 1) + 200 * settings.seeds * max(1, len(signals) // 1000)
    return columns + statistics_bytes + values + start + names + files + 64 * 1024


def _worker_bytes(speed: Speed, partition: Partition, inr: INR, num_steps: int) -> int:
    """Return the memory of a worker: that of this process, which fitted a block, and a block of results."""
    return speed.peak_bytes + 4 * partition.block_rows * num_steps * inr.layout.num_params


def _cores(device: str) -> int:
    if device == "cpu":
        return len(os.sched_getaffinity(0))
    import torch

    return torch.cuda.device_count()


def check_nodes(nodes: int) -> int:
    """Return a number of machines unchanged.

    Raises:
        InrzooError: it is below 1.
    """
    if nodes < 1:
        raise InrzooError(f"--nodes {nodes} is not allowed; it must be at least 1")
    return nodes
