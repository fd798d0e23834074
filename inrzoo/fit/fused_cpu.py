"""The fused engine on cores: the whole fit of an INR, all steps, inside one native call, one INR per thread.

The C++ source under `native/` is compiled once for every shape of INR, with its sizes as constants, and cached. It is
built for x86-64-v3 (AVX2, FMA) even where a processor could do more: an INR then has the same bits on all of them,
whatever batch, thread or neighbour it was fitted with.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, F inputs of the first layer, C out_features,
T snapshots.
"""

import ctypes
import functools
import hashlib
import math
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.fit.metrics import mse_at
from inrzoo.fit.result import Fit, check_shapes, conclude
from inrzoo.inrs import INR, FilterNetwork, Perceptron

SOURCES = Path(__file__).parent / "native"
FLAGS = ("-O3", "-std=c++17", "-march=x86-64-v3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
SLICE = 64
"""INRs of one native call: between calls Python looks after Ctrl-C."""


def unavailable(inr: INR) -> str | None:
    """Why this engine cannot fit `inr` on this machine, in one line; None if it can."""
    if inr.kernel() is None:
        return f"the fused engine has no kernel for {type(inr).__name__}"
    if platform.machine() not in ("x86_64", "AMD64") or torch.backends.cpu.get_cpu_capability() not in (
        "AVX2",
        "AVX512",
    ):
        return "the fused engine needs an x86-64 processor with AVX2"
    if compiler() is None:
        return "the fused engine needs a C++ compiler (g++ or clang++); none is on the path"
    return None


@functools.cache
def compiler() -> str | None:
    """The C++ compiler that `CXX` names, or the first one on the path."""
    named = os.environ.get("CXX")
    return named or next(filter(None, map(shutil.which, ("g++", "clang++", "c++"))), None)


@functools.cache
def compiler_version() -> str:
    """What the compiler calls itself: part of what decides the bits."""
    return subprocess.run(
        [str(compiler()), "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]


def environment() -> dict[str, str]:
    """What decides the bits of an INR that this engine fits. Neither torch nor what else the processor can do does."""
    return {"compiler": compiler_version(), "device": "cpu", "instruction_set": "x86-64-v3"}


def fit(
    inr: INR,
    weights_BP: Tensor,
    coords_KD: Tensor,
    targets_BKC: Tensor,
    *,
    lr: float,
    snapshots: Sequence[int],
    stop_psnr: float | None = None,
    value_range: tuple[float, float] = (-1.0, 1.0),
    threads: int = 1,
) -> Fit:
    """Fit B INRs; arguments and result as `loop.fit`, in float32 to rounding, but each INR by itself, so that its bits
    do not depend on the others.

    Args:
        threads: INRs fitted at the same time.

    Raises:
        InrzooError: the engine cannot serve this INR here; `unavailable` says why.
        ValueError: as `loop.fit`.
    """
    reason = unavailable(inr)
    if reason is not None:
        raise InrzooError(f"{reason}; --engine reference serves every INR")
    check_shapes(inr, weights_BP, coords_KD, targets_BKC, snapshots)
    kernel = inr.kernel()
    assert kernel is not None
    library = _library(_layout(kernel))
    inputs_KF = kernel.inputs(coords_KD) if isinstance(kernel, Perceptron) else coords_KD
    inputs = np.ascontiguousarray(inputs_KF.numpy(), dtype=np.float32)
    stop_loss = -1.0 if stop_psnr is None else mse_at(stop_psnr, value_range)
    parts = [
        _call(library, inputs, starts.numpy(), targets.numpy(), list(snapshots), lr, stop_loss, threads)
        for starts, targets in zip(weights_BP.split(SLICE), targets_BKC.split(SLICE), strict=True)
    ]
    weights_BTP, loss_BT, steps_BT = (torch.from_numpy(np.concatenate(column)) for column in zip(*parts, strict=True))
    return conclude(weights_BTP, loss_BT, steps_BT, targets_BKC, stop_loss, value_range)


class _Job(ctypes.Structure):
    """`Job` of native/engine.cpp."""

    _pointers = ("inputs", "targets", "starts", "snapshots", "weights", "losses", "steps")
    _counts = ("num_inrs", "num_coords", "num_params", "num_snapshots")
    _fields_ = (
        *((name, ctypes.c_void_p) for name in _pointers),
        *((name, ctypes.c_int) for name in _counts),
        ("lr", ctypes.c_double),
        ("stop_loss", ctypes.c_float),
    )


def _call(
    library: Any,
    inputs_KF: NDArray[np.float32],
    starts_BP: NDArray[np.float32],
    targets_BKC: NDArray[np.float32],
    snapshots: list[int],
    lr: float,
    stop_loss: float,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    (num_inrs, num_params), num_snapshots = starts_BP.shape, len(snapshots)
    weights = np.empty((num_inrs, num_snapshots, num_params), dtype=np.float32)
    losses = np.empty((num_inrs, num_snapshots), dtype=np.float32)
    steps = np.empty((num_inrs, num_snapshots), dtype=np.int32)
    given = (inputs_KF, targets_BKC, starts_BP)
    kept = [np.ascontiguousarray(array, dtype=np.float32) for array in given]
    arrays = [*kept, np.array(snapshots, dtype=np.int32), weights, losses, steps]
    counts = (num_inrs, len(inputs_KF), num_params, num_snapshots)
    job = _Job(*(array.ctypes.data for array in arrays), *counts, lr, stop_loss)
    library.fit(ctypes.byref(job), threads)
    return weights, losses, steps


def _layout(kernel: Perceptron | FilterNetwork) -> str:
    """layout.h: the sizes and factors that the kernel is compiled for."""
    if isinstance(kernel, FilterNetwork):
        return (
            "#pragma once\n"
            f"#define FILTERS {kernel.num_filters}\n#define GABOR {int(kernel.gabor)}\n"
            f"constexpr int IN = {kernel.in_features}, OUT = {kernel.out_features};\n"
            f"constexpr int HIDDEN = {kernel.hidden_features};\n"
        )
    unit = math.pi if kernel.activation == "sine" else 1.0

    def scales(factors: Sequence[float]) -> str:
        return ", ".join(repr(factor / unit) for factor in factors)

    return (
        "#pragma once\n"
        f"#define FILTERS 0\n#define SINE {int(kernel.activation == 'sine')}\n"
        f"constexpr int IN = {kernel.num_inputs}, OUT = {kernel.out_features};\n"
        f"constexpr int HIDDEN = {kernel.hidden_features}, LAYERS = {kernel.num_hidden};\n"
        f"constexpr float OFFSET = {kernel.output_offset!r}f;\n"
        f"constexpr double WEIGHT_SCALE[] = {{{scales(kernel.weight_factors)}}};\n"
        f"constexpr double BIAS_SCALE[] = {{{scales(kernel.bias_factors)}}};\n"
    )


@functools.cache
def _library(layout: str) -> Any:
    """The kernel for a layout, compiled on first use and kept for later runs."""
    sources = {path.name: path.read_text() for path in sorted(SOURCES.iterdir()) if path.suffix in (".h", ".cpp")}
    key = hashlib.sha256(repr((sources, layout, compiler_version(), FLAGS)).encode()).hexdigest()[:32]
    path = _cache() / f"{key}.so"
    if not path.exists():
        _compile(layout, path)
    library = ctypes.CDLL(str(path))
    library.bytes_per_thread.restype = ctypes.c_longlong
    return library


def _cache() -> Path:
    home = os.environ.get("INRZOO_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "inrzoo" / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _compile(layout: str, path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "layout.h").write_text(layout)
        built = path.with_suffix(f".{os.getpid()}.partial")
        command = [str(compiler()), *FLAGS, "-shared", "-fPIC", "-pthread", f"-I{folder}", f"-I{SOURCES}"]
        done = subprocess.run(
            [*command, str(SOURCES / "engine.cpp"), "-o", str(built)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
            raise InrzooError(f"{compiler()} cannot compile the fused engine: {reason}; use --engine reference")
        built.replace(path)  # another process may have built the same: both are whole


def bytes_per_thread(inr: INR) -> int:
    """Memory that one thread of this engine works in, whatever the number of INRs."""
    kernel = inr.kernel()
    if kernel is None:
        raise InrzooError(str(unavailable(inr)))
    return int(_library(_layout(kernel)).bytes_per_thread())
