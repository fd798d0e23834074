"""The fused engine on a GPU: the whole fit of an INR, all steps, inside one program of one kernel launch.

The kernels are Triton's (`triton/`), compiled on first use for the shape of the INR and the GPU. A program fits one INR
by itself, so that its bits do not depend on batch or order; another kind of GPU or another Triton rounds differently.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, F inputs of the first layer, C out_features,
T snapshots.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from inrzoo.errors import InrzooError
from inrzoo.fit import loop
from inrzoo.fit.problem import FitProblem
from inrzoo.fit.result import Fit, conclude
from inrzoo.fit.triton.layout import TILE, layout
from inrzoo.inrs import INR, Perceptron
from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

DEVICE: Literal["cpu", "cuda"] | None = "cuda"
THREADED, REGULARISES, SUBSETS = False, False, True
PRODUCTS: tuple[str, ...] = ("bf16x3", "ieee", "tf32")

evaluate, prepare = loop.evaluate, loop.prepare

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Adam's, as in `loop.fit`; the kernel has the former in its own text."""

OLDEST_TRITON = (3, 6)
"""The first with `bf16x3` products."""

H100_SHARED_MEMORY = 232448
"""Bytes; an A100 has 166912."""

SLICE = 4096
"""INRs of one launch at most: between launches Python looks after Ctrl-C."""

SLICE_BYTES = 2**30
"""Memory of one launch at most, its results included."""


def unavailable(inr: INR, device: str) -> str | None:
    """Why this engine cannot fit `inr` on `device`, in one line; None if it can."""
    if inr.kernel() is None:
        return f"the triton engine has no kernel for {type(inr).__name__}"
    version = _triton_version()
    if version is None or tuple(map(int, version.split(".")[:2])) < OLDEST_TRITON:
        found = "none is installed" if version is None else f"not {version}"
        return f"the triton engine needs triton 3.6 or newer, {found}: pip install 'inrzoo[gpu]' (Linux, x86-64)"
    if torch.device(device).type == "cuda":
        if not torch.cuda.is_available():
            return "the triton engine needs a CUDA device; torch finds none"
    elif not _interpreted():
        return f"the triton engine needs a CUDA device, not {device}"
    return layout(inr).refusal(_shared_memory(device))


def environment(device: str) -> dict[str, str]:
    """Return everything that decides the bits of an INR that this engine fits."""
    triton = f"triton {_triton_version()}"
    if torch.device(device).type != "cuda":
        return {"compiler": triton, "device": "interpreter", "instruction_set": "numpy"}
    major, minor = torch.cuda.get_device_capability(device)
    return {
        "compiler": triton,
        "cuda": str(torch.version.cuda),
        "device": torch.cuda.get_device_name(device),
        "instruction_set": f"sm_{major}{minor}",
    }


def bytes_per_inr(inr: INR, num_coords: int, num_snapshots: int) -> int:
    """Memory on the device that an INR takes while it is fitted: its four flat vectors, its signal and its results."""
    results = num_snapshots * (2 * layout(inr).size + inr.layout.num_params + 2)
    return 4 * (4 * layout(inr).size + num_coords * inr.out_features + results)


