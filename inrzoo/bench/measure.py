"""Timing: methods in turn, in random order, round after round, so that what disturbs the machine disturbs all alike."""

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from inrzoo.bench import machine
from inrzoo.bench.methods import Method, Run
from inrzoo.bench.workers import Workers
from inrzoo.bench.workloads import Workload
from inrzoo.display import bars_are_hidden

SEED = 0
"""Seed of the order of methods in a round."""
CALLS = 2
"""Calls of a method in a sample, roughly."""
LONGEST_FIT = 1000
"""Steps of one fit; a longer sample fits again from the start."""


@dataclass(frozen=True)
class Samples:
    """The measurements of a method on a workload.

    Attributes:
        rates: INR-steps per second, one for each round it took part in.
        others: cores' worth of CPU time that other processes took meanwhile; None where the kernel does not say.
    """

    workload: Workload
    method: Method
    rates: list[float] = field(default_factory=list)
    others: list[float | None] = field(default_factory=list)

    @property
    def median(self) -> float:
        """INR-steps per second."""
        return statistics.median(self.rates)


def rounds_of(method: Method, rounds: int) -> set[int]:
    """The rounds that a method takes part in: all, or half of them and at least three."""
    count = rounds if method.always else min(rounds, max(3, math.ceil(rounds / 2)))
    return {round(i * rounds / count) for i in range(count)}


def interleaved(
    workload: Workload, methods: Sequence[Method], rounds: int, seconds: float, workers: Workers, bar: "Bar"
) -> list[Samples]:
    """Measure methods on one workload. Preparation, compiling and warm-up are not timed.

    Args:
        seconds: how long a sample lasts at least.
        workers: for methods `per core`.
        bar: advanced once for each preparation and each sample.
    """
    timers = []
    for method in methods:
        bar.say(f"{workload.name} {method.name}: preparing")
        timers.append(_Timer(method, workload, workers, bar.torch_threads))
        timers[-1].calibrate(seconds)
        bar.advance()
    samples = [Samples(workload, method) for method in methods]
    order = random.Random(SEED)
    for number in range(rounds):
        taking_part = [i for i, method in enumerate(methods) if number in rounds_of(method, rounds)]
        for i in order.sample(taking_part, len(taking_part)):
            bar.say(f"{workload.name} {methods[i].name}: round {number + 1} of {rounds}")
            others = machine.OtherProcesses(workers.pids)
            samples[i].rates.append(timers[i].sample(seconds))
            samples[i].others.append(others.cores())
            bar.advance()
    workers.forget()
    return samples


class _Timer:
    """Times one prepared method."""

    def __init__(self, method: Method, workload: Workload, workers: Workers, torch_threads: int) -> None:
        self._threads = torch_threads if method.where == "process" else 1
        self._steps, self._inrs = 1, method.batch
        self._run: Callable[[int], float]
        torch.set_num_threads(self._threads)
        if method.where == "per core":
            workers.prepare(method.name, method.prepare, workload, method.batch)
            self._inrs *= len(workers.pids)
            self._run = lambda calls: workers.run(method.name, calls, self._steps)
        else:
            run = method.prepare(workload, workload.starts(method.batch), workload.signals(method.batch))
            run(1)
            self._run = lambda calls: self._in_process(run, calls)

    def _in_process(self, run: Run, calls: int) -> float:
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        started = time.perf_counter()
        for _ in range(calls):
            run(self._steps)
        return time.perf_counter() - started

    def calibrate(self, seconds: float) -> None:
        """Steps of a call, so that about `CALLS` make a sample: enough of them that set-up does not count, and not so
        many that one call lasts minutes when a busy core holds up torch's threads.
        """
        wanted = seconds / CALLS
        while True:
            took = self._run(1)
            if took >= wanted / 2 or self._steps == LONGEST_FIT:
                break
            faster = min(10.0, wanted / took)
            self._steps = min(LONGEST_FIT, max(self._steps + 1, math.ceil(self._steps * faster)))

    def sample(self, seconds: float) -> float:
        """INR-steps per second over at least `seconds`."""
        calls, took = 0, 0.0
        while took < seconds:
            more = max(1, math.ceil((seconds - took) / (took / calls))) if calls else 1
            took += self._run(more)
            calls += more
        return calls * self._inrs * self._steps / took


class Bar:
    """A progress bar with an ETA on a terminal; nothing where there is none.

    Attributes:
        torch_threads: torch's own number of threads, restored at the end.
    """

    def __init__(self, total: int) -> None:
        self.torch_threads = torch.get_num_threads()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=bars_are_hidden(),
        )
        self._task = self._bar.add_task("measuring", total=total)

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()
        torch.set_num_threads(self.torch_threads)

    def say(self, what: str) -> None:
        """Show what is being done."""
        self._bar.update(self._task, description=what)

    def advance(self) -> None:
        """Count one preparation or sample as done."""
        self._bar.advance(self._task)
