"""`build`: manifest → store. Prepares the store, runs the blocks that are missing, publishes, seals.

Everything is a continuation: what is committed stays, what is missing is fitted. The same call after a crash, with more
seeds, or on a finished store does the right thing.
"""

import json
import os
import platform
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from inrzoo import fit, stats
from inrzoo.build import estimate
from inrzoo.build.execute import cannot_write, run_in_process, run_on_ray
from inrzoo.build.inits import read_init
from inrzoo.build.preparation import Request, prepare
from inrzoo.build.progress import BuildProgress
from inrzoo.errors import InrzooError
from inrzoo.manifest import Init, Manifest
from inrzoo.store import Block, Quality, Store, open_store, publish_seed
from inrzoo.store.blocks import digest
from inrzoo.store.files import only_driver

QUICK_SECONDS, OPERATIONS_PER_SECOND = 120, 100e9
"""A build shorter than this runs in this process; what a core does with the fused engine (`inrzoo bench`)."""

__all__ = ["Report", "build", "finish", "plan"]


@dataclass(frozen=True)
class Report:
    """What a run did, and how good the whole store is.

    Attributes:
        path: the store.
        num_inrs: (signal, seed) pairs in the store; `fitted` of them in this run.
        seconds: wall time of this run.
        num_bytes: size of the store on disk.
        psnr_mean, psnr_median, psnr_low: dB over signals and seeds at the last snapshot, diverged INRs left out; `low`
            is the 5 % quantile.
        early_stops, diverged: counts in the store.
        workers: processes that fitted, or threads of this process; `executor` what they ran on.
        engine: what fitted.
    """

    path: str
    num_inrs: int
    fitted: int
    seconds: float
    num_bytes: int
    psnr_mean: float
    psnr_median: float
    psnr_low: float
    early_stops: int
    diverged: int
    workers: int
    executor: str
    engine: str