def fit(problem: FitProblem, threads: int = 1) -> Fit:
    """Fit B INRs on the device that all tensors are on; result as `loop.fit`, but each INR by itself, so that its bits
    do not depend on the others.

    Besides the problem and its result this takes at most `SLICE_BYTES` of memory, and `bytes_per_inr` for one INR.
    Products of `bf16x3` are three of bfloat16 halves, 16 bits of each factor; `ieee` has all 24, without matrix units
    and slow; `tf32` has 11, for fits below about 50 dB. Sums are float32 in each, and the first layer of sines always
    has 24 bits.

    Args:
        threads: not used.

    Raises:
        InrzooError: the engine cannot serve this problem here; `unavailable` says why.
        ValueError: unknown `products`.
    """
    inr, starts_BP = problem.inr, problem.starts_BP
    reason = unavailable(inr, str(starts_BP.device))
    if reason is None and problem.antialias is not None:
        reason = "the triton engine has no anti-aliasing regulariser"
    if reason is not None:
        raise InrzooError(f"{reason}; --engine reference serves every INR")
    products = problem.products_among(PRODUCTS)
    shared = _shared(inr, problem.coords_KD.to(starts_BP), problem.lr, problem.snapshots)
    count = max(1, min(SLICE, SLICE_BYTES // bytes_per_inr(inr, len(problem.coords_KD), len(problem.snapshots))))
    parts = [_launch(batch, shared, products) for batch in problem.split(count)]
    weights_BTP, loss_BT, steps_BT = (torch.cat(column) for column in zip(*parts, strict=True))
    return conclude(problem, weights_BTP, loss_BT, steps_BT)


def _shared(inr: INR, coords_KD: Tensor, lr: float, snapshots: Sequence[int]) -> dict[str, Tensor]:
    """The kernel's arguments that all INRs share."""
    plan, device = layout(inr), coords_KD.device
    kernel = inr.kernel()
    inputs_KF = kernel.inputs(coords_KD) if isinstance(kernel, Perceptron) else coords_KD
    columns = [inputs_KF, torch.ones_like(inputs_KF[:, :1])]
    if plan.kind == "gabor":
        columns.append(inputs_KF.square().sum(-1, keepdim=True))
    table = torch.cat(columns, dim=-1)
    rows = table.new_zeros(-(-len(table) // TILE) * TILE, plan.inputs)
    rows[: len(table), : table.shape[1]] = table
    step = torch.arange(1, snapshots[-1] + 2, dtype=torch.float64)
    scales, epsilons = plan.adam_tables(EPSILON, device)
    return {
        "rows": rows,
        "scales": scales,
        "epsilons": epsilons,
        "rates": (lr / (1 - BETAS[0] ** step)).float().to(device),
        "corrections": (1 / (1 - BETAS[1] ** step).sqrt()).float().to(device),
        "snapshots": torch.tensor([*snapshots, -1], dtype=torch.int32, device=device),
    }


def _launch(batch: FitProblem, shared: dict[str, Tensor], products: str) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (B, T, P), losses and steps (B, T) of the INRs of one launch."""
    from triton.runtime.errors import OutOfResources, PTXASError

    from inrzoo.fit.triton.kernel import fit as kernel

    plan, starts_BP = layout(batch.inr), batch.starts_BP.float()
    targets_BKC = batch.targets_BKC.to(starts_BP).contiguous()
    (count, num_coords, channels), num_snapshots = targets_BKC.shape, len(batch.snapshots)
    weights = plan.pack(starts_BP)
    losses = weights.new_empty(count, num_snapshots)
    steps = torch.empty_like(losses, dtype=torch.int32)
    kept = weights.new_empty(count, num_snapshots, plan.size)
    arguments = {
        "weights": weights,
        **{name: torch.zeros_like(weights) for name in ("gradients", "means", "squares")},
        **shared,
        "targets": targets_BKC,
        "kept_weights": kept,
        "losses": losses,
        "steps": steps,
        "num_coords": num_coords,
        "num_snapshots": num_snapshots,
        "share": 2.0 / (num_coords * channels),
        "num_values": float(num_coords * channels),
        "stop_loss": batch.stop_loss,
    }
    on_device = torch.cuda.device(weights.device) if weights.is_cuda else contextlib.nullcontext()
    with on_device:
        try:
            kernel[(count,)](**arguments, **plan.constants, **plan.options, **plan.precisions(products))
        except (OutOfResources, PTXASError) as error:
            line = str(error).strip().splitlines()[0]
            raise InrzooError(f"this GPU cannot run the fused engine: {line}; use --engine reference") from error
        if weights.is_cuda:
            torch.cuda.synchronize()
    return plan.unpack(kept), losses, steps


def _shared_memory(device: str) -> int:
    """Bytes that a program can have: what the GPU says, or an H100's for the interpreter."""
    if torch.device(device).type != "cuda":
        return H100_SHARED_MEMORY
    properties: Any = torch.cuda.get_device_properties(device)  # torch's stub does not know this one
    return int(properties.shared_memory_per_block_optin)


@functools.cache
def _triton_version() -> str | None:
    try:
        return importlib.metadata.version("triton")
    except importlib.metadata.PackageNotFoundError:
        return None


def _interpreted() -> bool:
    """Whether kernels run in Triton's interpreter, on numpy: for tests."""
    from triton import knobs

    return bool(knobs.runtime.interpret)
