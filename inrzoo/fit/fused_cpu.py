"""The fused engine on cores: the whole fit of an INR, all steps, inside one native call, one INR per thread.

The C++ source under `native/` is compiled once for every shape of INR, with its sizes as constants, and cached. Its
arithmetic is fixed by the source (every multiply-add is written as one, sums have one order, the compiler contracts
nothing), so an INR has the same bits on every x86-64-v3 processor (AVX2, FMA), by every compiler, whatever batch,
thread or neighbour it was fitted with. Processors with AVX-512 compute two of its vectors at a time, to the same bits.
On Arm the compiler's own vectors serve.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, F inputs of the first layer,
C out_features, T snapshots.
"""

from __future__ import annotations

import ctypes
import functools
import math
import platform
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.fit.antialias import AntiAlias
from inrzoo.fit.compiled import compiler, shared_library
from inrzoo.fit.interrupt import CALLED_OFF, call_off, interruptible, raise_if_called_off
from inrzoo.fit.problem import FitProblem
from inrzoo.fit.result import Fit, conclude
from inrzoo.inrs import INR, FilterNetwork, Perceptron
from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

DEVICE: Literal["cpu", "cuda"] | None = "cpu"
THREADED, REGULARISES, SUBSETS = True, True, True
PRODUCTS: tuple[str, ...] = ("ieee",)

