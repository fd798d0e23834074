"""Rounds fitted weights to what a store keeps of them, and measures what that costs.

Values are those of torch on the CPU, whichever engine fitted the INRs: a conversion of a finished store and a build
that rounds as it goes then record the same numbers.

Shape letters: B INRs, T snapshots, P parameters, K points, C channels.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrzoo.builder.quality import exact
from inrzoo.choices import Status
from inrzoo.comparisons import comparisons
from inrzoo.errors import InrzooError
from inrzoo.fit.batches import evaluated
from inrzoo.fit.frequencies import frequencies
from inrzoo.fit.loop import evaluate
from inrzoo.fit.losses import LOSSES
from inrzoo.fit.metrics import psnr
from inrzoo.inrs import INR
from inrzoo.store import Quality, Store
from inrzoo.targets import Targets


def rounded(
    store: Store, targets: Targets | None, weights_BTP: NDArray[np.float32], quality: Quality
) -> tuple[NDArray[np.float32], Quality]:
    """Round fitted weights as a store keeps them.

    Args:
        store: says to which type, and how INRs are compared with signals.
        targets: what the INRs were fitted to; None if it is not known.
        weights_BTP: the fitted weights.
        quality: theirs; steps and status stay as they are.

    Returns:
        The rounded weights, as float32, and their quality. Without `targets` that is only how near the rounded INRs are
        to the fitted ones on the grid, and their frequencies; the rest is NaN.

    Raises:
        InrzooError: a weight is too large for the type, or there are neither targets nor a grid.
    """
    rounding, status_B = store.info.rounding, quality.status
    assert rounding is not None, "a store that keeps every bit rounds nothing"
    kept_BTP = rounding.round(weights_BTP)
    _require_finite(store, weights_BTP, kept_BTP, status_B)
    fitted, kept = torch.from_numpy(weights_BTP), torch.from_numpy(kept_BTP)
    grid = None if store.info.arrays else store.info.grid
    with torch.inference_mode():
        out_of_band, max_frequency = frequencies(
            store.inr, kept, grid, **asdict(store.info.manifest.coords), evaluate=evaluate
        )
        found = _against_signals(store, targets, fitted, kept) if targets else _on_grid(store, fitted, kept)
    columns: dict[str, NDArray[Any]] = {
        **{name: np.full(weights_BTP.shape[:2], np.nan, np.float32) for name in ("loss", "psnr", "exact")},
        "steps": quality.steps,
        "status": status_B,
        "out_of_band": out_of_band.float().numpy(),
        "max_frequency": max_frequency.float().numpy(),
    }
    measures = {name: np.full(weights_BTP.shape[:2], np.nan, np.float32) for name in store.info.measures}
    for name, found_BT in found.items():
        (measures if name in measures else columns)[name] = found_BT.float().numpy()
    pending = status_B == Status.PENDING
    for name, values in {**columns, **measures}.items():
        if name not in ("steps", "status"):
            values[pending] = np.nan
    return kept_BTP, Quality(**columns, measures=measures)


def _against_signals(store: Store, targets: Targets, fitted: Tensor, kept: Tensor) -> dict[str, Tensor]:
    """Measure the rounded INRs, and the fitted ones as far as they are compared. (B, T) each, by name."""
    observation, error = store.observation, LOSSES[store.observation.loss_name]
    parts: list[dict[str, Tensor]] = []
    both = zip(comparisons(store, targets, kept, evaluate), comparisons(store, targets, fitted, evaluate), strict=True)
    for (rows, now, held_out), (_, then, _) in both:
        losses = [error(each.values_BTKC, each.targets_BKC[:, None]).mean(dim=(-2, -1)) for each in (now, then)]
        parts.append({
            **observation.measure(now, held_out),
            "loss": losses[0],
            "before": losses[1],
            "exact": exact(store, now, targets, rows),
            "difference": (now.values_BTKC - then.values_BTKC).square().mean(dim=(-2, -1)),
        })  # fmt: skip
    found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    before, difference = found.pop("before"), found.pop("difference")
    found["rounding_psnr"] = psnr(difference, store.value_range)
    if observation.loss_name == "mse":
        found["psnr"] = psnr(found["loss"], store.value_range)
        lost = psnr(before, store.value_range) - found["psnr"]
        found["psnr_lost"] = torch.where(before == found["loss"], 0.0, lost)  # of two perfect INRs both are infinite
    return found


def _on_grid(store: Store, fitted: Tensor, kept: Tensor) -> dict[str, Tensor]:
    """Compare the rounded INRs with the fitted ones on the grid."""

    def predict(inr: INR, weights_BP: Tensor, where: Tensor) -> Tensor:
        return store.predict(weights_BP, where, evaluate)

    coords, evaluations = torch.from_numpy(store.coords()), store.observation.evaluations
    pairs = zip(*(evaluated(store.inr, each, coords, predict, evaluations) for each in (kept, fitted)), strict=True)
    difference = torch.cat([(now - before).square().mean(dim=(-2, -1)) for (_, now), (_, before) in pairs])
    return {"rounding_psnr": psnr(difference, store.value_range)}


def _require_finite(
    store: Store, weights_BTP: NDArray[np.float32], kept_BTP: NDArray[np.float32], status_B: NDArray[np.uint8]
) -> None:
    """Raise InrzooError if a usable INR has a weight that the type cannot hold."""
    usable_B = np.isin(status_B, store.info.status_codes("ok", "early stop"))
    lost = np.isfinite(weights_BTP) & ~np.isfinite(kept_BTP) & usable_B[:, None, None]
    if lost.any():
        largest, kept = float(np.abs(weights_BTP[lost]).max()), store.info.manifest.weights
        raise InrzooError(
            f"a weight of {largest:g} is too large for {kept} in {store.location}; --weights bfloat16 has the range of "
            "float32"
        )
