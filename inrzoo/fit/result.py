"""What fitting gives, whichever engine did it.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, C channels, D in_features, T snapshots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inrzoo.choices import Status
from inrzoo.fit.metrics import mse, psnr
from inrzoo.fit.problem import FitProblem
from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


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


def conclude(problem: FitProblem, weights_BTP: Tensor, loss_BT: Tensor, steps_BT: Tensor) -> Fit:
    """PSNR and status from what an engine kept.

    Diverged is an INR whose loss is not finite, or that ends with a lower PSNR than its signal's mean would have
    (counted as at most `MEAN_SIGNAL_PSNR_CAP`); early stop is one whose last loss is at or below `stop_loss`.
    """
    targets_BKC, value_range = problem.targets_BKC, problem.value_range
    psnr_BT = psnr(loss_BT, value_range)
    mean_BKC = targets_BKC.mean(dim=1, keepdim=True).expand_as(targets_BKC)
    mean_psnr_B = psnr(mse(mean_BKC, targets_BKC), value_range).clamp(max=MEAN_SIGNAL_PSNR_CAP)
    status_B = torch.where(loss_BT[:, -1] <= problem.stop_loss, int(Status.EARLY_STOP), int(Status.OK))
    worse_B = ~torch.isfinite(loss_BT).all(dim=1) | (psnr_BT[:, -1] < mean_psnr_B)
    return Fit(
        weights_BTP=weights_BTP,
        loss_BT=loss_BT,
        psnr_BT=psnr_BT,
        steps_BT=steps_BT,
        status_B=torch.where(worse_B, int(Status.DIVERGED), status_B).to(torch.uint8),
    )
