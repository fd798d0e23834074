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
import platform
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.extras import install_command
from inrzoo.fit.antialias import AntiAlias
from inrzoo.fit.compiled import compiler, shared_library
from inrzoo.fit.fused_layout import fastest_axis, header
from inrzoo.fit.interrupt import CANCELLED, cancel, interruptible, raise_if_cancelled
from inrzoo.fit.losses import LOSSES
from inrzoo.fit.problem import FitProblem
from inrzoo.fit.result import Fit, conclude
from inrzoo.inrs import INR, Perceptron
from inrzoo.lazy import lazy
from inrzoo.volume_rendering import Observer, VolumeRenderer

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

DEVICE: Literal["cpu", "cuda"] | None = "cpu"
THREADED, REGULARISES, SUBSETS = True, True, True
INRS_AT_ONCE = 1
PRODUCTS: tuple[str, ...] = ("ieee",)

MAX_SAMPLES = 48
"""Samples of a ray that fit into one tile of activations, of every kernel; see native/engine.cpp."""
INPUT_BYTES = 64 * 2**20
"""Memory of the inputs of INRs that have coordinates of their own; more INRs are fitted one part after the other."""

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
            f"and {install_command('compiler')} brings one"
        )
    return None


def unobserved(inr: INR, observe: Observer) -> str | None:
    """Why this engine cannot fit an INR to predictions, in one line; None for volume rendering of positions."""
    kernel = inr.kernel()
    if not isinstance(observe, VolumeRenderer):
        return "the fused engine has no predictions but volume rendering"
    if inr.in_features != 3 or (isinstance(kernel, Perceptron) and kernel.num_inputs != 3):
        return "the fused engine renders INRs that read positions in space, without an encoding"
    if observe.samples > MAX_SAMPLES:
        return f"the fused engine takes at most {MAX_SAMPLES} samples of a ray"
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
    """Return the facts that decide the bits of an INR that this engine fits; torch and the compiler do not.

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
    size = _inrs_at_once(problem)
    if size < len(problem.starts_BP):
        return _joined([fit(part, threads) for part in problem.split(size)])
    job = _Job(*_arrays(problem), problem.snapshots, problem.observe is not None)
    job.follow(problem)
    job.run(problem.inr, threads)
    return conclude(problem, *map(torch.from_numpy, (job.results, job.loss_BT, job.steps_BT, job.first_loss_B)))


def gradients(problem: FitProblem) -> tuple[Tensor, Tensor]:
    """The loss of each start, (B,), and its gradient by the weights, (B, P), as a fit on all points computes them.

    Raises:
        InrzooError: as `fit`.
    """
    job = _Job(*_arrays(problem), [0], problem.observe is not None)
    job.follow(problem)
    job.run(problem.inr, 1, "differentiate")
    return torch.from_numpy(job.loss_BT[:, 0]), torch.from_numpy(job.results[:, 0])


def _arrays(problem: FitProblem) -> tuple[INR, Tensor, Tensor, Tensor]:
    return problem.inr, problem.starts_BP, problem.coords, problem.targets_BKC


def _inrs_at_once(problem: FitProblem) -> int:
    """INRs whose inputs, which an encoding of coordinates of their own makes many, take at most `INPUT_BYTES`."""
    kernel = problem.inr.kernel()
    if problem.shared_coords or kernel is None:
        return len(problem.starts_BP)
    num_inputs = kernel.num_inputs if isinstance(kernel, Perceptron) else kernel.in_features
    num_inputs = problem.coords.shape[-1] if problem.observe is not None else num_inputs
    return max(1, INPUT_BYTES // (4 * num_inputs * problem.num_points))


def _joined(parts: Sequence[Fit]) -> Fit:
    names = ("weights_BTP", "loss_BT", "psnr_BT", "steps_BT", "status_B")
    return Fit(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def evaluate(inr: INR, weights_BP: Tensor, coords: Tensor) -> Tensor:
    """Values of B functions at (K, D) or (B, K, D) coordinates, (B, K, C): `inr(weights, coords)` to rounding, faster.

    Raises:
        InrzooError: the engine cannot serve this INR here.
    """
    job = _Job(inr, weights_BP, coords, None, [0])
    job.run(inr, 1, "evaluate")
    return torch.from_numpy(job.results)


def bytes_per_thread(inr: INR, num_coords: int, num_drawn: int = 0, weighted: bool = False, samples: int = 0) -> int:
    """Memory that one thread of this engine works in, whatever the number of INRs.

    Args:
        num_coords: points of a signal.
        num_drawn: points of a step, where it takes a part of them.
        weighted: whether points have weights.
        samples: of a ray; 0 where points are no rays.

    Raises:
        InrzooError: the engine cannot serve this INR here.
    """
    return int(library(inr).bytes_per_thread(num_coords, num_drawn, weighted, samples))


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
    made = shared_library(SOURCES, "engine.cpp", (*FLAGS, *INSTRUCTIONS[capability()]), {"layout.h": header(kernel)})
    made.bytes_per_thread.restype = ctypes.c_longlong
    return made


class _Volume(ctypes.Structure):
    """`Volume` of native/rays.h."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("samples", "relu")),
        *((name, ctypes.c_float) for name in ("scale", "shift", "low", "high", "background", "extent")),
    )


