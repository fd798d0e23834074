"""The values of INRs beside those of their signals, through an observation, and the quality that follows.

Shape letters: B INRs, T snapshots, P parameters, K points, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from inrzoo.fit.batches import evaluated
from inrzoo.fit.losses import LOSSES
from inrzoo.fit.metrics import psnr
from inrzoo.inrs import INR
from inrzoo.observations import Comparison, Observation
from inrzoo.store.signal_reader import Evaluate
from inrzoo.targets import Targets

LOGITS = "bce"
"""Name of the loss of INRs that give logits, which have no PSNR."""


class Observed(Protocol):
    """Signals and how INRs are compared with them: a store, or signals without INRs."""

    @property
    def inr(self) -> INR:
        """The family of the INRs."""

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the signals' grid, slowest axis first."""

    @property
    def value_range(self) -> tuple[float, float]:
        """Numbers that the smallest and the largest possible value of a signal are mapped to."""

    @property
    def observation(self) -> Observation:
        """How INRs are compared with signals."""

    def predict(self, weights_BP: Tensor, where: Tensor, evaluate: Evaluate | None = None) -> Tensor:
        """Predict the values of signals, (B, K, C); see `Store.predict`."""


def comparisons(
    observed: Observed, targets: Targets, weights_BTP: Tensor, evaluate: Evaluate
) -> Iterator[tuple[slice, Comparison, Comparison | None]]:
    """Yield rows of INRs and their values beside the signals': on the points of the fits, and on held-out ones.

    Args:
        observed: whose observation predicts the values.
        targets: of the B signals.
        weights_BTP: weights of the INRs, or whatever else `evaluate` makes values of.
        evaluate: an engine's, or another function of their INR, `weights_BTP` of some INRs, and coordinates.
    """
    device, value_range = weights_BTP.device, observed.value_range
    low, high = value_range
    width_B = torch.from_numpy(targets.limits_B2[:, 1] - targets.limits_B2[:, 0]).to(device)
    unit_B = width_B / (high - low)
    zero_B = low - torch.from_numpy(targets.limits_B2[:, 0]).to(device) / unit_B
    valid_BK = None if targets.valid_BK is None else torch.from_numpy(targets.valid_BK).to(device)

    def compared(rows: slice, values_BTKC: Tensor, targets_BKC: np.ndarray, own_BK: Tensor | None) -> Comparison:
        return Comparison(
            values_BTKC=values_BTKC,
            targets_BKC=torch.from_numpy(targets_BKC[rows]).to(device),
            value_range=value_range,
            unit_B=unit_B[rows],
            zero_B=zero_B[rows],
            grid=observed.grid,
            valid_BK=None if own_BK is None else own_BK[rows],
        )

    def predict(inr: INR, weights_BP: Tensor, where: Tensor) -> Tensor:
        return observed.predict(weights_BP, where, evaluate)

    where, evaluations = torch.from_numpy(targets.coords).to(device), observed.observation.evaluations
    for rows, values_BTKC in evaluated(observed.inr, weights_BTP, where, predict, evaluations):
        fitted, unseen = compared(rows, values_BTKC, targets.values_BKC, valid_BK), None
        if targets.held_out is not None:
            points, values = targets.held_out
            # As many INRs at a time as on the points of the fits, so that one loop serves both.
            flat = weights_BTP[rows].flatten(0, 1)
            there = torch.from_numpy(points[rows]).to(device).repeat_interleave(weights_BTP.shape[1], dim=0)
            there_BTKC = predict(observed.inr, flat, there).unflatten(0, (-1, weights_BTP.shape[1]))
            unseen = compared(rows, there_BTKC, values, None)
        yield rows, fitted, unseen


def quality(observation: Observation, fitted: Comparison, held_out: Comparison | None) -> dict[str, Tensor]:
    """Quality of what stands for INRs, one for each signal (T is 1), by name: numbers (B,).

    Args:
        observation: whose measures are taken.
        fitted, held_out: as `comparisons` yields them.

    Returns:
        `PSNR` in dB at the points of the fits, or for logits the `loss` in nats; and the measures of the observation.
    """
    error_B = LOSSES[observation.loss_name](fitted.values_BTKC[:, 0], fitted.targets_BKC).mean(dim=(1, 2))
    logits = observation.loss_name == LOGITS
    measures = observation.measure(fitted, held_out)
    return {
        **({"loss": error_B} if logits else {"PSNR": psnr(error_B, fitted.value_range)}),
        **{name: each_BT[:, 0] for name, each_BT in measures.items()},
    }
