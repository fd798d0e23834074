"""The share of its engine's rate that a whole build keeps, and what early stopping saves: real Omniglot, end to end.

Command:  python benchmarks/build_speed.py [OMNIGLOT FOLDER]     Duration: about two minutes on four cores.
Needs:    the archives images_background*.zip in the folder, by default $INRZOO_DATA/omniglot; a C++ compiler.
Compares, in one run: the fused engine alone on the signals of a store, a thread on each core; `inrzoo build` of the
same fits, start-up, reading, spectra, writing, joining, statistics and sealing included; the same with the 40 dB stop
of the presets. Rates are in INR-steps per second, those of builds over their wall time.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import torch

from inrzoo import manifest, open_store
from inrzoo.builder import build
from inrzoo.builder.worker import one_thread, starts
from inrzoo.fit import FitProblem, fused_cpu

CASES = [("low", 4840, {}), ("low", 4840, {"fit.lr": 2e-3}), ("high", 480, {})]
"""Preset, signals, and what is changed in it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("INRZOO_DATA", "../shared/data")) / "omniglot"
    parser.add_argument("folder", type=Path, nargs="?", default=default, help="of Omniglot's archives")
    parser.add_argument("--signals", type=int, default=4840, help="at most this many signals a build")
    parser.add_argument("--steps", type=int, default=1000, help="steps of a fit")
    options = parser.parse_args()
    data = options.folder
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, {torch.backends.cpu.get_cpu_capability()}, {sum(os.getloadavg()[:1]):.2f} load before")
    for preset, most, changes in CASES:
        limit = min(most, options.signals)
        with tempfile.TemporaryDirectory() as folder:
            wanted = {"limit": limit, "fit.steps": options.steps, **changes}
            full = manifest.load("omniglot", preset, {**wanted, "fit.stop_psnr": None})
            stopping = manifest.load("omniglot", preset, wanted)
            begun = build(full, Path(folder) / "full.zarr", source=data, quiet=True)
            store = open_store(begun.path)
            stopped = build(stopping, Path(folder) / "stopped.zarr", source=data, quiet=True)
            rows = slice(0, min(limit, 64 * cores))
            coords, targets = torch.from_numpy(store.coords()), torch.from_numpy(store.targets(rows).values_BKC)
            weights = torch.from_numpy(starts(store, rows, 0))
            problem = FitProblem(store.inr, weights, coords, targets, lr=full.fit.lr, snapshots=full.fit.snapshots)
            with one_thread():
                began = time.perf_counter()
                fused_cpu.fit(problem, threads=cores)
                alone = len(weights) * full.fit.steps / (time.perf_counter() - began)
            whole = store.steps.sum() / begun.seconds
            steps = open_store(stopped.path).steps
            name = " ".join([preset, *(f"{key}={value}" for key, value in changes.items())])
            print(f"\nomniglot {name}: {limit} signals, {full.fit.steps} steps, {begun.workers} {begun.executor}")
            print(f"  engine alone             {alone:10,.0f} INR-steps/s")
            print(f"  whole build, no stop     {whole:10,.0f} INR-steps/s  {whole / alone:.0%}   {begun.seconds:.1f} s")
            rate, saved = steps.sum() / stopped.seconds, begun.seconds / stopped.seconds
            print(
                f"  whole build, 40 dB stop  {rate:10,.0f} INR-steps/s   {stopped.seconds:.1f} s, {saved:.2f}x as fast"
            )
            means = f"{steps.mean():.0f} steps on average, {stopped.psnr_mean:.1f} instead of {begun.psnr_mean:.1f} dB"
            print(f"                           {means}")


if __name__ == "__main__":
    main()
