"""Measures what a store records of fits beside loss and steps: frequencies, exact values, the observation's measures.

Shape letters: B INRs, T snapshots, P parameters, K points, C channels.
"""

from __future__ import annotations

from dataclasses import asdict

import torch
from torch import Tensor

from inrzoo.choices import Status
from inrzoo.comparisons import comparisons
from inrzoo.fit.frequencies import frequencies
from inrzoo.fit.metrics import exact_share
from inrzoo.fit.result import Fit
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
