"""How fast INRs are read for training: inrzoo beside what people use instead, in one run on one store.

Command:  python benchmarks/loading.py FOLDER [signals]    Duration: ten minutes for 200,000 signals.
Needs:    about 4 × 4.8 kB of disk a signal, and room for 20,000 small files; h5py and litdata are compared with if they
          are installed.
FOLDER keeps what is made for the next run. Page cache warm; each row in a process of its own, three rounds in turn,
medians.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

from loading_rows import BATCH, PARAMS, ROWS, SEQUENTIAL, SHUFFLED, Row, prepare

ROUNDS, SIGNALS = 3, 200_000
BARS = {"pth": 50, "hdf5": 10, "parquet": 10, "litdata": 3}
"""Shuffled batches: how many times as fast as this row inrzoo is to be."""
MEMMAP_SHARE = 0.6
"""Sequential reads: the share of np.memmap's rate that is to be reached."""


def measure(row: Row, order: str, folder: Path) -> dict[str, Any]:
    """One pass in a fresh process: INRs per second, and MB resident at the end of each quarter."""
    command = [sys.executable, str(Path(__file__).with_name("loading_rows.py")), row.name, order, folder]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{row.name} {order}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def machine() -> str:
    model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return f"{model.split(':')[1].strip()}, {len(os.sched_getaffinity(0))} of {os.cpu_count()} cores"


def table(results: dict[tuple[str, str], list[dict[str, Any]]], signals: int) -> list[str]:
    rates = {key: statistics.median(one["rate"] for one in rounds) for key, rounds in results.items()}
    lines = [
        "| order | what | INRs/s | inrzoo is × as fast | rounds | INRs read | peak MB, quarters of the pass |",
        "|---|---|---|---|---|---|---|",
    ]
    for (name, order), rounds in results.items():
        row = next(row for row in ROWS if row.name == name)
        each = [one["rate"] for one in rounds]
        quarters = " / ".join(f"{max(one['quarters'][i] for one in rounds):.0f}" for i in range(4))
        ratio = rates["inrzoo", order] / rates[name, order]
        spread = f"{min(each) / rates[name, order]:.2f} to {max(each) / rates[name, order]:.2f}"
        lines.append(
            f"| {order} | {row.title} | {rates[name, order]:,.0f} | {ratio:.2f} | {spread} "
            f"| {rounds[0]['count']:,.0f} | {quarters} |"
        )
    lines += ["", "| bar | wanted | reached |", "|---|---|---|"]
    for name, wanted in BARS.items():
        if (name, SHUFFLED) in rates:
            reached = rates["inrzoo", SHUFFLED] / rates[name, SHUFFLED]
            lines.append(f"| shuffled, times {name} | {wanted} | {reached:.1f} |")
    share = rates["inrzoo", SEQUENTIAL] / rates["memmap", SEQUENTIAL]
    lines.append(f"| sequential, share of np.memmap | {MEMMAP_SHARE:.0%} | {share:.0%} |")
    for order in (SEQUENTIAL, SHUFFLED):
        quarters = [value for one in results["inrzoo", order] for value in one["quarters"]]
        lines.append(
            f"| peak memory over an epoch, {order} | ±10 % | ±{50 * (max(quarters) / min(quarters) - 1):.1f} % |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="keeps what is made for the next run")
    parser.add_argument(
        "signals", type=int, nargs="?", default=SIGNALS, help=f"INRs of the store (default {SIGNALS:,})"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder of the page")
    options = parser.parse_args()
    folder, signals, num_rounds = options.folder, options.signals, options.rounds
    prepare(folder, signals)
    rows = [row for row in ROWS if row.available()]
    results: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for turn in range(num_rounds):
        for order in (SEQUENTIAL, SHUFFLED):
            for row in rows:
                result = measure(row, order, folder)
                results.setdefault((row.name, order), []).append(result)
                print(f"round {turn + 1}  {order:10} {row.name:14} {result['rate']:12,.0f} INRs/s", flush=True)
    results = dict(sorted(results.items(), key=lambda item: (item[0][1], [row.name for row in rows].index(item[0][0]))))
    text = "\n".join(
        [
            "# Loading",
            "",
            f"{signals:,} INRs of {PARAMS:,} parameters (random weights, one seed, one snapshot), batches of {BATCH}, "
            f"one process, page cache warm. {machine()}, {date.today()}. "
            f"`python benchmarks/loading.py FOLDER {signals}`; load average at the end {os.getloadavg()[0]:.1f}. "
            f"Medians of {num_rounds} rounds in turn, each row in a "
            "process of its own, opening not counted; batches arrive as float32 tensors. Formats that are slow to make "
            "or to read hold, or give, fewer INRs, as stated. Peak MB is resident memory, mapped files included.",
            "",
            *table(results, signals),
            "",
        ]
    )
    print(text)
    name = f"loading_{platform.machine()}-{os.cpu_count()}cores_{date.today()}.md"
    (options.out / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
