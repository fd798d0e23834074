"""The values of INRs beside those of their signals, through the observation of a store.

Shape letters: B INRs, T snapshots, P parameters, K points, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from inrzoo.fit.batches import evaluated
from inrzoo.inrs import INR
from inrzoo.observations import Comparison
from inrzoo.store import Store
from inrzoo.store.signal_reader import Evaluate
from inrzoo.targets import Targets


def comparisons(
    store: Store, targets: Targets, weights_BTP: Tensor, evaluate: Evaluate
) -> Iterator[tuple[slice, Comparison, Comparison | None]]:
    """Yield rows of INRs and their values beside the signals': on the points of the fits, and on held-out ones.

    Args:
        store: whose observation predicts the values.
        targets: of the B signals.
        weights_BTP: weights of the INRs, or whatever else `evaluate` makes values of.
        evaluate: an engine's, or another function of the store's INR, `weights_BTP` of some INRs, and coordinates.
    """
    device, value_range = weights_BTP.device, store.value_range
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
            grid=store.info.grid,
            valid_BK=None if own_BK is None else own_BK[rows],
        )

    def predict(inr: INR, weights_BP: Tensor, where: Tensor) -> Tensor:
        return store.predict(weights_BP, where, evaluate)

    where, evaluations = torch.from_numpy(targets.coords).to(device), store.observation.evaluations
    for rows, values_BTKC in evaluated(store.inr, weights_BTP, where, predict, evaluations):
        fitted, unseen = compared(rows, values_BTKC, targets.values_BKC, valid_BK), None
        if targets.held_out is not None:
            points, values = targets.held_out
            # As many INRs at a time as on the points of the fits, so that one loop serves both.
            flat = weights_BTP[rows].flatten(0, 1)
            there = torch.from_numpy(points[rows]).to(device).repeat_interleave(weights_BTP.shape[1], dim=0)
            there_BTKC = predict(store.inr, flat, there).unflatten(0, (-1, weights_BTP.shape[1]))
            unseen = compared(rows, there_BTKC, values, None)
        yield rows, fitted, unseen
