"""The reference engine: batched products and autograd. Readable, any INR, any device.

INRs in a batch are strangers: losses are summed, so each sees its own gradient; Adam works entry by entry; stopping and
divergence act on one INR alone. (Only rounding differs with the batch, in the batched products.)

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, T snapshots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

import torch
from torch import Tensor

from inrzoo.fit.metrics import mse, mse_at, psnr
from inrzoo.inrs import INR


class Status(IntEnum):
    """What became of a fit."""

    PENDING = 0
    OK = 1
    EARLY_STOP = 2
    DIVERGED = 3


STATUS_NAMES = ("pending", "ok", "early stop", "diverged")

MEAN_SIGNAL_PSNR_CAP = 30.0
"""dB. A nearly constant signal is fitted better by its mean than by any INR; above this none counts as diverged."""


@dataclass(frozen=True)
class Fit:
    """Result of fitting B INRs, snapshots in the order asked for.

    Attributes:
        weights_BTP: float32, the weights at each snapshot.
        loss_BT: float32, mean squared error at those weights.
        psnr_BT: float32, dB.
        steps_BT: int32, optimiser steps really taken.
        status_B: uint8, `Status`.
    """

    weights_BTP: Tensor
    loss_BT: Tensor
    psnr_BT: Tensor
    steps_BT: Tensor
    status_B: Tensor


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

    Raises:
        ValueError: snapshots that are empty, negative or not ascending; targets of another shape.
    """
    if not snapshots or snapshots[0] < 0 or any(a >= b for a, b in pairwise(snapshots)):
        raise ValueError(f"snapshots must ascend from 0, given {list(snapshots)}")
    if targets_BKC.shape != (len(weights_BP), len(coords_KD), inr.out_features):
        raise ValueError(
            f"targets of {len(weights_BP)} INRs on {len(coords_KD)} coordinates have shape "
            f"{(len(weights_BP), len(coords_KD), inr.out_features)}, given {tuple(targets_BKC.shape)}"
        )
    batch = batch_size(inr, len(coords_KD), weights_BP.device.type)
    fits = [
        _fit_batch(inr, starts, coords_KD, targets, lr, snapshots, stop_psnr, value_range)
        for starts, targets in zip(weights_BP.split(batch), targets_BKC.split(batch), strict=True)
    ]
    return Fit(*(torch.cat(parts) for parts in zip(*(vars(one).values() for one in fits), strict=True)))


def batch_size(inr: INR, num_coords: int, device: str = "cpu") -> int:
    """INRs to fit in one batch: a function of the INR and the grid alone, so that a build's rounding is reproducible.

    Measured on one core (benchmarks/fit_speed.py): fastest where a batch's activations take about 2 MiB.
    """
    neurons = sum(inr.layout.neuron_axes.values())
    budget = (2 if device == "cpu" else 512) * 2**20
    fitting = max(1, budget // (4 * num_coords * max(1, neurons)))
    return int(min(max(2 ** (fitting.bit_length() - 1), 4), 128 if device == "cpu" else 8192))


def _fit_batch(
    inr: INR,
    starts_BP: Tensor,
    coords_KD: Tensor,
    targets_BKC: Tensor,
    lr: float,
    snapshots: Sequence[int],
    stop_psnr: float | None,
    value_range: tuple[float, float],
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
        loss_B.sum().backward()
        _step_unless(stopped_B, weights_BP, adam)
    loss_BT = torch.stack(kept_losses, dim=1)
    psnr_BT = psnr(loss_BT, value_range)
    mean_BKC = targets_BKC.mean(dim=1, keepdim=True).expand_as(targets_BKC)
    mean_psnr_B = psnr(mse(mean_BKC, targets_BKC), value_range).clamp(max=MEAN_SIGNAL_PSNR_CAP)
    status_B = torch.where(loss_BT[:, -1] <= stop_loss, int(Status.EARLY_STOP), int(Status.OK))
    worse_B = ~torch.isfinite(loss_BT).all(dim=1) | (psnr_BT[:, -1] < mean_psnr_B)
    return Fit(
        weights_BTP=torch.stack(kept_weights, dim=1),
        loss_BT=loss_BT,
        psnr_BT=psnr_BT,
        steps_BT=torch.stack(kept_steps, dim=1),
        status_B=torch.where(worse_B, int(Status.DIVERGED), status_B).to(torch.uint8),
    )


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
