"""Efficiency from one core to all: fits per second and core of a real build, with the CPU engine, on Ray workers.

    python benchmarks/scaling.py [--cores 1,2,4] [--limit 1797] [--rounds 3] [--per-core 2] [--out scaling.md]

Each build is the real command's, in a process of its own that may use so many cores (`sched_setaffinity`), with one
worker a core. Signals per core are the same at every number of cores (weak scaling), so every build takes as long; the
clock runs from the first block that is done to the last one, because starting Ray takes seconds whatever follows.
Numbers of cores take turns, round after round; the median is shown. Run it on a quiet machine: nothing else may run.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from inrzoo import build as builder
from inrzoo import manifest
from inrzoo.build.progress import BuildProgress
from inrzoo.store import Quality

STEPS = 1000


def measure(cores: int, seeds: int, limit: int, out: Path) -> float:
    """INRs per second of one build, in this process and its workers."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    moments: list[tuple[float, int]] = []
    count = BuildProgress.done

    def timed(self: BuildProgress, quality: Quality) -> None:
        moments.append((time.perf_counter(), len(quality.psnr)))
        count(self, quality)

    BuildProgress.done = timed  # type: ignore[method-assign]
    wanted = manifest.load(
        "digits", overrides={"limit": limit, "seeds": seeds, "fit.steps": STEPS, "fit.stop_psnr": None}
    )
    builder.build(wanted, out, workers=cores if cores > 1 else "auto", quiet=True)
    # The first block of each worker began before the clock: it stands for no work that was timed.
    began = moments[cores - 1][0]
    return sum(size for _, size in moments[cores:]) / (moments[-1][0] - began)


def _one(cores: int, seeds: int, limit: int) -> float:
    with tempfile.TemporaryDirectory(prefix="inrzoo-scaling-") as home:
        words = [sys.executable, __file__, "--measure", str(cores), str(seeds), str(limit), f"{home}/x.zarr"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        shutil.rmtree(home, ignore_errors=True)
        Path(home).mkdir()
    return float(done.stdout.strip().splitlines()[-1])


def table(rates: dict[int, Sequence[float]]) -> list[str]:
    """Markdown: INRs/s in all and for each core, and that as a share of one core's."""
    first = statistics.median(rates[min(rates)]) / min(rates)
    lines = ["| cores | INRs/s | INRs/s and core | efficiency | of each round |", "|---|---|---|---|---|"]
    for cores, found in sorted(rates.items()):
        rate = statistics.median(found)
        rounds = ", ".join(f"{one:.1f}" for one in found)
        lines.append(f"| {cores} | {rate:.1f} | {rate / cores:.1f} | {rate / cores / first:.1%} | {rounds} |")
    return lines


def main() -> None:
    """See the top of the file."""
    if sys.argv[1:2] == ["--measure"]:
        cores, seeds, limit = map(int, sys.argv[2:5])
        print(measure(cores, seeds, limit, Path(sys.argv[5])))
        return
    here = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", default=",".join(map(str, [*range(1, here), here])))
    parser.add_argument("--limit", type=int, default=1797, help="signals of one seed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--per-core", type=int, default=2, help="seeds for each core")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rates: dict[int, list[float]] = {int(cores): [] for cores in given.cores.split(",")}
    for number in range(given.rounds):
        for cores in rates:
            rates[cores].append(_one(cores, cores * given.per_core, given.limit))
            print(f"round {number + 1}, {cores} core(s): {rates[cores][-1]:.1f} INRs/s", flush=True)
    lines = table(rates)
    print("\n".join(lines))
    if given.out is not None:
        given.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
