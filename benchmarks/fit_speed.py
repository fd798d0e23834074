"""How fast INRs are fitted here: our engine beside what a user would pick instead, in one run.

Command:  python benchmarks/fit_speed.py [INRs] [steps]     Duration: about three minutes.
Compares, on 32×32 images and a 2/32/32/1 SIREN, in INR-steps per second:
  one by one        a plain nn.Module and torch.optim.Adam, one INR after the other, as most published sets were fitted
  one by one, procs the same, one process per core with one thread each
  vmap              torch.func.vmap over functional calls, one batch, all threads
  reference engine  batched autograd, one process
  fused engine      one native call an INR, on one core and on all
  inrzoo build      the whole thing: `inrzoo build`, one Ray worker per core, start-up and store included
Methods are timed in turn, three rounds, and the median is shown.
"""

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import nn

from inrzoo import manifest
from inrzoo.build import build
from inrzoo.coords import grid
from inrzoo.fit import fit, fused_cpu
from inrzoo.inrs.siren import Siren
from inrzoo.seeding import Stream

SIDE, LR, ROUNDS = 32, 5e-4, 3
INR = Siren(in_features=2, out_features=1, hidden_features=32, hidden_layers=1)


class Sine(nn.Module):
    """sin(30 x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(30 * x)


def signals(count: int) -> torch.Tensor:
    """Smooth random images in [-1, 1], made here."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 1, 8, 8, generator=generator) * 2 - 1
    return nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic").clamp(-1, 1).reshape(count, -1, 1)


def one_by_one(targets: torch.Tensor, steps: int) -> None:
    coords = torch.from_numpy(grid((SIDE, SIDE)))
    for target in targets:
        model = nn.Sequential(nn.Linear(2, 32), Sine(), nn.Linear(32, 32), Sine(), nn.Linear(32, 1))
        adam = torch.optim.Adam(model.parameters(), lr=LR)
        for _ in range(steps):
            adam.zero_grad()
            (model(coords) - target).square().mean().backward()
            adam.step()


def one_by_one_process(targets: np.ndarray, steps: int) -> None:
    torch.set_num_threads(1)
    one_by_one(torch.from_numpy(targets), steps)


def vmapped(targets: torch.Tensor, steps: int) -> None:
    coords, weights = torch.from_numpy(grid((SIDE, SIDE))), starts(len(targets))

    def loss(weights_P: torch.Tensor, target_KC: torch.Tensor) -> torch.Tensor:
        tensors = INR.layout.split(weights_P)
        hidden = torch.sin(30 * nn.functional.linear(coords, tensors["weight_0"], tensors["bias_0"]))
        hidden = torch.sin(30 * nn.functional.linear(hidden, tensors["weight_1"], tensors["bias_1"]))
        return (nn.functional.linear(hidden, tensors["weight_2"], tensors["bias_2"]) - target_KC).square().mean()

    gradient = torch.func.vmap(torch.func.grad(loss))
    weights.requires_grad_()
    adam = torch.optim.Adam([weights], lr=LR, fused=True)
    for _ in range(steps):
        weights.grad = gradient(weights.detach(), targets)
        adam.step()


def starts(count: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([INR.init(Stream("init", "benchmark", 0, str(i))) for i in range(count)]))


def reference(targets: torch.Tensor, steps: int) -> None:
    fit(INR, starts(len(targets)), torch.from_numpy(grid((SIDE, SIDE))), targets, lr=LR, snapshots=[steps])


def fused(targets: torch.Tensor, steps: int, threads: int) -> None:
    coords = torch.from_numpy(grid((SIDE, SIDE)))
    fused_cpu.fit(INR, starts(len(targets)), coords, targets, lr=LR, snapshots=[steps], threads=threads)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    cores, targets = len(os.sched_getaffinity(0)), signals(count)
    few = max(1, count // 16)
    threads = torch.get_num_threads()

    def in_threads(number: int, work: Callable[[], None], inrs: int) -> float:
        torch.set_num_threads(number)
        started = time.perf_counter()
        work()
        return inrs * steps / (time.perf_counter() - started)

    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        list(pool.map(one_by_one_process, [targets[:1].numpy()] * cores, [2] * cores))  # start and import

        def processes() -> None:
            list(pool.map(one_by_one_process, [part.numpy() for part in targets.chunk(cores)], [steps] * cores))

        methods = {
            "one by one, all threads": lambda: in_threads(threads, lambda: one_by_one(targets[:few], steps), few),
            "one by one, one thread": lambda: in_threads(1, lambda: one_by_one(targets[:few], steps), few),
            f"one by one, {cores} processes": lambda: in_threads(1, processes, count),
            "vmap, all threads": lambda: in_threads(threads, lambda: vmapped(targets, steps), count),
            "vmap, one thread": lambda: in_threads(1, lambda: vmapped(targets, steps), count),
            "reference engine, one thread": lambda: in_threads(1, lambda: reference(targets, steps), count),
            "fused engine, one thread": lambda: in_threads(1, lambda: fused(targets, steps, 1), count),
            f"fused engine, {cores} threads": lambda: in_threads(1, lambda: fused(targets, steps, cores), count),
        }
        fused(targets[:1], 1, 1)  # compile
        rates = {name: statistics.median(method() for _ in range(ROUNDS)) for name, method in methods.items()}
    with tempfile.TemporaryDirectory() as folder:
        wanted = manifest.load(
            "digits", overrides={"limit": 1024, "fit.steps": steps * 4, "fit.stop_psnr": None, "inr.omega_0": 30.0}
        )
        report = build(wanted, Path(folder) / "digits.zarr", quiet=True)
        small = report.num_inrs * steps * 4 / report.seconds
    base = rates["one by one, all threads"]
    print(f"2/32/32/1 on {SIDE}×{SIDE}, {count} INRs × {steps} steps, torch {torch.__version__}")
    print(f"{cores} cores, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}")
    for name, rate in rates.items():
        print(f"{name:30} {rate:10.0f} INR-steps/s  {rate / base:6.1f}×")
    print(f"inrzoo build digits (8×8), {report.workers} workers, all included: {small:.0f} INR-steps/s")


if __name__ == "__main__":
    main()
