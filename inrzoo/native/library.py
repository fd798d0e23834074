"""Compiles the C++ under `source/` for this processor, and shares work among threads."""

from __future__ import annotations

import ctypes
import functools
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrzoo.fit import fused_cpu
from inrzoo.fit.compiled import compiler, shared_library

LOG = logging.getLogger("inrzoo.native")
SOURCES = Path(__file__).parent / "source"
ALIGNED = 64
"""Bytes that vectors of every processor are aligned to."""

FLAGS = ("-O3", "-std=c++17", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")


def unavailable() -> str | None:
    """Why nothing can be compiled here, in one line; None if it can."""
    if fused_cpu.capability() not in fused_cpu.INSTRUCTIONS:
        return "the native code needs an x86-64 processor with AVX2 or a 64-bit Arm processor"
    return None if compiler() else "neither g++ nor clang++ is on the path"


def trains_natively(training: bool, *tensors: Tensor) -> bool:
    """Whether native code may serve a layer with these tensors: in training, in float32 on a CPU.

    In evaluation mode torch's own functions serve: what a network makes of a signal, such as a store, keeps its bits.
    """
    return (
        training
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and any(tensor.requires_grad for tensor in tensors)
        and all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors)
        and is_available()
    )


@functools.cache
def is_available() -> bool:
    """Whether native code can be compiled here; if not, one warning says why training is slower."""
    reason = unavailable()
    if reason is not None:
        LOG.warning("warning  training takes several times as long without native code: %s", reason)
    return reason is None


def library(main: str, generated: Mapping[str, str]) -> Any:
    """The `ctypes.CDLL` of one source with headers made for it; compiled on first use and kept for later runs.

    Raises:
        InrzooError: there is no compiler, or it fails.
    """
    flags = (*FLAGS, *fused_cpu.INSTRUCTIONS[fused_cpu.capability()])
    return shared_library(SOURCES, main, flags, generated, "name another compiler in the variable CXX")


def run(native: Any, job: ctypes.Structure, count: int, *sizes: int) -> None:
    """Do the `count` parts of a job of a library, shared among threads, each of which has memory of its own.

    Args:
        native: as `library` returns it.
        job: the library's `Job`.
        sizes: what the memory of a thread depends on.
    """
    native.bytes_per_thread.restype = ctypes.c_longlong

    def work(first: int, last: int) -> None:
        memory, address = aligned_memory(native.bytes_per_thread(*sizes))
        native.run(ctypes.byref(job), ctypes.c_void_p(address), first, last)
        del memory

    split_among_threads(count, work)


def aligned_memory(size: int) -> tuple[NDArray[np.uint8], int]:
    """Memory of `size` bytes, which lives as long as the array, and its address, a multiple of `ALIGNED`."""
    memory = np.empty(size + ALIGNED, dtype=np.uint8)
    return memory, -(-memory.ctypes.data // ALIGNED) * ALIGNED


def split_among_threads(count: int, work: Callable[[int, int], None]) -> None:
    """Call `work(first, last)` for parts of `count`, in as many threads as torch uses."""
    threads = min(torch.get_num_threads(), count)
    if threads <= 1:
        work(0, count)
        return
    bounds = [count * number // threads for number in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))