def build(
    manifest: Manifest,
    out: Path,
    *,
    source: Path | None = None,
    workers: int | None = None,
    in_process: bool = False,
    address: str | None = None,
    device: str = "auto",
    init: Path | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> Report:
    """Build or continue a store.

    Args:
        manifest: what to build.
        out: the store's folder; continued if it is there.
        source: local files to read signals from.
        workers: processes; one per core (or GPU) if None, never more than there are blocks.
        in_process: fit in this process, without Ray; so does a build that takes seconds, unless `workers` is given.
        address: a running Ray cluster to join.
        device: `cpu`, `cuda` or `auto`.
        init: a store with a fixed init, or a .safetensors file with the tensors of the INR's layout: where fits start.
        overwrite: remove a store that stands at `out` first.
        quiet: no progress bar.

    Raises:
        InrzooError: anything the user can put right; finished blocks are safe and the same call continues.
        KeyboardInterrupt: likewise.
    """
    started = time.monotonic()
    if workers is not None and workers < 1:
        raise InrzooError(f"--workers = {workers} is not allowed; it must be at least 1")
    device = _device(device)
    with BuildProgress(quiet) as progress:
        try:
            given = None if init is None else read_init(init)
            if given is not None:
                manifest = replace(manifest, init=Init(mode="file", sha256=digest(given).tobytes().hex()))
            store = prepare(Request(manifest, out, source, given, device, progress.say), overwrite, progress.read)
            with only_driver(out / "_build" / "driver.lock"):
                todo = [block for block in store.blocks() if not store.is_done(block)]
                count = _num_workers(workers, len(todo), device, address, progress)
                quick = workers is None and _is_quick(store, todo)
                local = in_process or (address is None and (count == 1 or quick))
                if local:  # threads, for an engine that has them
                    engine = fit.engine(store.attributes["manifest"]["fit"]["engine"])
                    count = (workers or len(os.sched_getaffinity(0))) if engine.threaded else 1
                _run(store, todo, count, local, address, device, progress)
                finish(out)
        except OSError as error:
            raise cannot_write(out, error) from None
    report = _report(open_store(out), todo, time.monotonic() - started, count, "in process" if local else "ray")
    _write_run_log(out, report)
    return report


def plan(
    manifest: Manifest,
    out: Path,
    *,
    source: Path | None = None,
    device: str = "auto",
    init: Path | None = None,
    overwrite: bool = False,
    seconds: float | None = None,
) -> estimate.Plan:
    """Say what `build` with these arguments would do; see `inrzoo.build.estimate`. Nothing is built."""
    given = None if init is None else read_init(init)
    if given is not None:
        manifest = replace(manifest, init=Init(mode="file", sha256=digest(given).tobytes().hex()))
    if overwrite and out.exists():
        open_store(out)
        out = out.with_name(f".{out.name}.new")  # planned as if nothing stood there
    return estimate.plan(
        manifest,
        out,
        source=source,
        device=_device(device),
        init=given,
        seconds=estimate.SECONDS if seconds is None else seconds,
    )


def finish(path: Path) -> None:
    """Publish what is committed and, once every seed is there, write statistics and seal. Idempotent."""
    store = open_store(path)
    for seed in range(store.num_seeds):
        if seed not in store.attributes["published_seeds"]:
            publish_seed(path, seed)
    stats.run(open_store(path))


def _run(
    store: Store,
    todo: list[Block],
    workers: int,
    local: bool,
    address: str | None,
    device: str,
    progress: BuildProgress,
) -> None:
    waiting = dict.fromkeys(range(store.num_seeds), 0)
    for block in todo:
        waiting[block.seed] += 1
    progress.begin(store, todo)

    def on_done(block: Block, quality: Quality) -> None:
        progress.done(quality)
        waiting[block.seed] -= 1
        if not waiting[block.seed]:
            publish_seed(store.path, block.seed)

    if not todo:
        return
    if local:
        failures = run_in_process(store.path, todo, device, on_done, workers)
    else:
        failures = run_on_ray(store.path, todo, device, on_done, workers=workers, address=address)
    if failures:
        listed = "; ".join(f"seed {block.seed} block {block.index}: {why}" for block, why in failures.items())
        raise InrzooError(f"{len(failures)} of {len(todo)} blocks failed ({listed}); the same command tries them again")


def _is_quick(store: Store, todo: list[Block]) -> bool:
    """Whether fitting here takes less than some times what it takes to start Ray, at a guess."""
    settings = store.attributes["manifest"]["fit"]
    per_step = 6 * store.layout.num_params * len(store.coords())  # forward, and both products of the backward pass
    operations = per_step * settings["steps"] * sum(map(store.num_rows, todo))
    here = QUICK_SECONDS * OPERATIONS_PER_SECOND * len(os.sched_getaffinity(0))
    return fit.engine(settings["engine"]).threaded and operations < here


def _device(device: str) -> str:
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        there = "cpu, cuda" if torch.cuda.is_available() else "cpu (no CUDA device is available)"
        raise InrzooError(f"--device = {device!r} is not allowed; there is: {there}")
    return device


def _num_workers(
    workers: int | None, num_blocks: int, device: str, address: str | None, progress: BuildProgress
) -> int:
    import torch

    here = torch.cuda.device_count() if device == "cuda" else len(os.sched_getaffinity(0))
    wanted = workers if workers is not None else here
    if workers is not None and workers > num_blocks > 0:
        progress.say(f"{workers} workers for {num_blocks} blocks: {num_blocks} will have work")
    if workers is not None and workers > here and address is None:
        progress.say(f"{workers} workers on {here} {'GPUs' if device == 'cuda' else 'cores'}: they will share")
    return max(1, min(wanted, num_blocks))


def _report(store: Store, todo: list[Block], seconds: float, workers: int, executor: str) -> Report:
    names = store.attributes["status_names"]
    good = store.psnr[:, :, -1][store.status != names.index("diverged")]
    mean, median, low = (good.mean(), np.median(good), np.quantile(good, 0.05)) if good.size else (np.nan,) * 3
    return Report(
        path=str(store.path),
        num_inrs=int(store.status.size),
        fitted=sum(map(store.num_rows, todo)),
        seconds=seconds,
        num_bytes=sum(file.stat().st_size for file in store.path.rglob("*") if file.is_file()),
        psnr_mean=float(mean),
        psnr_median=float(median),
        psnr_low=float(low),
        early_stops=int((store.status == names.index("early stop")).sum()),
        diverged=int((store.status == names.index("diverged")).sum()),
        workers=workers,
        executor=executor,
        engine=store.attributes["manifest"]["fit"]["engine"],
    )


def _write_run_log(out: Path, report: Report) -> None:
    """Beside the store, never in it: two builds of the same thing are the same bytes."""
    log = {**asdict(report), "host": platform.node(), "python": platform.python_version(), "finished": time.time()}
    out.with_suffix(".build.json").write_text(json.dumps(log, indent=2) + "\n")
