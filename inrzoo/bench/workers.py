"""One process on each core, started before anything is timed."""

import contextlib
import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import torch

from inrzoo.bench.methods import Prepare, Run
from inrzoo.bench.workloads import Workload


class Workers:
    """Processes that stay, each pinned to a core of its own and with one thread.

    Example:
        with Workers([0, 1]) as workers:
            workers.prepare(method.name, method.prepare, WORKLOADS["W1"], batch=1)
            seconds = workers.run(method.name, calls=1, steps=100)
    """

    def __init__(self, cores: list[int]) -> None:
        self._cores = cores
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for pipe in self._pipes:
            pipe.close()  # a worker that waits for work ends by itself
        for process in self._processes:
            process.join(2)
            if process.is_alive():
                process.kill()
                process.join()

    @property
    def pids(self) -> list[int]:
        """Process numbers; none before the first `prepare`."""
        return [process.pid for process in self._processes]

    def prepare(self, key: str, prepare: Prepare, workload: Workload, batch: int) -> None:
        """Let every process prepare `batch` INRs of its own under a name, the first process before the others, so that
        they find in caches what it compiled.
        """
        self._start()
        for first, pipe in enumerate(self._pipes):
            pipe.send((_prepare, (key, prepare, workload, batch, first * batch)))
            if first == 0:
                self._answer(pipe)
        for pipe in self._pipes[1:]:
            self._answer(pipe)

    def run(self, key: str, calls: int, steps: int) -> float:
        """Let every process fit its INRs `calls` times; seconds from the word to the last answer."""
        started = time.perf_counter()
        for pipe in self._pipes:
            pipe.send((_run, (key, calls, steps)))
        for pipe in self._pipes:
            self._answer(pipe)
        return time.perf_counter() - started

    def forget(self) -> None:
        """Drop what was prepared."""
        for pipe in self._pipes:
            pipe.send((_forget, ()))
            self._answer(pipe)

    def _start(self) -> None:
        if self._processes:
            return
        context = multiprocessing.get_context("spawn")
        for core in self._cores:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, core), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def _answer(self, pipe: Connection) -> None:
        try:
            error = pipe.recv()
        except EOFError:
            error = "it ended"
        if error is not None:
            raise RuntimeError(f"a worker of the benchmark failed: {error}")


_runs: dict[str, Run] = {}
"""The prepared methods of a worker process."""


def _serve(pipe: Connection, core: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    os.sched_setaffinity(0, {core})
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no pool of compiling processes beside us
    torch.set_num_threads(1)
    with contextlib.suppress(EOFError, BrokenPipeError):  # the parent has closed its end: done, or interrupted
        while True:
            work, arguments = pipe.recv()
            said = None
            try:
                work(*arguments)
            except Exception as error:  # everything has to reach the parent
                said = f"{type(error).__name__}: {error}"
            pipe.send(said)


def _prepare(key: str, prepare: Prepare, workload: Workload, batch: int, first: int) -> None:
    _runs[key] = prepare(workload, workload.starts(batch, first), workload.signals(batch, first))
    _runs[key](1)


def _run(key: str, calls: int, steps: int) -> None:
    for _ in range(calls):
        _runs[key](steps)


def _forget() -> None:
    _runs.clear()