class _Job(ctypes.Structure):
    """`Job` of native/engine.cpp, with the arrays that it points to."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("inputs", "targets", "starts", "snapshots")),
        *((name, ctypes.c_void_p) for name in ("weights", "losses", "steps", "first_losses")),
        *((name, ctypes.c_void_p) for name in ("rates", "factors", "point_weights", "keys")),
        ("inputs_stride", ctypes.c_longlong),
        *((name, ctypes.c_int) for name in ("num_inrs", "num_coords", "num_params", "num_snapshots", "num_rates")),
        *((name, ctypes.c_int) for name in ("grid_run", "axis", "loss", "num_drawn", "evaluate_every", "regulariser")),
        ("regulariser_weight", ctypes.c_double),
        ("frequency_limit", ctypes.c_void_p),
        ("weight_decay", ctypes.c_double),
        ("max_grad_norm", ctypes.c_double),
        ("stop_loss", ctypes.c_float),
        ("cancelled", ctypes.POINTER(ctypes.c_int)),
        ("next", ctypes.c_int),
        ("volume", _Volume),
    )

    def __init__(
        self,
        inr: INR,
        weights_BP: Tensor,
        coords: Tensor,
        targets_BKC: Tensor | None,
        snapshots: Sequence[int],
        rays: bool = False,
    ) -> None:
        super().__init__()
        kernel, shape = inr.kernel(), (len(weights_BP), len(snapshots))
        inputs = kernel.inputs(coords) if isinstance(kernel, Perceptron) and not rays else coords
        self.num_inrs, self.num_coords = len(weights_BP), coords.shape[-2]
        self.num_params, self.num_snapshots = weights_BP.shape[1], len(snapshots)
        self.num_channels = inr.out_features
        values = (self.num_inrs, self.num_coords, self.num_channels)
        self.results = np.empty(values if targets_BKC is None else (*shape, self.num_params), dtype=np.float32)
        self.loss_BT, self.steps_BT = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int32)
        # Infinite for a start that was not looked at.
        self.first_loss_B = np.full(self.num_inrs, np.inf, dtype=np.float32)
        self._arrays: list[NDArray[Any]] = []  # lives as long as the pointers to it
        padding = inputs[..., -1:, :].expand(*inputs.shape[:-2], -self.num_coords % 8, inputs.shape[-1])
        padded = self._point("inputs", torch.cat([inputs, padding], dim=-2))
        if coords.ndim == 2:
            self.grid_run, self.axis = fastest_axis(padded[: self.num_coords])
        else:
            self.inputs_stride = padded[0].size
        if targets_BKC is not None:
            self._point("targets", targets_BKC)
        self._point("starts", weights_BP)
        self._point("snapshots", np.array(snapshots, dtype=np.int32))
        for name, array in (("weights", self.results), ("losses", self.loss_BT), ("steps", self.steps_BT)):
            self._point(name, array)
        self._point("first_losses", self.first_loss_B)
        self.cancelled = ctypes.pointer(CANCELLED)

    def _point(self, name: str, given: Tensor | NDArray[Any]) -> NDArray[Any]:
        """Let field `name` point at an array, or at the numbers of a tensor in float32; return what it points at."""
        if not isinstance(given, np.ndarray):
            given = np.ascontiguousarray(given.detach().numpy(), dtype=np.float32)
        self._arrays.append(given)
        setattr(self, name, given.ctypes.data)
        return given

    def follow(self, problem: FitProblem) -> None:
        """Take loss, optimiser, stop and draws from a problem.

        Raises:
            InrzooError: the loss is a function, which only the reference engine calls.
        """
        if problem.observe is not None:
            if (reason := unobserved(problem.inr, problem.observe)) is not None:
                raise InrzooError(f"{reason}; --engine reference takes every prediction")
            if problem.loss != "mse":
                raise InrzooError("the fused engine renders with the loss mse; --engine reference takes others")
            self.render(cast("VolumeRenderer", problem.observe))
        if not isinstance(problem.loss, str):
            raise InrzooError("the fused engine has the losses mse and bce; --engine reference takes any function")
        self.loss = list(LOSSES).index(problem.loss)
        self.stop_loss, self.weight_decay = problem.stop_loss, problem.weight_decay
        self.max_grad_norm = problem.max_grad_norm or 0.0
        self.num_rates = len(self._point("rates", problem.rates))
        names = [tensor.name for tensor in problem.inr.layout.tensors]
        self._point("factors", np.array([problem.lr_factors.get(name, 1.0) for name in names], dtype=np.float64))
        if problem.relative_point_weights is not None:
            self._point("point_weights", problem.relative_point_weights)
        if problem.num_coords is not None and problem.keys_B is not None:
            self.num_drawn, self.evaluate_every = problem.num_coords, problem.steps_between_looks
            self._point("keys", np.ascontiguousarray(problem.keys_B))
        if problem.antialias is not None and problem.nyquist_D is not None:
            self.regularise(problem.antialias, problem.nyquist_D)

    def render(self, renderer: VolumeRenderer) -> None:
        """Take the coordinates for rays, and predict their pixels."""
        low, high = renderer.value_range
        bends = (renderer.samples, renderer.density == "relu", renderer.density_scale, renderer.density_shift)
        self.volume = _Volume(*bends, low, high, renderer.background, renderer.extent)

    def regularise(self, antialias: AntiAlias, nyquist_D: Tensor) -> None:
        """Take a regulariser into the fit; its weight is per summed error, the engine's loss is a mean."""
        self.regulariser = REGULARISERS.index(antialias.regulariser)
        self.regulariser_weight = antialias.weight / (self.num_coords * self.num_channels)
        self._point("frequency_limit", (antialias.alpha * nyquist_D).numpy().astype(np.float64))

    def run(self, inr: INR, threads: int, task: Literal["fit", "differentiate", "evaluate"] = "fit") -> None:
        """Hand the job to the kernel. It runs beside this thread, which stays open to Ctrl-C and then calls it off."""
        kernel = library(inr)
        count = max(1, min(threads, self.num_inrs))
        counts = (self.num_coords, self.num_drawn, bool(self.point_weights), self.volume.samples)
        size = -(-kernel.bytes_per_thread(*counts) // 64) * 64
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
                cancel()
                for worker in workers:
                    if worker.ident is not None:
                        worker.join()
            raise
        raise_if_cancelled()
