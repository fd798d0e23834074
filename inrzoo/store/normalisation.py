"""Mean and standard deviation by which weights are normalised: those of the training split, as stores record them.
Formulas: docs/derivations/store.md#normalisation.

Shape letters: P parameters, T snapshots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.nearest import among

if TYPE_CHECKING:
    from inrzoo.store.reader import Store

Normalise = Literal["auto", "per_parameter", "per_tensor", "none"]
MIN_STD = 1e-6
"""Minimum standard deviation; smaller ones count as 1, so that constant weights become 0, not noise (nfn: 1e-5)."""


def mean_and_std(
    stores: Sequence[Store], steps: Sequence[Sequence[int]], kind: Normalise = "auto"
) -> tuple[str, NDArray[np.float32], NDArray[np.float32]]:
    """Return the kind of normalisation, and the mean and standard deviation of each parameter, (P,).

    `auto` is per parameter if all signals of a seed share initial weights, so that a parameter is the same neuron in
    all of them, or if the INRs are latents; and per tensor if every INR has its own: there, treating neurons
    differently would break permutation symmetry. Statistics of several stores or snapshots are merged (Chan, Golub &
    LeVeque 1979, "Updating formulae…", eq. 2.1) into one map. They cover the training split and all seeds, whatever is
    loaded.

    Args:
        stores: stores that are loaded as one.
        steps: positions on the step axis of each store.
        kind: `auto`, `per_parameter`, `per_tensor` or `none`.

    Raises:
        InrzooError: the kind is unknown, or a store has no statistics.
    """
    if kind not in get_args(Normalise):
        raise InrzooError(f"normalise = {kind!r} is not known{among(kind, get_args(Normalise))}")
    layout = stores[0].layout
    if kind == "auto":
        own_starts = stores[0].info.manifest.init_mode == "random" and bool(layout.neuron_axes)
        kind = "per_tensor" if own_starts else "per_parameter"
    if kind == "none":
        return kind, np.zeros(layout.num_params, np.float32), np.ones(layout.num_params, np.float32)
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
    return kind, mean.astype(np.float32), std.astype(np.float32)


def _merged(
    counts: NDArray[np.float64], means: NDArray[np.float64], variances: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Merge means and variances of parts along the first axis; return mean and population standard deviation."""
    total = counts.sum(axis=0)
    mean = (counts * means).sum(axis=0) / total
    within_and_between = counts * (variances + np.square(means - mean))
    return mean, np.sqrt(within_and_between.sum(axis=0) / total)
