"""Normalises weights by the statistics of the training split in a store.
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
from inrzoo.nearest import among
from inrzoo.store import Store
from inrzoo.weights import WeightLayout

Normalise = Literal["auto", "per_parameter", "per_tensor", "none"]
MIN_STD = 1e-6
"""Minimum standard deviation; smaller ones count as 1, so that constant weights become 0, not noise (nfn: 1e-5)."""


@dataclass(frozen=True)
class Normaliser:
    """The map weights ↦ (weights − mean) / std of a whole dataset.

    Attributes:
        kind: `per_parameter`, `per_tensor` or `none`.
        mean, std: (P,) float32, constant within each tensor for `per_tensor`; std is at least 1e-6.
    """

    kind: str
    mean: Tensor
    std: Tensor

    def __call__(self, weights: Tensor) -> Tensor:
        """Return normalised weights in a new tensor. Shape (..., P)."""
        if self.kind == "none":
            return weights.clone()
        return weights.sub(self.mean.to(weights.device)).div_(self.std.to(weights.device))

    def in_place(self, weights: Tensor) -> Tensor:
        """Normalise `weights` in place and return them."""
        return weights if self.kind == "none" else weights.sub_(self.mean).div_(self.std)

    def inverse(self, weights: Tensor) -> Tensor:
        """Undo the normalisation, up to rounding, in a new tensor. Shape (..., P)."""
        if self.kind == "none":
            return weights.clone()
        return weights.mul(self.std.to(weights.device)).add_(self.mean.to(weights.device))


def no_normaliser(layout: WeightLayout) -> Normaliser:
    """Return the normaliser that leaves weights as they are."""
    return Normaliser("none", torch.zeros(layout.num_params), torch.ones(layout.num_params))


def normaliser(stores: Sequence[Store], steps: Sequence[Sequence[int]], kind: Normalise = "auto") -> Normaliser:
    """Return the normaliser of some snapshots of some stores.

    `auto` is per parameter if all signals of a seed share initial weights, so that a parameter is the same neuron in
    all of them, and per tensor if every INR has its own: there, treating neurons differently would break permutation
    symmetry. Statistics of several stores or snapshots are merged (Chan, Golub & LeVeque 1979, "Updating formulae…",
    eq. 2.1) into one map. They cover the training split and all seeds, whatever is loaded.

    Args:
        stores: stores that are loaded as one.
        steps: positions on the step axis of each store.
        kind: `auto`, `per_parameter`, `per_tensor` or `none`.

    Raises:
        InrzooError: the kind is unknown, or a store has no statistics.
    """
    if kind not in get_args(Normalise):
        raise InrzooError(f"normalise = {kind!r} is not known{among(kind, get_args(Normalise))}")
    if kind == "auto":
        kind = "per_tensor" if stores[0].info.manifest.init_mode == "random" else "per_parameter"
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
    std = np.where(std < MIN_STD, 1.0, std)
    return Normaliser(kind, torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(std.astype(np.float32)))


def measured_normaliser(batches: Callable[[], Iterable[Tensor]], layout: WeightLayout, kind: str) -> Normaliser:
    """Return the normaliser by the statistics of weights that are read in two passes, whatever a store records.

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
    return Normaliser(kind, mean.float(), torch.where(std < MIN_STD, 1.0, std).float())


def _merged(
    counts: NDArray[np.float64], means: NDArray[np.float64], variances: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Merge means and variances of parts along the first axis; return mean and population standard deviation."""
    total = counts.sum(axis=0)
    mean = (counts * means).sum(axis=0) / total
    within_and_between = counts * (variances + np.square(means - mean))
    return mean, np.sqrt(within_and_between.sum(axis=0) / total)
