"""The speed of every engine on this machine, and the hardware's limit.

Everything is measured in one run. `fraction_of_limit` refers to as many cores as the method uses.
`benchmarks/fitting.py` measures what a user would write instead in the same run.
"""

import os
import time
from collections.abc import Sequence
from datetime import date
from typing import Any

from inrzoo.bench import limits, machine
from inrzoo.bench.measure import Bar, Samples, interleaved, rounds_of
from inrzoo.bench.methods import Method, engine_methods
from inrzoo.bench.results import as_text, check_path, row, write
from inrzoo.bench.workers import Workers
from inrzoo.bench.workloads import WORKLOADS, Workload
from inrzoo.errors import InrzooError
from inrzoo.nearest import among

__all__ = ["ROUNDS", "SECONDS", "WORKLOADS", "as_text", "check_path", "run", "write"]

ROUNDS, SECONDS = 7, 0.5


def run(
    workloads: Sequence[str] = (),
    methods: Sequence[str] = (),
    *,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    peers: Sequence[Method] = (),
) -> dict[str, Any]:
    """Measure methods on workloads.

    Args:
        workloads: names in `WORKLOADS`; all by default.
        methods: names of engine methods or of peers; by default all that work here.
        rounds: samples of each method; methods that are not `always` take part in half of them, at least three.
        seconds: how long a sample lasts at least.
        peers: methods that are measured beside those of the engines.

    Returns:
        Plain data: `machine`, `limits` (peaks in operations/s), `workloads` (FLOPs, sincos pairs and limits of each),
        `settings`, `rows` (see `results.row`), `not_measured` (workload and method -> why), `notes` and `warnings`.

    Raises:
        InrzooError: a name that does not exist, a wanted method that does not work here, or no round or time.
    """
    cores = machine.cores()
    available = {method.name: method for method in [*peers, *engine_methods(len(cores))]}
    chosen = [WORKLOADS[name] for name in _known("workload", workloads, list(WORKLOADS))]
    wanted = [available[name] for name in _known("method", methods, list(available))]
    for name, number in (("rounds", rounds), ("seconds", seconds)):
        if not 0 < number < float("inf"):
            raise InrzooError(f"--{name} {number} is not allowed; it must be above 0")
    plan: list[tuple[Workload, list[Method]]] = []
    not_measured: dict[str, str] = {}
    for workload in chosen:
        reasons = {method.name: method.unavailable(workload) for method in wanted}
        not_measured |= {f"{workload.name} {name}": reason for name, reason in reasons.items() if reason}
        plan.append((workload, [method for method in wanted if not reasons[method.name]]))
    if methods and not_measured:
        name, reason = next(iter(not_measured.items()))
        raise InrzooError(f"cannot measure {name}: {reason}")
    pooled = [method.name for method in wanted if method.where == "process"]
    described, began = machine.describe(), time.monotonic()
    peaks, disturbed, samples = _measure(plan, rounds, seconds, cores)
    rows = [row(one, samples, peaks, len(cores)) for one in samples]
    return {
        "date": date.today().isoformat(),
        "machine": described,
        "settings": {"rounds": rounds, "seconds": seconds, "duration_s": round(time.monotonic() - began, 1)},
        "limits": {
            "flops": peaks.flops,
            "sincos": peaks.sincos,
            "highest": peaks.highest,
            "others_cores": disturbed,
        },
        "workloads": {workload.name: _of_workload(workload, peaks, len(cores)) for workload in chosen},
        "rows": rows,
        "not_measured": not_measured,
        "notes": [],
        "warnings": _warnings(rows, peaks, disturbed, described, pooled),
    }


def _measure(
    plan: list[tuple[Workload, list[Method]]], rounds: int, seconds: float, cores: list[int]
) -> tuple[limits.Limits, float | None, list[Samples]]:
    """Return the peaks, the CPU that others used in the quieter of their two measurements, and the samples."""
    # numpy's and scipy's own threads spin beside what is measured.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    total = 2 * limits.count_of_peaks(len(cores))
    total += sum(1 + len(rounds_of(method, rounds)) for _, some in plan for method in some)
    samples: list[Samples] = []
    with Bar(total) as bar, Workers(cores) as workers:
        bar.say("limits of the processor")
        others = machine.OtherProcesses(workers.pids)
        peaks = limits.measure(len(cores), min(0.3, seconds), bar.advance)
        before = others.cores()
        for workload, some in plan:
            samples += interleaved(workload, some, rounds, seconds, workers, bar)
        bar.say("limits of the processor, again")
        others = machine.OtherProcesses(workers.pids)
        peaks = limits.best(peaks, limits.measure(len(cores), min(0.3, seconds), bar.advance))
        after = others.cores()
    return peaks, None if before is None or after is None else min(before, after), samples


def _known(kind: str, given: Sequence[str], existing: list[str]) -> list[str]:
    for name in given:
        if name not in existing:
            raise InrzooError(f"no {kind} called {name!r}{among(name, existing)}")
    return [name for name in existing if name in given or not given]


def _of_workload(workload: Workload, peaks: limits.Limits, cores: int) -> dict[str, Any]:
    return {
        "title": workload.title,
        "num_params": workload.inr.layout.num_params,
        "flops": workload.flops,
        "sincos": workload.sincos,
        "limit": peaks.inr_steps_per_s(workload, cores),
    }


def _warnings(
    rows: list[dict[str, Any]],
    peaks: limits.Limits,
    others: float | None,
    described: dict[str, Any],
    pooled: Sequence[str],
) -> list[str]:
    said = []
    if (others or 0) > OTHERS:
        said.append(f"other processes used {others:.2f} core(s) while the limits were measured: these are too low")
    disturbed = [row for row in rows if (row["others_cores"] or 0) > OTHERS]
    if disturbed:
        most = max(disturbed, key=lambda row: row["others_cores"])
        said.append(
            f"other processes used more than {OTHERS} core(s) in {len(disturbed)} of {len(rows)} rows, most of all "
            f"{most['others_cores']:.2f} during {most['workload']} {most['method']}: measure again on a quiet machine"
            + ("; torch's threads then wait for one another, and ratios to such methods are too high" if pooled else "")
        )
    if "256-bit" not in peaks.flops:
        said.append(
            "no C++ compiler or no AVX2: the limit is that of sgemm and of torch's sine and cosine, which is low"
        )
    if pooled and described["torch_threads"] < described["cores"]:
        said.append(
            f"torch's own number of threads is {described['torch_threads']} on {described['cores']} cores "
            f"(OMP_NUM_THREADS?): {', '.join(pooled)} use no more"
        )
    return said


OTHERS = 0.1
"""Cores; a row during which others used more, in the median of its samples, is warned of."""
