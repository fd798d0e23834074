"""Measures what a store records of fits beside loss and steps: frequencies, exact values, the observation's measures.

Shape letters: B INRs, T snapshots, P parameters, K points, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from inrzoo.choices import Status
from inrzoo.fit.batches import evaluated
from inrzoo.fit.frequencies import frequencies
from inrzoo.fit.metrics import exact_share
from inrzoo.fit.result import Fit
from inrzoo.inrs import INR
from inrzoo.observations import Comparison
from inrzoo.store import Quality, Store
from inrzoo.store.signal_reader import Evaluate
from inrzoo.targets import Targets


def measured(store: Store, targets: Targets, fit: Fit, evaluate: Evaluate) -> Quality:
    """Return the quality of the fits of some signals of a store."""
    weights_BTP = fit.weights_BTP
    out_of_band, max_frequency = frequencies(
        store.inr,
        weights_BTP,
        store.info.grid if targets.shared_coords else None,
        **asdict(store.info.manifest.coords),
        evaluate=evaluate,
    )
    observation, status_B = store.observation, fit.status_B.cpu()
    shares, measures = [], []
    with torch.inference_mode():
        for rows, fitted, held_out in comparisons(store, targets, weights_BTP, evaluate):
            shares.append(exact(store, fitted, targets, rows).cpu())
            measures.append(observation.measure(fitted, held_out))
            failed = observation.failed(fitted, measures[-1])
            if failed is not None:
                status_B[rows][failed.cpu()] = int(Status.DIVERGED)
    return Quality(
        psnr=fit.psnr_BT.cpu().numpy(),
        loss=fit.loss_BT.cpu().numpy(),
        steps=fit.steps_BT.cpu().numpy(),
        status=status_B.numpy(),
        out_of_band=out_of_band.cpu().numpy(),
        max_frequency=max_frequency.cpu().numpy(),
        exact=torch.cat(shares).numpy(),
        measures={
            name: torch.cat([part[name].cpu() for part in measures]).numpy() for name in store.info.observed_measures
        },
    )


def comparisons(
    store: Store, targets: Targets, weights_BTP: Tensor, evaluate: Evaluate
) -> Iterator[tuple[slice, Comparison, Comparison | None]]:
    """Yield rows of INRs and their values beside the signals': on the points of the fits, and on held-out ones.

    Args:
        evaluate: an engine's.
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


def exact(store: Store, fitted: Comparison, targets: Targets, rows: slice) -> Tensor:
    """Return the share of the signals' numbers that INRs give back, (B, T); NaN for numbers that are no integers."""
    values = store.info.manifest.values
    if targets.numbers_BKC.dtype.kind == "f":
        return torch.full(fitted.values_BTKC.shape[:2], torch.nan)
    numbers_B1KC = torch.from_numpy(targets.numbers_BKC[rows]).to(fitted.values_BTKC.device)[:, None]
    if values.dtype == "uint8" and values.scale == "dtype":
        return exact_share(fitted.values_BTKC, numbers_B1KC, values.range)
    limits = torch.from_numpy(targets.limits_B2[rows]).to(numbers_B1KC.device)
    first, last = limits[:, :, None, None, None].unbind(1)
    return exact_share(fitted.values_BTKC, numbers_B1KC, values.range, (first, last))
