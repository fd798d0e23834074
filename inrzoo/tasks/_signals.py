"""What tasks share that learn from a store's signals and make INRs of their own.

Shape letters: B batch of signals, P numbers of one INR, K coordinates, D in_features, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inrzoo import registry
from inrzoo.fit.metrics import psnr
from inrzoo.hypernets import Hypernet
from inrzoo.inrs import INR
from inrzoo.loaders import WeightBatch, WeightDataset, load
from inrzoo.tasks import Device

SIGNALS_AT_ONCE = 64


class SignalTarget:
    """Mixed into a task with a field `inr`: name and fields of the INR to be made; empty for the store's."""

    inr: dict[str, Any]

    def target(self, stored: INR) -> INR:
        """The INR whose weights are made."""
        if not self.inr:
            return stored
        made: INR = registry.make("inrs", self.inr, in_features=stored.in_features, out_features=stored.out_features)
        return made

    def conventions(self, path: str | Path) -> dict[str, Any]:
        """See `Task.conventions`: what the weights that come out are weights of, and what goes in."""
        store = load(path, normalise="none").stores[0]
        words = store.attributes["manifest"]
        target = self.target(store.inr)
        inr = {"name": type(target).__module__.rpartition(".")[2], **asdict(target)}
        return {"inr": inr, "grid": store.attributes["grid"], "coords": words["coords"], "values": words["values"]}

    def dataset(self, path: str | Path, split: str) -> WeightDataset:
        """Each signal of a split once.

        Raises:
            InrzooError: the store does not carry its signals.
        """
        seeds = load(path, normalise="none").stores[0].attributes["published_seeds"]
        return load(path, split=split, seeds=seeds[0], normalise="none", signals=True)


def signals(dataset: WeightDataset, device: Device, count: int | None = None) -> Iterator[tuple[Tensor, WeightBatch]]:
    """The grid (K, D) and the first `count` signals, or all, some at a time."""
    coords = torch.from_numpy(dataset.stores[0].coords()).to(device)
    last = len(dataset) if count is None else min(count, len(dataset))
    for start in range(0, last, SIGNALS_AT_ONCE):
        yield coords, dataset[start : min(start + SIGNALS_AT_ONCE, last)].to(device)


def psnr_of(network: Hypernet, weights: Tensor, coords: Tensor, values: Tensor, dataset: WeightDataset) -> Tensor:
    """PSNR of each signal's INR on the whole grid, dB, (B,)."""
    return psnr(network.reconstruction_loss(weights, coords, values), dataset.stores[0].value_range)
