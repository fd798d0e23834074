"""The methods of fitting that are measured: every engine of this package that runs on processors.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, C out_features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from inrzoo.bench.workloads import Workload
from inrzoo.fit import FitProblem, engines

Run = Callable[[int], Tensor]
"""Fits for a number of steps, always from the same starts, and returns the weights."""
Prepare = Callable[[Workload, Tensor, Tensor], Run]
"""Takes a workload, starts (B, P) and signals (B, K, C), and does once what a user does once: compiling, copying."""

FEW = 4
"""INRs of a batch in one process on each core: the fastest for torch when measured."""


@dataclass(frozen=True)
class Method:
    """One way to fit INRs on this machine.

    Attributes:
        name: as `--method` takes it.
        what: one line for people.
        prepare: a function of a module, which is sent to worker processes.
        where: `process` is this one, with torch's own number of threads; `thread` this one with one torch thread;
            `per core` one pinned process on each core, with one thread.
        batch: INRs that are fitted at the same time by a process.
        one_core: whether the method uses one core alone.
        unavailable: returns why it cannot fit a workload here, in one line; None if it can.
        always: whether it takes part in every round; others do in about every second one.
        baseline: whether the results give the speed of every method as a multiple of this one's.
    """

    name: str
    what: str
    prepare: Prepare
    where: Literal["process", "thread", "per core"]
    batch: int
    one_core: bool = False
    unavailable: Callable[[Workload], str | None] = lambda workload: None
    always: bool = True
    baseline: bool = False


def engine_methods(cores: int) -> list[Method]:
    """Return every engine on one thread and on all cores: by its own threads, or else by a process on each core."""
    methods = []
    for name, engine in engines.ENGINES.items():
        if engine.DEVICE == "cuda":
            continue
        if engine.THREADED:
            # Many for each core, as in a dataset, so that none waits long for the last INR of another.
            alone = ("-1-thread", "one thread", 1, "thread", 4, True)
            each = ("", "a thread on each core", cores, "thread", 16 * cores, False)
        else:
            alone = ("-1-thread", "one thread", 1, "thread", 2 * FEW, True)
            each = ("-per-core", "a process on each core", 1, "per core", 2 * FEW, False)
        methods += [
            Method(
                name + suffix,
                f"the {name} engine; {what}",
                partial(_engine, name, threads),
                where,  # type: ignore[arg-type]
                inrs,
                one_core,
                partial(_unavailable, name),
            )
            for suffix, what, threads, where, inrs, one_core in (alone, each)
        ]
    return methods


def _unavailable(name: str, workload: Workload) -> str | None:
    return engines.unavailable(name, workload.inr, "cpu")


def _engine(name: str, threads: int, workload: Workload, starts_BP: Tensor, targets_BKC: Tensor) -> Run:
    coords_KD = workload.coords()

    def run(steps: int) -> Tensor:
        problem = FitProblem(workload.inr, starts_BP, coords_KD, targets_BKC, lr=workload.lr, snapshots=[steps])
        return engines.engine(name).fit(problem, threads).weights_BTP[:, -1]

    return run