SOURCES = Path(__file__).parent / "native"
FLAGS = ("-O3", "-std=c++17", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
INSTRUCTIONS = {
    "AVX2": ("-mavx2", "-mfma"),
    "AVX512": ("-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"),
    "NEON": (),
}
"""Flags by what torch calls the capability of an x86-64 processor, and for Arm. Linux names the instructions of the
former as the compiler does; every 64-bit Arm processor has NEON."""

ARITHMETIC = "fused 2"
"""Raised whenever a change of the source changes bits; tests pin the bits of small fits."""

REGULARISERS = ("none", "hinge", "linf", "axis_linf", "smooth_max", "l1", "l0_surrogate", "projection")
"""In the order of native/antialias.h."""

TASKS = ("fit", "differentiate", "evaluate")
"""In the order of native/engine.cpp."""


def unavailable(inr: INR, device: str = "cpu") -> str | None:
    """Why this engine cannot fit `inr` on this machine, in one line; None if it can."""
    if inr.kernel() is None:
        return f"the fused engine has no kernel for {type(inr).__name__}"
    if capability() not in INSTRUCTIONS:
        return "the fused engine needs an x86-64 processor with AVX2 or a 64-bit Arm processor"
    if compiler() is None:
        return (
            "the fused engine needs a C++ compiler; neither g++ nor clang++ is on the path, "
            "and pip install 'inrzoo[compiler]' brings one"
        )
    return None


@functools.cache
def capability() -> str:
    """The widest instructions of this processor: NEON, or in torch's word. Linux says them without torch."""
    if platform.machine() == "aarch64":
        return "NEON"
    try:
        line = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return str(torch.backends.cpu.get_cpu_capability())
    flags = set(line[1].split()) if line else set()
    for name in ("AVX512", "AVX2"):
        if flags >= {option.removeprefix("-m") for option in INSTRUCTIONS[name]}:
            return name
    return "DEFAULT"


def environment(device: str = "cpu") -> dict[str, str]:
    """What decides the bits of an INR that this engine fits: neither torch, nor the compiler, nor wider registers.

    Arm gives the same numbers, but what is not a number there has another sign.
    """
    instructions = "aarch64" if capability() == "NEON" else "x86-64-v3"
    return {"arithmetic": ARITHMETIC, "device": "cpu", "instruction_set": instructions}


def fit(problem: FitProblem, threads: int = 1) -> Fit:
    """Fit B INRs; result as `loop.fit`, in float32 to rounding, but each INR by itself: its bits are its own.

    Args:
        threads: INRs fitted at the same time.

    Raises:
        InrzooError: the engine cannot serve this INR here; `unavailable` says why.
        KeyboardInterrupt: within one step.
    """
    problem.products_among(PRODUCTS)
    job = _Job(problem.inr, problem.starts_BP, problem.coords_KD, problem.targets_BKC, problem.snapshots)
    job.lr, job.stop_loss = problem.lr, problem.stop_loss
    if problem.antialias is not None and problem.nyquist_D is not None:
        job.regularise(problem.antialias, problem.nyquist_D)
    job.run(problem.inr, threads)
    return conclude(problem, *map(torch.from_numpy, (job.results, job.loss_BT, job.steps_BT)))


def gradients(problem: FitProblem) -> tuple[Tensor, Tensor]:
    """The mean squared error of each start, (B,), and its gradient by the weights, (B, P), as a fit computes them.

    Raises:
        InrzooError: as `fit`.
    """
    job = _Job(problem.inr, problem.starts_BP, problem.coords_KD, problem.targets_BKC, [0])
    job.run(problem.inr, 1, "differentiate")
    return torch.from_numpy(job.loss_BT[:, 0]), torch.from_numpy(job.results[:, 0])


def evaluate(inr: INR, weights_BP: Tensor, coords_KD: Tensor) -> Tensor:
    """Values of B functions, (B, K, C), as a fit computes them: `inr(weights, coords)` to rounding, many times faster.

    Raises:
        InrzooError: the engine cannot serve this INR here.
    """
    job = _Job(inr, weights_BP, coords_KD, None, [0])
    job.run(inr, 1, "evaluate")
    return torch.from_numpy(job.results)


def bytes_per_thread(inr: INR, num_coords: int) -> int:
    """Memory that one thread of this engine works in, whatever the number of INRs.

    Raises:
        InrzooError: the engine cannot serve this INR here.
    """
    return int(library(inr).bytes_per_thread(num_coords))


def prepare(inr: INR) -> None:
    """Compile the kernel for an INR, unless it is kept from before.

    Raises:
        InrzooError: as `library`.
    """
    library(inr)


def library(inr: INR) -> Any:
    """The kernel for an INR, compiled on first use and kept for later runs.

    Raises:
        InrzooError: the engine cannot serve this INR here, or the compiler fails.
    """
    reason = unavailable(inr)
    if reason is not None:
        raise InrzooError(f"{reason}; --engine reference serves every INR")
    kernel = inr.kernel()
    assert kernel is not None
    made = shared_library(SOURCES, "engine.cpp", (*FLAGS, *INSTRUCTIONS[capability()]), {"layout.h": _layout(kernel)})
    made.bytes_per_thread.restype = ctypes.c_longlong
    return made


class _Job(ctypes.Structure):
    """`Job` of native/engine.cpp, with the arrays that it points to."""

    _fields_ = (
        *(
            (name, ctypes.c_void_p)
            for name in ("inputs", "targets", "starts", "snapshots", "weights", "losses", "steps")
        ),
        *(
            (name, ctypes.c_int)
            for name in ("num_inrs", "num_coords", "num_params", "num_snapshots", "grid_run", "axis")
        ),
        ("regulariser", ctypes.c_int),
        ("regulariser_weight", ctypes.c_double),
        ("frequency_limit", ctypes.c_void_p),
        ("lr", ctypes.c_double),
        ("stop_loss", ctypes.c_float),
        ("called_off", ctypes.POINTER(ctypes.c_int)),
        ("next", ctypes.c_int),
    )

    def __init__(
        self, inr: INR, weights_BP: Tensor, coords_KD: Tensor, targets_BKC: Tensor | None, snapshots: Sequence[int]
    ) -> None:
        kernel, shape = inr.kernel(), (len(weights_BP), len(snapshots))
        inputs_KF = kernel.inputs(coords_KD) if isinstance(kernel, Perceptron) else coords_KD
        padded_KF = torch.cat([inputs_KF, inputs_KF[-1:].expand(-len(inputs_KF) % 8, -1)])
        given = (padded_KF, torch.empty(0) if targets_BKC is None else targets_BKC, weights_BP)
        values = (len(weights_BP), len(coords_KD), inr.out_features)
        self.results = np.empty(values if targets_BKC is None else (*shape, weights_BP.shape[1]), dtype=np.float32)
        self.loss_BT, self.steps_BT = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int32)
        self._arrays: list[NDArray[Any]] = [
            *(np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float32) for tensor in given),
            np.array(snapshots, dtype=np.int32),
            self.results,
            self.loss_BT,
            self.steps_BT,
        ]
        counts = (len(weights_BP), len(coords_KD), weights_BP.shape[1], len(snapshots))
        inputs = self._arrays[0][: len(coords_KD)]
        super().__init__(*(array.ctypes.data for array in self._arrays), *counts, *fastest_axis(inputs))
        if targets_BKC is None:
            self.targets = None
        self.called_off = ctypes.pointer(CALLED_OFF)

    def regularise(self, antialias: AntiAlias, nyquist_D: Tensor) -> None:
        """Take a regulariser into the fit; its weight is per summed error, the engine's loss is a mean."""
        self.regulariser = REGULARISERS.index(antialias.regulariser)
        self.regulariser_weight = antialias.weight / self._arrays[1][0].size
        limits = (antialias.alpha * nyquist_D).numpy().astype(np.float64)
        self._arrays.append(limits)
        self.frequency_limit = limits.ctypes.data

    def run(self, inr: INR, threads: int, task: Literal["fit", "differentiate", "evaluate"] = "fit") -> None:
        """Hand the job to the kernel. It runs beside this thread, which stays open to Ctrl-C and then calls it off."""
        kernel = library(inr)
        count = max(1, min(threads, self.num_inrs))
        size = -(-kernel.bytes_per_thread(self.num_coords) // 64) * 64
        memory = np.empty(count * size + 64, dtype=np.uint8)
        first = -(-memory.ctypes.data // 64) * 64
        workers = [
            threading.Thread(
                target=kernel.run,
                args=(ctypes.byref(self), ctypes.c_void_p(first + number * size), TASKS.index(task)),
            )
            for number in range(count)
        ]
        try:
            for worker in workers:
                worker.start()
            while alive := [worker for worker in workers if worker.is_alive()]:
                alive[0].join(0.1)
        except BaseException:  # the main thread's Ctrl-C: no other thread is interrupted here
            with interruptible():
                call_off()
                for worker in workers:
                    if worker.ident is not None:
                        worker.join()
            raise
        raise_if_called_off()


def fastest_axis(inputs_KF: NDArray[np.float32]) -> tuple[int, int]:
    """How a grid runs: (points after which the other axes move on, the axis that runs fastest).

    (0, 0) for what is not a grid of two or more axes with two or more points on the fastest: scattered coordinates,
    features of an encoding.
    """
    if len(inputs_KF) < 4 or inputs_KF.shape[1] < 2:
        return 0, 0
    moves = inputs_KF[1] != inputs_KF[0]
    if moves.sum() != 1:
        return 0, 0
    axis = int(moves.argmax())
    others = np.delete(inputs_KF, axis, axis=1)
    moved = (others != others[0]).any(axis=1)
    run = int(moved.argmax())
    if not moved.any() or len(inputs_KF) % run:
        return 0, 0
    rows = inputs_KF.reshape(-1, run, inputs_KF.shape[1])
    still = (np.delete(rows, axis, axis=2) == np.delete(rows, axis, axis=2)[:, :1]).all()
    same = (rows[:, :, axis] == rows[0, :, axis]).all()
    return (run, axis) if still and same else (0, 0)


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
