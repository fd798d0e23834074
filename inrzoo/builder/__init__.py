"""Builds a store from a manifest: prepares it, fits the missing blocks, publishes, computes statistics, seals.

Every build is a continuation: committed blocks stay, missing ones are fitted. The same call also works after a crash,
with more seeds, and on a finished store.
"""

import glob
import json
import logging
import os
import platform
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from inrzoo import fit, stats
from inrzoo.builder import estimate
from inrzoo.builder.base import read_base, recall_base
from inrzoo.builder.cluster import run_on_ray
from inrzoo.builder.execute import Shard, explained, run_in_process
from inrzoo.builder.fitter import Fitter, read_fitter
from inrzoo.builder.inits import read_init
from inrzoo.builder.known import num_new
from inrzoo.builder.more_signals import begin, more_signals
from inrzoo.builder.overwrite import beside, location_of_new, put_in_place, settle_exchange
from inrzoo.builder.preparation import Request, prepare
from inrzoo.builder.progress import BuildProgress
from inrzoo.builder.workers import device_of, is_quick, num_workers, one_worker
from inrzoo.errors import InrzooError
from inrzoo.extras import require
from inrzoo.manifest import Init, Manifest
from inrzoo.store import Block, JoinedShard, Location, Quality, Store, location, only_writer, open_store, publish_seed
from inrzoo.store.blocks import digest
from inrzoo.store.files import file_sizes, write_atomically
from inrzoo.store.finalise import remove_leftovers
from inrzoo.store.replace import settle

LOG = logging.getLogger("inrzoo.builder")

__all__ = ["Report", "Starts", "build", "finish", "plan"]


@dataclass(frozen=True)
class Report:
    """The work of a run and the quality of the whole store.

    Attributes:
        path: the store.
        num_inrs: number of (signal, seed) pairs in the store.
        fitted: number of INRs that this run fitted.
        seconds: wall time of this run.
        preparation_seconds: the part of it before fits began: reading signals, compiling the engine.
        compile_seconds: the part of that which compiled the engine for a new shape of INR; 0 if it was kept.
        num_bytes: size of the store on disk in bytes.
        psnr_mean, psnr_median, psnr_low: PSNR in dB over signals and seeds at the last snapshot, without diverged INRs;
            `low` is the 5 % quantile.
        measures: the observation's measures by name, over the same INRs: `mean`, `median`, `low` and `high`, the 5 and
            95 % quantiles; empty where none is finite.
        early_stops, diverged: numbers of such INRs in the store.
        workers: number of processes, or of threads of this process, that fitted.
        executor: `ray` or `in process`.
        engine: name of the fitting engine.
    """

    path: str
    num_inrs: int
    fitted: int
    seconds: float
    preparation_seconds: float
    compile_seconds: float
    num_bytes: int
    psnr_mean: float
    psnr_median: float
    psnr_low: float
    measures: dict[str, dict[str, float]]
    early_stops: int
    diverged: int
    workers: int
    executor: str
    engine: str


class Starts(TypedDict, total=False):
    """What gives a build its initial weights besides the manifest: see `build`."""

    init: Path | None
    fitter: Path | None
    tto: int
    base: Path | None


