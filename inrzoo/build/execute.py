"""Runs blocks until none is left: in this process, or on Ray actors, one per core or GPU. The only room with ray.

An executor knows blocks and workers, nothing else. Blocks are idempotent (same seed, same signals, same file), so
running one twice after a crash is harmless.
"""

import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

from inrzoo.build.worker import fit_block
from inrzoo.errors import InrzooError
from inrzoo.fit.interrupt import call_off, interruptible
from inrzoo.store import Block, Quality, Store, open_store, write_block

OnDone = Callable[[Block, Quality], None]
ATTEMPTS = 3
OBJECT_STORE_BYTES = 100 * 2**20  # results are small; Ray's minimum is 75 MiB


class Worker:
    """Fits blocks of one store and writes them itself; only their quality travels."""

    def __init__(self, path: str, device: str, threads: int = 1) -> None:
        self._store: Store = open_store(path)
        self._device, self._threads = device, threads

    def run(self, block: Block) -> Quality:
        """Fit, write and commit one block."""
        weights_BTP, quality = fit_block(self._store, block, self._device, threads=self._threads)
        try:
            write_block(self._store.path, block, weights_BTP, quality)
        except OSError as error:
            raise cannot_write(self._store.path, error) from None
        return quality


def cannot_write(path: Path, error: OSError) -> InrzooError:
    """The line for a disk that takes no more."""
    reason = "the disk is full" if error.errno == errno.ENOSPC else os.strerror(error.errno or 0)
    return InrzooError(f"cannot write to {path}: {reason}; finished blocks are safe, the same command continues")


def run_in_process(path: Path, todo: list[Block], device: str, on_done: OnDone, threads: int) -> dict[Block, str]:
    """Fit blocks in this process. Returns failures: none, an error here is raised.

    Args:
        threads: INRs of a block at the same time, for engines whose bits do not depend on it. Then two blocks are in
            hand: while one is written and its spectra taken, the other has the cores.
    """
    mine = threading.local()

    def begin() -> None:
        torch.set_num_threads(1)  # counted for each thread apart
        mine.worker = Worker(str(path), device, threads)

    with interruptible(), ThreadPoolExecutor(min(threads, 2), initializer=begin) as pool:
        running = {pool.submit(lambda block: mine.worker.run(block), block): block for block in todo}
        try:
            for done in as_completed(running):
                on_done(running[done], done.result())
        except BaseException:
            call_off()
            pool.shutdown(cancel_futures=True)
            raise
    return {}


def run_on_ray(
    path: Path, todo: list[Block], device: str, on_done: OnDone, *, workers: int, address: str | None
) -> dict[Block, str]:
    """Fit blocks on Ray actors. A worker that dies is replaced and its block tried again.

    Each actor holds one block at a time (the queue stays here: back-pressure), writes it to the store by itself and
    sends its quality back.

    Returns:
        Blocks given up after `ATTEMPTS` attempts, with the reason.

    Raises:
        InrzooError: a worker could not write, or the cluster cannot be reached.
    """
    import ray
    from ray.exceptions import RayActorError, RayTaskError

    _connect(ray, workers, device, address)
    resources = {"num_gpus": 1} if device != "cpu" else {"num_cpus": 1}
    remote = ray.remote(**resources, max_restarts=0)(Worker)
    queue, attempts, failures = list(reversed(todo)), dict.fromkeys(todo, 0), {}
    running: dict[Any, tuple[Any, Block]] = {}

    def start(actor: Any) -> None:
        if queue:
            block = queue.pop()
            attempts[block] += 1
            running[actor.run.remote(block)] = (actor, block)

    try:
        for _ in range(workers):
            start(remote.remote(str(path), device))
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            actor, block = running.pop(done)
            try:
                on_done(block, ray.get(done))
            except RayTaskError as error:
                if isinstance(error.cause, InrzooError):
                    raise InrzooError(str(error.cause)) from None
                failures[block] = f"{type(error.cause).__name__}: {error.cause}"
            except RayActorError:
                actor = remote.remote(str(path), device)
                if attempts[block] < ATTEMPTS:
                    queue.append(block)
                else:
                    failures[block] = f"the worker died {ATTEMPTS} times"
            start(actor)
    finally:
        ray.shutdown()
    return failures


def _connect(ray: Any, workers: int, device: str, address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the coming default; silences a warning
    common = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        gpus = {} if device == "cpu" else {"num_gpus": workers}
        ray.init(num_cpus=workers, **gpus, include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES, **common)
        return
    try:
        ray.init(address=address, **common)
    except (ConnectionError, ValueError) as error:
        raise InrzooError(f"cannot join a Ray cluster at {address!r}: {error}") from None
