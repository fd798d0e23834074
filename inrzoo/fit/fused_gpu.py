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
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from inrzoo.errors import InrzooError
from inrzoo.extras import install_command
from inrzoo.fit import loop
from inrzoo.fit.losses import LOSSES, relative_weights
from inrzoo.fit.problem import FitProblem
from inrzoo.fit.result import Fit, conclude
from inrzoo.fit.triton.layout import TILE, layout
from inrzoo.inrs import INR, Perceptron
from inrzoo.lazy import lazy
from inrzoo.volume_rendering import Observer

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

INRS_AT_ONCE = SLICE

SLICE_BYTES = 2**30
"""Memory of one launch at most, its results included."""


def unobserved(inr: INR, observe: Observer) -> str | None:
    """Why this engine cannot fit an INR to predictions, in one line."""
    return "the triton engine compares an INR with values at coordinates alone"


def unavailable(inr: INR, device: str) -> str | None:
    """Why this engine cannot fit `inr` on `device`, in one line; None if it can."""
    if inr.kernel() is None:
        return f"the triton engine has no kernel for {type(inr).__name__}"
    version = _triton_version()
    if version is None or tuple(map(int, version.split(".")[:2])) < OLDEST_TRITON:
        found = "none is installed" if version is None else f"not {version}"
        return f"the triton engine needs triton 3.6 or newer, {found}: {install_command('gpu')} (Linux, x86-64)"
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


def bytes_per_inr(inr: INR, num_coords: int, num_snapshots: int, own_coords: bool = False) -> int:
    """Memory on the device that an INR takes while it is fitted: its four flat vectors, its signal and weights of
    points, its results and, if it has coordinates of its own, those.
    """
    plan = layout(inr)
    results = num_snapshots * (2 * plan.size + inr.layout.num_params + 2)
    points = num_coords * (inr.out_features + 1 + (plan.inputs if own_coords else 0))
    return 4 * (4 * plan.size + points + results)


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
    if reason is None and not isinstance(problem.loss, str):
        reason = f"the triton engine has the losses {' and '.join(LOSSES)}"
    if reason is None and problem.observe is not None:
        reason = unobserved(inr, problem.observe)
    if reason is not None:
        raise InrzooError(f"{reason}; --engine reference serves every INR and loss")
    products = problem.products_among(PRODUCTS)
    shared = _shared(problem)
    own_coords = not problem.shared_coords
    each = bytes_per_inr(inr, problem.num_points, len(problem.snapshots), own_coords)
    count = max(1, min(SLICE, SLICE_BYTES // each))
    parts = [_launch(batch, shared, products) for batch in problem.split(count)]
    weights_BTP, loss_BT, steps_BT, first_loss_B = (torch.cat(column) for column in zip(*parts, strict=True))
    return conclude(problem, weights_BTP, loss_BT, steps_BT, first_loss_B)


def _shared(problem: FitProblem) -> dict[str, Tensor | None]:
    """The kernel's arguments that all INRs share."""
    plan, device = layout(problem.inr), problem.starts_BP.device
    factors_P, settling = problem.lr_factors_P, torch.from_numpy(problem.rates)
    # The kernel takes one step more than the last snapshot needs.
    step = torch.arange(1, problem.snapshots[-1] + 2, dtype=torch.float64)
    rates = settling[(step.long() - 1).clamp(max=len(settling) - 1)]
    decays = problem.weight_decay > 0
    return {
        "rows": _rows(problem) if problem.shared_coords else None,
        "scales": plan.table(plan.scale_P * factors_P, 1.0, device),
        "epsilons": plan.table(EPSILON / plan.scale_P, 1.0, device),
        "own_scales": None if problem.max_grad_norm is None else plan.table(plan.scale_P, 0.0, device),
        "factors": plan.table(factors_P, 0.0, device) if decays else None,
        "rates": (rates / (1 - BETAS[0] ** step)).float().to(device),
        "corrections": (1 / (1 - BETAS[1] ** step).sqrt()).float().to(device),
        "decays": (rates * problem.weight_decay).float().to(device) if decays else None,
        "snapshots": torch.tensor([*problem.snapshots, -1], dtype=torch.int32, device=device),
    }


def _rows(problem: FitProblem) -> Tensor:
    """Input of the first layer at each coordinate, (K, F) or (B, K, F), padded to whole tiles and the kernel's width.

    Each INR's are computed by themselves, and so do not depend on the batch.
    """
    plan, kernel = layout(problem.inr), problem.inr.kernel()
    coords = problem.coords.to(problem.starts_BP)
    inputs = coords
    if isinstance(kernel, Perceptron):
        inputs = kernel.inputs(coords) if coords.ndim == 2 else torch.stack([kernel.inputs(own) for own in coords])
    columns = [inputs, torch.ones_like(inputs[..., :1])]
    if plan.kind == "gabor":
        first, *others = inputs.square().split(1, dim=-1)
        columns.append(sum(others, start=first))
    table = torch.cat(columns, dim=-1)
    num_coords, width = table.shape[-2:]
    rows = table.new_zeros(*table.shape[:-2], -(-num_coords // TILE) * TILE, plan.inputs)
    rows[..., :num_coords, :width] = table
    return rows


def _launch(batch: FitProblem, shared: dict[str, Tensor | None], products: str) -> tuple[Tensor, ...]:
    """Weights (B, T, P), losses and steps (B, T), and first losses (B,), of the INRs of one launch."""
    from triton.runtime.errors import OutOfResources, PTXASError

    from inrzoo.fit.triton.kernel import fit as kernel

    plan, starts_BP = layout(batch.inr), batch.starts_BP.float()
    targets_BKC = batch.targets_BKC.to(starts_BP).contiguous()
    point_weights = None
    if batch.point_weights_BK is not None:  # each INR's by themselves: sums round as the shape of a reduction has it
        point_weights = torch.cat([relative_weights(own.to(starts_BP)) for own in batch.point_weights_BK.split(1)])
    (count, num_coords, channels), num_snapshots = targets_BKC.shape, len(batch.snapshots)
    weights = plan.pack(starts_BP)
    losses = weights.new_empty(count, num_snapshots)
    steps = torch.empty_like(losses, dtype=torch.int32)
    first_losses = weights.new_empty(count)
    kept = weights.new_empty(count, num_snapshots, plan.size)
    keys = None if batch.keys_B is None else torch.from_numpy(batch.keys_B.view(np.int64)).to(weights.device)
    subsets = batch.num_coords is not None
    arguments = {
        "weights": weights,
        **{name: torch.zeros_like(weights) for name in ("gradients", "means", "squares")},
        **shared,
        **({} if batch.shared_coords else {"rows": _rows(batch)}),
        "targets": targets_BKC,
        "point_weights": point_weights,
        "keys": keys if subsets else None,
        "kept_weights": kept,
        "losses": losses,
        "steps": steps,
        "first_losses": first_losses,
        "num_coords": num_coords,
        "num_drawn": batch.num_coords,
        "num_snapshots": num_snapshots,
        "evaluate_every": batch.evaluate_every if subsets else None,
        "share": (2.0 if batch.loss == "mse" else 1.0) / ((batch.num_coords or num_coords) * channels),
        "num_values": float(num_coords * channels),
        "stop_loss": batch.stop_loss,
        "max_norm": batch.max_grad_norm,
        "BCE": batch.loss == "bce",
        "OWN_ROWS": not batch.shared_coords,
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
    return plan.unpack(kept), losses, steps, first_losses


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