def build(
    manifest: Manifest,
    out: str | Location,
    *,
    source: Path | None = None,
    workers: int | Literal["auto"] | None = None,
    per_worker: Mapping[str, float] | None = None,
    in_process: bool = False,
    address: str | None = None,
    device: str = "auto",
    init: Path | None = None,
    fitter: Path | None = None,
    tto: int = 0,
    base: Path | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> Report:
    """Build or continue a store.

    Args:
        manifest: definition of the dataset.
        out: the store, a folder or a URL in a bucket (`s3://BUCKET/NAME.zarr`); an existing one is continued. One in a
            folder, if it is finished, gets the signals that a larger limit, or more files at `source`, add.
        source: local files of the signals.
        workers: number of processes; one per core (or GPU) if None, at most one per block. `auto`, the default on a
            cluster, follows the nodes that join and leave.
        per_worker: resources of a worker: `cpu` cores, `gpu` GPUs or a share of one. One core, or one GPU, if None.
        in_process: whether to fit in this process, without Ray, as a build of seconds does unless `workers` is set.
        address: a running Ray cluster to join: `auto`, `ray://HEAD:10001` or `HEAD:6379`. Its nodes must see `out`.
        device: `cpu`, `cuda` or `auto`.
        init: initial weights: a store with a fixed init, or a .safetensors file with a tensor `init`.
        fitter: a checkpoint of a hypernetwork, the folder of a run, or a store that was built with one. It makes the
            INRs, with the architecture, grid and value range of its training.
        tto: steps of test-time optimisation after `fitter`: Adam on all weights with `manifest.fit.lr`.
        base: a run or checkpoint of `functa`, or a store: its base is shared by all INRs, whose latents are fitted.
        overwrite: whether to replace the store at `out`. The new one is built beside it and replaces it when complete.
        quiet: whether to hide progress.

    Raises:
        InrzooError: an error that the user can fix; finished blocks are safe and the same call continues.
        MissingPackageError: a package of the extra `build` is not installed.
        KeyboardInterrupt: the build was stopped, with the same effect.
    """
    started, out = time.monotonic(), location(out)
    if isinstance(workers, int) and workers < 1:
        raise InrzooError(f"--workers {workers} is not allowed; it must be at least 1")
    require("build", "building a store", "dask", *([] if in_process else ["ray"]))
    device = device_of(device)
    with BuildProgress(quiet) as progress, explained(out), only_writer(out):
        manifest, init_SP, network = _starts(manifest, out, init, fitter, tto, base)
        compiled: list[float] = []
        request = Request(manifest, out, source, init_SP, network, device, progress.say, compiled.append)
        if isinstance(out, Path):  # a bucket has neither renames nor partial files
            settle(out)
            for partial_file in out.parent.glob(f".{glob.escape(out.stem)}.build.json.*.partial"):
                partial_file.unlink()
        grows = False
        if not overwrite and isinstance(out, Path):
            settle_exchange(out)
            request, grows = more_signals(request)
        place = location_of_new(request) if overwrite or grows else out
        store = prepare(replace(request, out=place), progress.read)
        if grows:
            assert isinstance(out, Path)
            begin(store, out)
        todo = [block for block in store.blocks() if not store.is_done(block)]
        fitted = sum(num_new(store, block) for block in todo)
        threads, on_ray = 0, False
        prepared = time.monotonic() - started
        LOG.debug("prepared in %.1f s: %d blocks to fit with %s", prepared, len(todo), store.settings.fit.engine)
        if not store.complete:
            threads, on_ray = _fit(store, todo, device, progress, workers, per_worker, in_process, address)
        LOG.debug("fitted after %.1f s; publishing, statistics and checksums follow", time.monotonic() - started)
        finish(place)
        LOG.debug("sealed after %.1f s", time.monotonic() - started)
        if place != out:
            put_in_place(place, out)
        executor = "ray" if on_ray else "in process"
        times = (time.monotonic() - started, prepared, sum(compiled))
        report = _report(open_store(out), fitted, times, threads, executor)
        _write_run_log(out, report)
    return report


def _fit(
    store: Store,
    todo: list[Block],
    device: str,
    progress: BuildProgress,
    workers: int | Literal["auto"] | None,
    per_worker: Mapping[str, float] | None,
    in_process: bool,
    address: str | None,
) -> tuple[int, bool]:
    """Fit the missing blocks. Return the number of workers or threads, and whether they ran on Ray."""
    count = num_workers(workers, len(todo), device, address, progress)
    quick = workers is None and is_quick(store, todo)
    if in_process or (address is None and (count == 1 or quick)):
        engine = fit.engine(store.settings.fit.engine)
        threads = workers if isinstance(workers, int) else len(os.sched_getaffinity(0))
        threads = threads if engine.THREADED else 1
        _run(store, todo, device, progress, partial(run_in_process, threads=threads))
        return threads, False
    needs = {key.upper(): amount for key, amount in (per_worker or one_worker(device)).items()}
    on_ray = partial(run_on_ray, workers=count, address=address, needs=needs, say=progress.say)
    return _run(store, todo, device, progress, on_ray), True


def plan(
    manifest: Manifest,
    out: str | Location,
    *,
    source: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    seconds: float | None = None,
    **starts: Unpack[Starts],
) -> estimate.Plan:
    """Estimate the work of `build` with these arguments; see `inrzoo.builder.estimate`. Nothing is built."""
    place = location(out)
    manifest, init_SP, network = _starts(manifest, place, **starts)
    if overwrite and (place / "zarr.json").exists():
        open_store(place)
        place = beside(place)  # as if `out` were empty
    request = Request(manifest, place, source, init_SP, network, device_of(device))
    request, grows = (request, False) if overwrite else more_signals(request)
    if not grows:
        return estimate.plan(request, estimate.SECONDS if seconds is None else seconds)
    known = open_store(place)
    planned = estimate.plan(replace(request, out=beside(place)), estimate.SECONDS if seconds is None else seconds)
    missing = planned.num_inrs - known.num_signals * known.num_seeds
    missing_blocks = -(-missing // planned.block_rows)
    return replace(planned, out=str(place), continued=True, missing_inrs=missing, missing_blocks=missing_blocks)


def _starts(
    manifest: Manifest,
    out: Location,
    init: Path | None = None,
    fitter: Path | None = None,
    tto: int = 0,
    base: Path | None = None,
) -> tuple[Manifest, NDArray[np.float32] | None, Fitter | None]:
    """Read `init`, `fitter` and `base`; return the manifest that records them, initial weights, and hypernetwork."""
    if init is not None and fitter is not None:
        raise InrzooError("--init and --fitter both set the initial weights; pass only one of them")
    if base is not None:
        manifest = read_base(base).apply_to(manifest)
    init_SP = None if init is None else read_init(init)
    if init_SP is not None:
        manifest = replace(manifest, init=Init(mode="file", sha256=digest(init_SP).tobytes().hex()))
    network = None if fitter is None else read_fitter(fitter)
    if network is not None:
        chosen, manifest = manifest.inr.get("base"), network.apply_to(manifest, tto)
        if base is not None and manifest.inr.get("base") != chosen:
            raise InrzooError(f"--fitter makes INRs of another base than that of --base {base}; leave out --base")
    elif manifest.init.mode == "hypernet":
        raise InrzooError('init.mode = "hypernet" needs the network: pass --fitter CHECKPOINT')
    recall_base(manifest, out)
    return manifest, init_SP, network


def finish(path: Location) -> None:
    """Publish each seed with all blocks; after the last one, write statistics and seal the store. Idempotent.

    In a complete store only leftovers of its build are removed.
    """
    store = open_store(path)
    if store.complete:
        return remove_leftovers(path)
    unfinished = {block.seed for block in store.blocks() if not store.is_done(block)}
    for seed in sorted({*range(store.num_seeds)} - {*store.info.published_seeds} - unfinished):
        publish_seed(path, seed)
    if not unfinished:
        stats.run(open_store(path))
    return None


def _run(store: Store, todo: list[Block], device: str, progress: BuildProgress, run: Callable[..., Any]) -> int:
    """Fit the missing blocks and publish seeds. Return the number of workers."""
    waiting = Counter(block.seed for block in todo)
    joined: dict[int, dict[int, JoinedShard]] = defaultdict(dict)
    progress.begin(store, todo)

    def on_done(block: Block, quality: Quality) -> list[Shard]:
        """Count a block. After the last one of a seed return its shards, to be joined."""
        progress.done(quality)
        waiting[block.seed] -= 1
        return [] if waiting[block.seed] else [Shard(block.seed, shard) for shard in range(store.partition.num_shards)]

    def on_joined(shard: Shard, done: JoinedShard) -> None:
        joined[shard.seed][shard.index] = done
        if len(joined[shard.seed]) == store.partition.num_shards:
            publish_seed(store.path, shard.seed, joined.pop(shard.seed))

    failures, workers = run(store.path, todo, device, on_done, on_joined) if todo else ({}, 0)
    if failures:
        listed = "; ".join(f"seed {task.seed} {_kind(task)} {task.index}: {why}" for task, why in failures.items())
        raise InrzooError(f"{len(failures)} of {len(todo)} blocks failed ({listed}); the same command tries them again")
    return int(workers)


def _kind(task: Block | Shard) -> str:
    return type(task).__name__.lower()


def _report(store: Store, fitted: int, times: tuple[float, float, float], workers: int, executor: str) -> Report:
    early_stop, diverged = store.info.status_codes("early stop", "diverged")
    good = store.psnr[:, :, -1][store.status != diverged]
    mean, median, low = (good.mean(), np.median(good), np.quantile(good, 0.05)) if good.size else (np.nan,) * 3
    return Report(
        path=str(store.path),
        num_inrs=int(store.status.size),
        fitted=fitted,
        seconds=times[0],
        preparation_seconds=times[1],
        compile_seconds=times[2],
        num_bytes=sum(file_sizes(store.path).values()),
        psnr_mean=float(mean),
        psnr_median=float(median),
        psnr_low=float(low),
        measures={
            name: _summary(values[:, :, -1][store.status != diverged]) for name, values in store.measures.items()
        },
        early_stops=int((store.status == early_stop).sum()),
        diverged=int((store.status == diverged).sum()),
        workers=workers,
        executor=executor,
        engine=store.settings.fit.engine,
    )


def _summary(values: NDArray[np.float32]) -> dict[str, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return {}
    low, median, high = np.quantile(finite, (0.05, 0.5, 0.95))
    return {"mean": float(finite.mean()), "median": float(median), "low": float(low), "high": float(high)}


def _write_run_log(out: Location, report: Report) -> None:
    """Write the log beside the store, whose bytes must not depend on the run. A run without fits keeps the old log."""
    if not report.fitted and out.with_suffix(".build.json").exists():
        return
    log = {**asdict(report), "host": platform.node(), "python": platform.python_version(), "finished": time.time()}
    write_atomically(out.with_suffix(".build.json"), (json.dumps(log, indent=2) + "\n").encode())
