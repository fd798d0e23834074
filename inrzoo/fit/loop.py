"""The reference engine: batched products and autograd. Readable, any INR, any device.

INRs in a batch are strangers: losses are summed, so each sees its own gradient; Adam works entry by entry; stopping and
divergence act on one INR alone. (Only rounding differs with the batch, in the batched products.)
Formulas: docs/derivations/fitting.md#independent-fits.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, T snapshots.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from inrzoo.fit.antialias import AntiAlias, frequency_bound, require_frequencies
from inrzoo.fit.batches import batch_size
from inrzoo.fit.descent import Descent
from inrzoo.fit.metrics import mse_at
from inrzoo.fit.result import Fit, check_shapes, conclude
from inrzoo.inrs import INR
from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

Kept: TypeAlias = "list[tuple[Tensor, Tensor, Tensor]]"
"""What each snapshot is of one batch: weights (B, P), losses (B,) and steps (B,)."""


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
    antialias: AntiAlias | None = None,
    nyquist_D: Tensor | None = None,
) -> Fit:
    """Fit B INRs from their starts with Adam (Kingma & Ba 2015; β 0.9 and 0.999, ε 1e-8) on the full grid.

    An INR whose PSNR reaches `stop_psnr` keeps its weights and moments from then on; it stays in the batch, masked,
    so that its neighbours' products are the same as without stopping. One whose loss is not finite is kept as it is.
    Diverged is an INR whose loss is not finite, or that ends with a lower PSNR than its signal's mean would have
    (counted as at most `MEAN_SIGNAL_PSNR_CAP`).

    Args:
        weights_BP: starts; not changed.
        coords_KD: the grid all share.
        targets_BKC: values to fit, inside `value_range`.
        lr: Adam's step size, above 0.
        snapshots: step counts to keep, ascending; the last one is the length of the fit. 0 is the start itself.
        stop_psnr: dB, or None for never.
        value_range: as in `metrics.psnr`.
        antialias: what is done against frequencies above the grid's. Loss, PSNR and the stop remain those of the mean
            squared error alone.
        nyquist_D: `coords.nyquist` of the grid; needed, and used, with `antialias` alone.

    Raises:
        ValueError: snapshots that are empty, negative or not ascending; targets of another shape; `antialias` without
            `nyquist_D`.
        InrzooError: `antialias` for a family without a frequency bound.
    """
    return in_batches(
        _fit_batch, inr, weights_BP, coords_KD, targets_BKC, lr, snapshots, stop_psnr, value_range, antialias, nyquist_D
    )


def in_batches(
    fit_batch: Callable[..., Kept],
    inr: INR,
    weights_BP: Tensor,
    coords_KD: Tensor,
    targets_BKC: Tensor,
    lr: float,
    snapshots: Sequence[int],
    stop_psnr: float | None,
    value_range: tuple[float, float],
    antialias: AntiAlias | None,
    nyquist_D: Tensor | None,
) -> Fit:
    """`fit` by `fit_batch(descent, snapshots)`, batch after batch of the size that suits the INR and the device."""
    check_shapes(inr, weights_BP, coords_KD, targets_BKC, snapshots)
    if antialias is not None:
        require_frequencies(inr, weights_BP)
        if nyquist_D is None or nyquist_D.shape != (inr.in_features,):
            raise ValueError(f"antialias needs nyquist_D, one frequency for each of {inr.in_features} coordinates")
    limits_D = (torch.zeros(inr.in_features) if nyquist_D is None else nyquist_D).to(weights_BP)
    stop_loss = -1.0 if stop_psnr is None else mse_at(stop_psnr, value_range)
    batch = batch_size(inr, len(coords_KD), weights_BP.device.type)
    parts = []
    for starts, targets in zip(weights_BP.split(batch), targets_BKC.split(batch), strict=True):
        descent = Descent(inr, starts, coords_KD, targets, lr, stop_loss, antialias, limits_D)
        parts.append([torch.stack(column, dim=1) for column in zip(*fit_batch(descent, snapshots), strict=True)])
    weights_BTP, loss_BT, steps_BT = (torch.cat(column) for column in zip(*parts, strict=True))
    fitted = conclude(weights_BTP, loss_BT, steps_BT, targets_BKC, stop_loss, value_range)
    frequencies = inr.filter_frequencies(weights_BTP)
    return replace(fitted, bound_BTD=None if frequencies is None else frequency_bound(frequencies))


def _fit_batch(descent: Descent, snapshots: Sequence[int]) -> Kept:
    kept: Kept = []
    for step in range(snapshots[-1] + 1):
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
