"""The machine's measured limits, and how fast an INR could be fitted at best.

Limit of a workload, seconds per INR-step: FLOPs of all products / peak FLOP/s + sincos pairs / peak pairs per second.
Nothing overlaps in it and nothing is saved by a separable grid, so an engine that does either may come nearer than it
looks, or even pass it.
"""

import ctypes
import functools
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import torch

from inrzoo.bench.workloads import Workload
from inrzoo.fit import fused_cpu
from inrzoo.fit.compiled import compiler, shared_library

SOURCE = Path(__file__).with_name("limits.cpp")
FLAGS = ("-O3", "-std=c++17", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
WIDTHS = {256: "AVX2", 512: "AVX512"}
"""Bits of a register, and the instructions that use it."""
SGEMM_SIZES = (256, 512, 1024, 2048)
TORCH_NUMBERS = 2**16
"""Numbers for each thread in the tensors that torch's sine and cosine are timed on: they stay in its L2 cache, and
torch gives no thread fewer than 2¹⁵."""


Peaks = Mapping[str, Mapping[int, float]]
"""Name of a peak -> number of threads -> operations per second."""


@dataclass(frozen=True)
class Limits:
    """Peaks in operations per second; what could not be measured here is absent.

    Attributes:
        flops: FLOP/s of products. `256-bit` and `512-bit` are fused multiply-adds in
            registers, `sgemm` is torch.mm, the best over square matrices of `SGEMM_SIZES`.
        sincos: pairs per second, `256-bit`, `512-bit` and `torch` (torch.sin and torch.cos).
    """

    flops: Peaks
    sincos: Peaks

    @property
    def highest(self) -> tuple[str, str]:
        """The peaks that make the limit: of the widest registers; sgemm and torch's sine and cosine where nothing can
        be compiled.
        """
        widths = [name for name in ("512-bit", "256-bit") if name in self.flops]
        return (widths[0], widths[0]) if widths else ("sgemm", "torch")

    def inr_steps_per_s(self, workload: Workload, threads: int) -> float:
        """No engine can be faster, but for the two reasons that the head of this file gives."""
        products, sines = self.highest
        seconds = workload.flops / self.flops[products][threads] + workload.sincos / self.sincos[sines][threads]
        return 1 / seconds


def measure(threads: int, seconds: float = 0.3, tick: Callable[[], None] = lambda: None) -> Limits:
    """Measure every peak on one thread and on `threads`.

    Args:
        seconds: time for each.
        tick: called after each; there are `count_of_peaks(threads)`.
    """
    flops: dict[str, dict[int, float]] = {}
    sincos: dict[str, dict[int, float]] = {}
    for count in _counts(threads):
        for name, library in _libraries().items():
            flops.setdefault(name, {})[count] = _best_rate(library.multiply_add, count, seconds)
            sincos.setdefault(name, {})[count] = _best_rate(library.sine_cosine_pairs, count, seconds)
            tick()
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            flops.setdefault("sgemm", {})[count] = max(_sgemm(size, seconds / 4) for size in SGEMM_SIZES)
            sincos.setdefault("torch", {})[count] = _torch_sincos(TORCH_NUMBERS * count, seconds)
        finally:
            torch.set_num_threads(before)
        tick()
    return Limits(flops, sincos)


def best(one: Limits, other: Limits) -> Limits:
    """The higher of every two peaks: what disturbs a measurement can only lower it."""

    def higher(some: Peaks, others: Peaks) -> dict[str, dict[int, float]]:
        return {name: {n: max(rate, others[name][n]) for n, rate in rates.items()} for name, rates in some.items()}

    return Limits(higher(one.flops, other.flops), higher(one.sincos, other.sincos))


def count_of_peaks(threads: int) -> int:
    """Number of ticks of `measure`."""
    return len(_counts(threads)) * (len(_libraries()) + 1)


def _counts(threads: int) -> list[int]:
    return sorted({1, threads})


def _best_rate(work: Callable[[int], int], threads: int, seconds: float) -> float:
    """Operations per second of `work(repetitions)` in so many threads at once.

    The best of several attempts, because a limit is what undisturbed hardware does. The first attempts are short and
    say how long the others have to be.
    """
    repetitions, best, spent = 1000, 0.0, 0.0
    together = Barrier(threads)

    def attempt(_: int) -> tuple[float, float, int]:
        together.wait()
        began = time.perf_counter()
        operations = work(repetitions)
        return began, time.perf_counter(), operations

    with ThreadPoolExecutor(threads) as pool:
        while spent < seconds:
            began, ended, operations = zip(*pool.map(attempt, range(threads)), strict=True)
            took = max(ended) - min(began)
            spent += took
            if took < seconds / 10:
                repetitions *= 2
            else:
                best = max(best, sum(operations) / took)
    return best


def _best(work: Callable[[], object], operations: float, seconds: float) -> float:
    """Operations per second: the best of as many calls as fit in the time, as `_best_rate`."""
    work()
    best, ends = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < ends:
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return operations / best


def _sgemm(size: int, seconds: float) -> float:
    a, b = torch.rand(2, size, size)
    out = torch.empty(size, size)
    return _best(lambda: torch.mm(a, b, out=out), 2 * size**3, seconds)


def _torch_sincos(count: int, seconds: float) -> float:
    x, sine, cosine = torch.rand(3, count)
    return _best(lambda: (torch.sin(x, out=sine), torch.cos(x, out=cosine)), count, seconds)


@functools.cache
def _libraries() -> dict[str, Any]:
    """limits.cpp for every register width of this machine; nothing where nothing can be compiled for it."""
    widest = next((bits for bits, name in WIDTHS.items() if name == fused_cpu.capability()), 0)
    return {f"{bits}-bit": library(bits) for bits in WIDTHS if bits <= widest and compiler() is not None}


def library(bits: int) -> Any:
    """limits.cpp for registers of `bits` bits.

    Raises:
        InrzooError: the compiler refuses.
    """
    flags = (*FLAGS, *fused_cpu.INSTRUCTIONS[WIDTHS[bits]], f"-mprefer-vector-width={bits}", f"-DBYTES={bits // 8}")
    loaded = shared_library(SOURCE.parent, SOURCE.name, flags, {})
    for work in (loaded.multiply_add, loaded.sine_cosine_pairs):
        work.argtypes, work.restype = (ctypes.c_long,), ctypes.c_long
    return loaded
