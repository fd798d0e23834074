"""The reference engine: batched products and autograd. Readable, any INR, any device.

INRs in a batch are strangers: losses are summed, so each sees its own gradient; Adam works entry by entry; stopping and
divergence act on one INR alone. (Only rounding differs with the batch, in the batched products.)

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, T snapshots.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from inrzoo.fit.antialias import AntiAlias, frequency_bound, require_frequencies
from inrzoo.fit.batches import batch_size
from inrzoo.fit.metrics import mse, mse_at
from inrzoo.fit.result import Fit, check_shapes, conclude
from inrzoo.inrs import INR


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
    check_shapes(inr, weights_BP, coords_KD, targets_BKC, snapshots)
    if antialias is not None:
        require_frequencies(inr, weights_BP)
        if nyquist_D is None or nyquist_D.shape != (inr.in_features,):
            raise ValueError(f"antialias needs nyquist_D, one frequency for each of {inr.in_features} coordinates")
    limits_D = torch.zeros(inr.in_features) if nyquist_D is None else nyquist_D
    batch = batch_size(inr, len(coords_KD), weights_BP.device.type)
    fits = [
        _fit_batch(
            inr, starts, coords_KD, targets, lr, snapshots, stop_psnr, value_range, antialias, limits_D.to(weights_BP)
        )
        for starts, targets in zip(weights_BP.split(batch), targets_BKC.split(batch), strict=True)
    ]
    joined = {key: torch.cat([getattr(one, key) for one in fits]) for key in vars(fits[0]) if key != "bound_BTD"}
    frequencies = inr.filter_frequencies(joined["weights_BTP"])
    return Fit(**joined, bound_BTD=None if frequencies is None else frequency_bound(frequencies))


def _fit_batch(
    inr: INR,
    starts_BP: Tensor,
    coords_KD: Tensor,
    targets_BKC: Tensor,
    lr: float,
    snapshots: Sequence[int],
    stop_psnr: float | None,
    value_range: tuple[float, float],
    antialias: AntiAlias | None,
    nyquist_D: Tensor,
) -> Fit:
    weights_BP = starts_BP.detach().clone().requires_grad_()
    adam = torch.optim.Adam([weights_BP], lr=lr, fused=True)
    stop_loss = -1.0 if stop_psnr is None else mse_at(stop_psnr, value_range)
    stopped_B = torch.zeros(len(starts_BP), dtype=torch.bool, device=starts_BP.device)
    steps_B = torch.zeros(len(starts_BP), dtype=torch.int32, device=starts_BP.device)
    kept_weights, kept_losses, kept_steps = [], [], []
    for step in range(snapshots[-1] + 1):
        loss_B = mse(inr(weights_BP, coords_KD), targets_BKC)
        steps_B = torch.where(stopped_B, steps_B, step)
        stopped_B = stopped_B | (loss_B.detach() <= stop_loss) | ~loss_B.detach().isfinite()
        if step in snapshots:
            kept_weights.append(weights_BP.detach().clone())
            kept_losses.append(loss_B.detach())
            kept_steps.append(steps_B)
        if step == snapshots[-1]:
            break
        if stopped_B.all():
            missing = len(snapshots) - len(kept_steps)
            kept_weights += [weights_BP.detach().clone()] * missing
            kept_losses += [loss_B.detach()] * missing
            kept_steps += [steps_B] * missing
            break
        adam.zero_grad()
        objective_B = loss_B
        if antialias is not None:
            objective_B = loss_B + antialias.addend(inr, weights_BP, nyquist_D, targets_BKC[0].numel())
        objective_B.sum().backward()
        _step_unless(stopped_B, weights_BP, adam)
        if antialias is not None:
            antialias.project_(inr, weights_BP.detach(), nyquist_D, stopped_B)
    weights_BTP, loss_BT = torch.stack(kept_weights, dim=1), torch.stack(kept_losses, dim=1)
    return conclude(weights_BTP, loss_BT, torch.stack(kept_steps, dim=1), targets_BKC, stop_loss, value_range)


def _step_unless(stopped_B: Tensor, weights_BP: Tensor, adam: torch.optim.Adam) -> None:
    """One optimiser step in which the weights and moments of stopped INRs stay as they are."""
    if not stopped_B.any():
        adam.step()
        return
    state = adam.state[weights_BP]
    moving = [weights_BP.detach(), *(state[key] for key in ("exp_avg", "exp_avg_sq") if key in state)]
    before = [tensor[stopped_B].clone() for tensor in moving]
    adam.step()
    for tensor, kept in zip(moving, before, strict=True):
        tensor[stopped_B] = kept
