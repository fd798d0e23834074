"""Efficiency from one core to all: fits per second and core of a real build, with the CPU engine, on Ray workers.

Command:  python benchmarks/scaling.py [--cores 1,2,4] [--limit 1797] [--rounds 3] [--per-core 2]
                                 [--executor ray|threads] [--out scaling.md]
Needs:    Linux and a C++ compiler.

Each build is the real command's, in a process of its own that may use so many cores (`sched_setaffinity`), with one
worker a core. Signals per core are the same at every number of cores (weak scaling), so every build takes as long. The
clock runs from the first block that a worker is done with to the end of the last one of all, because starting Ray takes
seconds whatever follows.
Beside it stands what as many one-core builds give that run side by side and know nothing of each other: the loss that
the hardware makes (shared memory and clock). Numbers of cores take turns, round after round; the median is shown. Run
it on a quiet machine: nothing else may run.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inrzoo import builder, manifest
from inrzoo.builder.cluster import Pool
from inrzoo.builder.progress import BuildProgress
from inrzoo.builder.queue import Task
from inrzoo.store import Block, Quality, open_store

STEPS = 1000


def measure(first: int, cores: int, seeds: int, limit: int, executor: str, out: Path) -> float:
    """INRs per second of one build, in this process and its workers, on so many cores from the `first` one on."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[first : first + cores])
    handed_out: dict[Any, list[tuple[float, int]]] = defaultdict(list)  # by worker: when, and how many INRs
    ended: list[tuple[float, int]] = []
    count, submit = BuildProgress.done, Pool.submit

    def done(self: BuildProgress, quality: Quality) -> None:
        ended.append((time.perf_counter(), len(quality.psnr)))
        count(self, quality)

    def given(self: Pool, actor: Any, tasks: list[Task], again: bool) -> None:
        inrs = sum(open_store(out).num_rows(task) for task in tasks if isinstance(task, Block))
        handed_out[actor].append((time.perf_counter(), inrs))
        submit(self, actor, tasks, again)

    BuildProgress.done, Pool.submit = done, given
    wanted = manifest.load(
        "digits", overrides={"limit": limit, "seeds": seeds, "fit.steps": STEPS, "fit.stop_psnr": None}
    )
    builder.build(wanted, out, workers=cores, in_process=executor == "threads", quiet=True)
    end = ended[-1][0]
    if not handed_out:  # in process
        return sum(inrs for _, inrs in ended[1:]) / (end - ended[0][0])
    # A worker's clock runs from its first return: then it has nothing half-done. All of them run until the build ends.
    after = [times[1:] for times in handed_out.values() if len(times) > 1]
    return sum(sum(inrs for _, inrs in times) / (end - times[0][0]) for times in after)


def _together(builds: int, cores: int, seeds: int, limit: int, executor: str) -> float:
    """INRs per second of so many builds at once, each on so many cores of its own."""
    words = [sys.executable, __file__, "--measure"]
    with tempfile.TemporaryDirectory(prefix="inrzoo-scaling-") as home:
        running = [
            subprocess.Popen(
                [*words, *map(str, (number * cores, cores, seeds, limit, executor, f"{home}/{number}.zarr"))],
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(builds)
        ]
        return sum(float(build.communicate()[0].strip().splitlines()[-1]) for build in running)


def table(rates: Mapping[int, Sequence[float]], apart: Mapping[int, Sequence[float]]) -> list[str]:
    """Markdown: INRs/s in all and for each core, and that as a share of one core's."""
    first = statistics.median(rates[min(rates)]) / min(rates)
    lines = [
        "| cores | INRs/s | INRs/s and core | efficiency | one-core builds side by side | of each round |",
        "|---|---|---|---|---|---|",
    ]
    for cores, found in sorted(rates.items()):
        rate, side = statistics.median(found), statistics.median(apart[cores])
        rounds = ", ".join(f"{one:.0f}" for one in found)
        share = f"{rate:.1f} | {rate / cores:.1f} | {rate / cores / first:.1%}"
        lines.append(f"| {cores} | {share} | {side:.1f}, {side / cores / first:.1%} | {rounds} |")
    return lines


def main() -> None:
    """See the top of the file."""
    if sys.argv[1:2] == ["--measure"]:
        first, cores, seeds, limit = map(int, sys.argv[2:6])
        print(measure(first, cores, seeds, limit, sys.argv[6], Path(sys.argv[7])))
        return
    here = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", default=",".join(map(str, [*range(1, here), here])))
    parser.add_argument("--limit", type=int, default=1797, help="signals of one seed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--per-core", type=int, default=2, help="seeds for each core")
    parser.add_argument(
        "--executor", choices=("ray", "threads"), default="ray", help="a worker or a thread for each core"
    )
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rates: dict[int, list[float]] = {int(cores): [] for cores in given.cores.split(",")}
    apart: dict[int, list[float]] = {cores: [] for cores in rates}
    for number in range(given.rounds):
        for cores in rates:
            rates[cores].append(_together(1, cores, cores * given.per_core, given.limit, given.executor))
            apart[cores].append(
                _together(cores, 1, given.per_core, given.limit, given.executor) if cores > 1 else rates[cores][-1]
            )
            both = f"{rates[cores][-1]:.1f} INRs/s, side by side {apart[cores][-1]:.1f}"
            print(f"round {number + 1}, {cores} core(s): {both}", flush=True)
    lines = table(rates, apart)
    print("\n".join(lines))
    if given.out is not None:
        given.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
