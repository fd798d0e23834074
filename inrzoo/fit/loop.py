"""The reference engine: batched products and autograd. Readable, any INR, any device.

INRs in a batch are strangers: losses are summed, so each sees its own gradient; Adam works entry by entry; stopping and
divergence act on one INR alone. (Only rounding differs with the batch, in the batched products.)
Formulas: docs/derivations/fitting.md#independent-fits.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, T snapshots.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from inrzoo.fit.antialias import frequency_bound
from inrzoo.fit.batches import batch_size
from inrzoo.fit.descent import Descent
from inrzoo.fit.problem import FitProblem
from inrzoo.fit.result import Fit, conclude
from inrzoo.inrs import INR
from inrzoo.lazy import lazy
from inrzoo.volume_rendering import Observer

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

Kept: TypeAlias = "list[tuple[Tensor, Tensor, Tensor]]"
"""Weights (B, P), losses (B,) and steps (B,) of each snapshot of one batch."""


DEVICE: Literal["cpu", "cuda"] | None = None
THREADED, REGULARISES, SUBSETS = False, True, True
INRS_AT_ONCE = 1
PRODUCTS: tuple[str, ...] = ("ieee",)


def unavailable(inr: INR, device: str) -> str | None:
    """None: this engine fits every INR on every device."""
    return None


def unobserved(inr: INR, observe: Observer) -> str | None:
    """None: this engine takes every prediction."""
    return None


def prepare(inr: INR) -> None:
    """Nothing has to be made ready."""


def environment(device: str) -> dict[str, str]:
    """Return everything that decides the bits of an INR that torch fits."""
    if device == "cpu":
        kind, instructions = "cpu", torch.backends.cpu.get_cpu_capability()
    else:
        kind = torch.cuda.get_device_name(device)
        instructions = "sm_{}{}".format(*torch.cuda.get_device_capability(device))
    return {"torch": torch.__version__.split("+")[0], "device": kind, "instruction_set": instructions}


def evaluate(inr: INR, weights_BP: Tensor, coords: Tensor) -> Tensor:
    """Values of INRs at (K, D) or (B, K, D) coordinates, (B, K, C)."""
    return inr(weights_BP, coords)


def fit(problem: FitProblem, threads: int = 1) -> Fit:
    """Fit B INRs from their starts with Adam (Kingma & Ba 2015; β 0.9 and 0.999, ε 1e-8).

    An INR whose PSNR reaches `stop_psnr` keeps its weights and moments from then on; it stays in the batch, masked,
    so that its neighbours' products are the same as without stopping. One whose loss is not finite is kept as it is.
    Status: see `result.conclude`.

    Args:
        threads: not used; torch's own number of threads decides.
    """
    return in_batches(_fit_batch, problem)


def in_batches(fit_batch: Callable[[Descent], Kept], problem: FitProblem) -> Fit:
    """`fit` by `fit_batch(descent)`, batch after batch of the size that suits the INR and the device."""
    problem.products_among(PRODUCTS)
    points, device = problem.num_coords or problem.num_points, problem.starts_BP.device.type
    size = batch_size(problem.inr, points, device, problem.evaluations)
    parts, first_losses = [], []
    for batch in problem.split(size):
        descent = Descent(batch)
        parts.append([torch.stack(column, dim=1) for column in zip(*fit_batch(descent), strict=True)])
        first_losses.append(descent.first_loss_B)
    weights_BTP, loss_BT, steps_BT = (torch.cat(column) for column in zip(*parts, strict=True))
    fitted = conclude(problem, weights_BTP, loss_BT, steps_BT, torch.cat(first_losses))
    frequencies = problem.inr.filter_frequencies(weights_BTP)
    return replace(fitted, bound_BTD=None if frequencies is None else frequency_bound(frequencies))


def _fit_batch(descent: Descent) -> Kept:
    kept: Kept = []
    snapshots = descent.problem.snapshots
    for step in range(snapshots[-1] + 1):
        if descent.problem.looks_at(step):
            descent.look()
        if step in snapshots:
            kept.append(descent.state())
        if step == snapshots[-1]:
            break
        if descent.stopped_B.all():
            kept += [descent.state()] * (len(snapshots) - len(kept))
            break
        descent.advance()
    return kept
