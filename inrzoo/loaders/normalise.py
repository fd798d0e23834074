"""Normalising weights by the statistics of the training split, which every store carries.
Formulas: docs/derivations/store.md#normalisation.

Shape letters: P parameters, T snapshots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.store import Store
from inrzoo.weights import WeightLayout

Normalise = Literal["auto", "per_parameter", "per_tensor", "none"]
SMALLEST_STD = 1e-6
"""A standard deviation below this is taken as 1: what hardly varies becomes 0, not noise (nfn does so below 1e-5)."""


@dataclass(frozen=True)
class Normaliser:
    """weights ↦ (weights − mean) / std, one map for the whole dataset.

    Attributes:
        kind: `per_parameter`, `per_tensor` or `none`.
        mean, std: (P,) float32; of `per_tensor` all entries of a tensor have the same. std is never below 1e-6.
    """

    kind: str
    mean: Tensor
    std: Tensor

    def __call__(self, weights: Tensor) -> Tensor:
        """Normalised weights, new. Shape (..., P)."""
        if self.kind == "none":
            return weights.clone()
        return weights.sub(self.mean.to(weights.device)).div_(self.std.to(weights.device))

    def in_place(self, weights: Tensor) -> Tensor:
        """The same numbers, written into `weights`."""
        return weights if self.kind == "none" else weights.sub_(self.mean).div_(self.std)

    def inverse(self, weights: Tensor) -> Tensor:
        """The weights that INRs are evaluated with. Shape (..., P), new; undoes the map up to rounding."""
        if self.kind == "none":
            return weights.clone()
        return weights.mul(self.std.to(weights.device)).add_(self.mean.to(weights.device))


def no_normaliser(layout: WeightLayout) -> Normaliser:
    """The map that leaves weights as they are."""
    return Normaliser("none", torch.zeros(layout.num_params), torch.ones(layout.num_params))


def normaliser(stores: Sequence[Store], steps: Sequence[Sequence[int]], kind: Normalise = "auto") -> Normaliser:
    """The map for INRs of some snapshots of some stores.

    `auto` is per parameter where all signals of a seed start at the same weights, so that a parameter is the same
    neuron in all of them, and per tensor where each INR has a start of its own: there, treating neurons differently
    would break the symmetry under permutations. Statistics of several stores or snapshots are merged (Chan, Golub &
    LeVeque 1979, "Updating formulae…", eq. 2.1), so that one map serves all and has an inverse. They are those of the
    training split and of all seeds, whatever is loaded.

    Args:
        steps: for each store, positions on its step axis.

    Raises:
        InrzooError: a kind that does not exist, or a store without statistics.
    """
    if kind not in get_args(Normalise):
        raise InrzooError(f"normalise = {kind!r} is not known; there are: {', '.join(get_args(Normalise))}")
    if kind == "auto":
        shared = stores[0].attributes["manifest"].get("init", {}).get("mode", "random") != "random"
        kind = "per_parameter" if shared else "per_tensor"
    layout = stores[0].layout
    if kind == "none":
        return no_normaliser(layout)
    prefix = "" if kind == "per_parameter" else "tensor_"
    counts, means, variances = [], [], []
    for store, positions in zip(stores, steps, strict=True):
        if not store.stats or not np.isfinite(store.stats["mean"]).all():
            raise InrzooError(
                f"{store.location} has no statistics of its training split; finish its build, or load with "
                'normalise="none"'
            )
        counts += list(store.stats[f"{prefix}count"][list(positions)].astype(np.float64))
        means += list(store.stats[f"{prefix}mean"][list(positions)])
        variances += list(np.square(store.stats[f"{prefix}std"][list(positions)]))
    mean, std = _merged(np.stack(counts), np.stack(means), np.stack(variances))
    if kind == "per_tensor":
        sizes = [tensor.size for tensor in layout.tensors]
        mean, std = np.repeat(mean, sizes), np.repeat(std, sizes)
    std = np.where(std < SMALLEST_STD, 1.0, std)
    return Normaliser(kind, torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(std.astype(np.float32)))


def measured_normaliser(batches: Callable[[], Iterable[Tensor]], layout: WeightLayout, kind: str) -> Normaliser:
    """The map by the statistics of weights that are read in two passes, whatever a store says of its own.

    Args:
        batches: starts a pass over the weights, (B, P) each; every pass gives the same.
        layout: of the P numbers.
        kind: `per_parameter` or `per_tensor`.
    """
    count, total = 0, torch.zeros(layout.num_params, dtype=torch.float64)
    for weights_BP in batches():
        count += len(weights_BP)
        total += weights_BP.double().sum(0)
    mean, squares = total / count, torch.zeros_like(total)
    for weights_BP in batches():
        squares += (weights_BP.double() - mean).square().sum(0)
    variance = squares / count
    if kind == "per_tensor":
        for tensor in layout.tensors:
            part = slice(start := layout.offsets[tensor.name], start + tensor.size)
            tensor_mean = mean[part].mean()
            variance[part] = (variance[part] + (mean[part] - tensor_mean).square()).mean()
            mean[part] = tensor_mean
    std = variance.sqrt()
    return Normaliser(kind, mean.float(), torch.where(std < SMALLEST_STD, 1.0, std).float())


def _merged(
    counts: NDArray[np.float64], means: NDArray[np.float64], variances: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and population standard deviation of parts together; the first axis counts them."""
    total = counts.sum(axis=0)
    mean = (counts * means).sum(axis=0) / total
    within_and_between = counts * (variances + np.square(means - mean))
    return mean, np.sqrt(within_and_between.sum(axis=0) / total)
