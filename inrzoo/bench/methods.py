"""The ways to fit INRs that are compared: what a user would write instead, and every engine of this package.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, C out_features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from inrzoo.bench import compiled, peer_jax
from inrzoo.bench.plain import Prepare, Run, one_by_one, vmapped
from inrzoo.bench.workloads import Workload
from inrzoo.fit import FitProblem, engines

MANY, FEW = 64, 4
"""INRs of a batch in one process with all threads, and in one process a core: what measured fastest for torch."""


@dataclass(frozen=True)
class Method:
    """One way to fit INRs on this machine.

    Attributes:
        name: as `--method` takes it.
        what: one line for people.
        prepare: see `plain`; sent to worker processes, so a function of a module.
        where: `process` is this one, with torch's own number of threads; `thread` this one with one torch thread;
            `per core` one pinned process on each core, with one thread.
        batch: INRs that are fitted at the same time by a process.
        one_core: whether the method uses one core alone.
        unavailable: why it cannot fit a workload here, in one line; None if it can.
        always: whether it takes part in every round; others do in about every second one.
    """

    name: str
    what: str
    prepare: Prepare
    where: Literal["process", "thread", "per core"]
    batch: int
    one_core: bool = False
    unavailable: Callable[[Workload], str | None] = lambda workload: None
    always: bool = False


def all_methods(cores: int) -> dict[str, Method]:
    """All of them by name, for a machine with so many cores; the yardsticks `naive` and `naive-per-core` first."""
    naive = "nn.Module and torch.optim.Adam, one INR after the other"
    found = [
        Method("naive", f"{naive}; torch's own threads", one_by_one, "process", 1, always=True),
        Method("naive-1-thread", f"{naive}; one thread", one_by_one, "thread", 1, one_core=True, always=True),
        Method("naive-per-core", f"{naive}; a process on each core", one_by_one, "per core", 1, always=True),
        Method("vmap", "torch.func.vmap of the gradient, one fused Adam", vmapped, "process", MANY),
    ]
    spread = "; a process on each core"
    for name, what, prepare, unavailable in (
        ("compile", "torch.compile of a batched step", compiled.compiled, compiled.unavailable),
        ("jax", "JAX: jit of vmap of a loop over steps", peer_jax.jitted, peer_jax.unavailable),
    ):
        found.append(Method(name, what, prepare, "process", MANY, unavailable=unavailable))
        found.append(Method(f"{name}-per-core", what + spread, prepare, "per core", FEW, unavailable=unavailable))
    for name, engine in engines.ENGINES.items():
        if engine.DEVICE != "cuda":
            found += _of_engine(name, cores)
    return {method.name: method for method in found}


def _of_engine(name: str, cores: int) -> list[Method]:
    """An engine on one thread and on all cores: by its own threads, or where it has none by a process on each core."""
    if engines.engine(name).THREADED:
        # Many for each core, as in a dataset, so that none waits long for the last INR of another.
        alone = ("-1-thread", "one thread", 1, "thread", 4, True)
        each = ("", "a thread on each core", cores, "thread", 16 * cores, False)
    else:
        alone = ("-1-thread", "one thread", 1, "thread", 2 * FEW, True)
        each = ("-per-core", "a process on each core", 1, "per core", 2 * FEW, False)
    return [
        Method(
            name + suffix,
            f"the {name} engine; {what}",
            partial(_engine, name, threads),
            where,  # type: ignore[arg-type]
            inrs,
            one_core,
            partial(_engine_unavailable, name),
            always=True,
        )
        for suffix, what, threads, where, inrs, one_core in (alone, each)
    ]


def _engine_unavailable(name: str, workload: Workload) -> str | None:
    return engines.unavailable(name, workload.inr, "cpu")


def _engine(name: str, threads: int, workload: Workload, starts_BP: Tensor, targets_BKC: Tensor) -> Run:
    """An engine of this package."""
    coords_KD = workload.coords()

    def run(steps: int) -> Tensor:
        problem = FitProblem(workload.inr, starts_BP, coords_KD, targets_BKC, lr=workload.lr, snapshots=[steps])
        return engines.engine(name).fit(problem, threads).weights_BTP[:, -1]

    return run
