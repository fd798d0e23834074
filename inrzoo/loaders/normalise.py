"""Normalises weights by the statistics of the training split in a store.
Formulas: docs/derivations/store.md#normalisation.

Shape letters: P parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.store import Store
from inrzoo.store.normalisation import MIN_STD, Normalise, mean_and_std
from inrzoo.weights import WeightLayout

__all__ = ["Normalise", "Normaliser", "measured_normaliser", "no_normaliser", "normaliser"]


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
    """Return the normaliser of some snapshots of some stores; see `inrzoo.store.normalisation.mean_and_std`."""
    chosen, mean, std = mean_and_std(stores, steps, kind)
    return Normaliser(chosen, torch.from_numpy(mean), torch.from_numpy(std))


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
