"""The machine's measured limits, and how fast an INR could be fitted at best.

Limit of a workload, seconds per INR-step: FLOPs of all products / peak FLOP/s + sincos pairs / peak pairs per second.
Nothing overlaps in it and nothing is saved by a separable grid, so an engine that does either may come nearer than it
looks, or even pass it.
"""

import ctypes
import functools
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from inrzoo.bench.workloads import Workload
from inrzoo.fit.compiled import compiler, shared_library

SOURCE = Path(__file__).with_name("limits.cpp")
FLAGS = ("-O3", "-std=c++17", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
WIDTHS = {256: ("-march=x86-64-v3", "-DBYTES=32"), 512: ("-march=x86-64-v4", "-mprefer-vector-width=512", "-DBYTES=64")}
"""Bits of a register, and the flags that use it."""
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
            flops.setdefault(name, {})[count] = library.flops(count, ctypes.c_double(seconds))
            sincos.setdefault(name, {})[count] = library.sincos_rate(count, ctypes.c_double(seconds))
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
    """How often `measure` ticks."""
    return len(_counts(threads)) * (len(_libraries()) + 1)


def _counts(threads: int) -> list[int]:
    return sorted({1, threads})


def _best(work: Callable[[], object], operations: float, seconds: float) -> float:
    """Operations per second: the best of as many calls as fit in the time, as in limits.cpp."""
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
    x86 = platform.machine() in ("x86_64", "AMD64")
    has_avx2 = x86 and torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    if not has_avx2 or compiler() is None:
        return {}
    libraries = {"256-bit": library(256)}
    if libraries["256-bit"].has_512():
        libraries["512-bit"] = library(512)
    return libraries


def library(bits: int) -> Any:
    """limits.cpp for registers of `bits` bits.

    Raises:
        InrzooError: the compiler refuses.
    """
    loaded = shared_library(SOURCE.parent, SOURCE.name, (*FLAGS, *WIDTHS[bits]), {})
    loaded.flops.restype = loaded.sincos_rate.restype = ctypes.c_double
    return loaded
