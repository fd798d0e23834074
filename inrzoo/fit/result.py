"""The result of fitting, by whichever engine.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, C channels, D in_features, T snapshots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inrzoo.choices import Status
from inrzoo.fit.metrics import psnr
from inrzoo.fit.problem import FitProblem
from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


@dataclass(frozen=True)
class Fit:
    """Result of fitting B INRs, snapshots in the order asked for.

    Attributes:
        weights_BTP: float32, the weights at each snapshot.
        loss_BT: float32, the loss on all points at those weights.
        psnr_BT: float32, dB; NaN with another loss than `mse`.
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

    def split(self, sizes: Sequence[int]) -> list[Fit]:
        """The results of that many INRs each."""
        columns: dict[str, Any] = {
            name: [None] * len(sizes) if column is None else column.split(list(sizes))
            for name, column in vars(self).items()
        }
        return [Fit(**{name: parts[number] for name, parts in columns.items()}) for number in range(len(sizes))]


def conclude(problem: FitProblem, weights_BTP: Tensor, loss_BT: Tensor, steps_BT: Tensor, first_loss_B: Tensor) -> Fit:
    """PSNR and status of what an engine kept.

    Diverged is an INR whose loss is not finite, or larger at the end than `first_loss_B`, that of its start; early stop
    is one whose last loss is at or below `stop_loss`. PSNR is that of the mean squared error, NaN with another loss.
    """
    psnr_BT = psnr(loss_BT, problem.value_range) if problem.loss == "mse" else torch.full_like(loss_BT, torch.nan)
    status_B = torch.where(loss_BT[:, -1] <= problem.stop_loss, int(Status.EARLY_STOP), int(Status.OK))
    worse_B = ~torch.isfinite(loss_BT).all(dim=1) | (loss_BT[:, -1] > first_loss_B)
    return Fit(
        weights_BTP=weights_BTP,
        loss_BT=loss_BT,
        psnr_BT=psnr_BT,
        steps_BT=steps_BT,
        status_B=torch.where(worse_B, int(Status.DIVERGED), status_B).to(torch.uint8),
    )
