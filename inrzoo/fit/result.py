"""What fitting gives, whichever engine did it.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, C channels, D in_features, T snapshots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from inrzoo.fit.metrics import mse, psnr
from inrzoo.inrs import INR
from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


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
        bound_BTD: float32, radians per coordinate unit: the frequency bound at each snapshot, see `antialias`; None for
            a family without one.
    """

    weights_BTP: Tensor
    loss_BT: Tensor
    psnr_BT: Tensor
    steps_BT: Tensor
    status_B: Tensor
    bound_BTD: Tensor | None = None


def check_shapes(
    inr: INR, weights_BP: Tensor, coords_KD: Tensor, targets_BKC: Tensor, snapshots: Sequence[int]
) -> None:
    """Reject what no engine could fit.

    Raises:
        ValueError: snapshots that are empty, negative or not ascending; targets of another shape.
    """
    if not snapshots or snapshots[0] < 0 or any(a >= b for a, b in pairwise(snapshots)):
        raise ValueError(f"snapshots must ascend from 0, given {list(snapshots)}")
    wanted = (len(weights_BP), len(coords_KD), inr.out_features)
    if targets_BKC.shape != wanted:
        raise ValueError(
            f"targets of {wanted[0]} INRs on {wanted[1]} coordinates have shape {wanted}, "
            f"given {tuple(targets_BKC.shape)}"
        )


def conclude(
    weights_BTP: Tensor,
    loss_BT: Tensor,
    steps_BT: Tensor,
    targets_BKC: Tensor,
    stop_loss: float,
    value_range: tuple[float, float],
) -> Fit:
    """PSNR and status from what an engine kept.

    Diverged is an INR whose loss is not finite, or that ends with a lower PSNR than its signal's mean would have
    (counted as at most `MEAN_SIGNAL_PSNR_CAP`); early stop is one whose last loss is at or below `stop_loss`.
    """
    psnr_BT = psnr(loss_BT, value_range)
    mean_BKC = targets_BKC.mean(dim=1, keepdim=True).expand_as(targets_BKC)
    mean_psnr_B = psnr(mse(mean_BKC, targets_BKC), value_range).clamp(max=MEAN_SIGNAL_PSNR_CAP)
    status_B = torch.where(loss_BT[:, -1] <= stop_loss, int(Status.EARLY_STOP), int(Status.OK))
    worse_B = ~torch.isfinite(loss_BT).all(dim=1) | (psnr_BT[:, -1] < mean_psnr_B)
    return Fit(
        weights_BTP=weights_BTP,
        loss_BT=loss_BT,
        psnr_BT=psnr_BT,
        steps_BT=steps_BT,
        status_B=torch.where(worse_B, int(Status.DIVERGED), status_B).to(torch.uint8),
    )
