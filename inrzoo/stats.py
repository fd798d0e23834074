"""Computes the normalisation statistics of a store: training split, usable fits, float64, one pass, with dask.
Formulas: docs/derivations/store.md#statistics.

Shape letters: N signals, S seeds, T snapshots, P parameters.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.extras import needed
from inrzoo.store import Location, Store, complete, only_writer, open_store
from inrzoo.store.intact import require_intact
from inrzoo.store.names import is_statistic
from inrzoo.weights import WeightLayout

MANY_NUMBERS = 2**24
"""Numbers of weights of a snapshot from which on threads compute the statistics."""


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations of each entry, which merge without loss of precision.

    Attributes:
        count: number of INRs.
        mean, m2: mean and sum of squared deviations, (T, P), float64.
    """

    count: int
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]

    @classmethod
    def from_weights(cls, weights_NTP: NDArray[np.float32]) -> "Moments":
        """Compute the moments over the first axis in two passes, in float64."""
        exact = weights_NTP.astype(np.float64)
        mean = exact.mean(axis=0) if len(exact) else np.zeros(exact.shape[1:])
        return cls(len(exact), mean, np.square(exact - mean).sum(axis=0))

    def merge(self, other: "Moments") -> "Moments":
        """Merge two sets (Chan, Golub & LeVeque 1979, "Updating formulae…", eq. 2.1)."""
        count = self.count + other.count
        if not count:
            return self
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / count)
        return Moments(count, mean, self.m2 + other.m2 + np.square(delta) * (self.count * other.count / count))


def run(store: Store) -> None:
    """Compute the statistics of a store, write them into it and seal it.

    Raises:
        InrzooError: a seed is unfinished.
    """
    complete(store.path, compute(store))


def recompute(path: Location) -> Store:
    """Compute the statistics of a finished store again, and return the store.

    The weights are verified first, as valid checksums of the new statistics would hide their damage.

    Raises:
        InrzooError: a file is damaged, a seed is unfinished, or another process writes to the store.
    """
    with only_writer(path):
        store = open_store(path)
        require_intact(path, store.info, is_statistic)
        run(store)
        return open_store(path)


def compute(store: Store) -> dict[str, tuple[NDArray[Any], list[str]]]:
    """Compute statistics over the training split, or the whole set without one, of fits with status ok or early stop.

    Returns:
        Arrays with dimension names, by name: `mean`, `std` (population, σ = √(M2/n)) and `count` per parameter, (T, P);
        `tensor_mean`, `tensor_std`, `tensor_count` over all entries of each tensor of the layout, (T, tensors).

    Raises:
        MissingPackageError: dask is not installed.
    """
    with needed("build", "computing statistics"):
        import dask

    names = store.info.split_names
    train = store.split == names.index("train") if "train" in names else np.ones(store.num_signals, dtype=bool)
    selected_NS, rows = train[:, None] & store.usable, store.partition.shard_rows
    # The order of merging is fixed, so the result does not depend on the scheduling of dask.
    tasks = [
        dask.delayed(_slab)(store, np.arange(start, min(start + rows, store.num_signals)), seed, selected_NS[:, seed])
        for seed in range(store.num_seeds)
        for start in range(0, store.num_signals, rows)
    ]
    # For so little a thread costs more than it brings; where memory ends, Python may wait for ever for one to start.
    scheduler = "threads" if selected_NS.size * store.layout.num_params >= MANY_NUMBERS else "synchronous"
    first, *rest = dask.compute(*tasks, scheduler=scheduler)
    for moments in rest:
        first = first.merge(moments)
    return _arrays(first, store.layout)


def _slab(store: Store, rows: NDArray[np.int64], seed: int, selected_N: NDArray[np.bool_]) -> Moments:
    """Compute the moments of a shard in tiles of 256 rows, which fit the cache with their float64 copies."""
    chosen = rows[selected_N[rows]]
    total = Moments.from_weights(store.weights[chosen[:0], seed])
    for start in range(0, len(chosen), 256):
        total = total.merge(Moments.from_weights(store.weights[chosen[start : start + 256], seed]))
    return total


def _arrays(moments: Moments, layout: WeightLayout) -> dict[str, tuple[NDArray[Any], list[str]]]:
    num_steps = len(moments.mean)
    counts = np.full(moments.mean.shape, moments.count, dtype=np.int64)
    nan_if_empty = np.nan if not moments.count else 1.0
    tensors: dict[str, list[Any]] = {"mean": [], "std": [], "count": []}
    for tensor in layout.tensors:
        part = slice(layout.offsets[tensor.name], layout.offsets[tensor.name] + tensor.size)
        mean = moments.mean[:, part].mean(axis=1)
        between = moments.count * np.square(moments.mean[:, part] - mean[:, None]).sum(axis=1)
        count = moments.count * tensor.size
        tensors["mean"].append(mean * nan_if_empty)
        tensors["std"].append(np.sqrt((moments.m2[:, part].sum(axis=1) + between) / max(count, 1)) * nan_if_empty)
        tensors["count"].append(np.full(num_steps, count, dtype=np.int64))
    per_param = ["step", "param"]
    return {
        "mean": (moments.mean * nan_if_empty, per_param),
        "std": (np.sqrt(moments.m2 / max(moments.count, 1)) * nan_if_empty, per_param),
        "count": (counts, per_param),
        **{f"tensor_{name}": (np.stack(columns, axis=1), ["step", "tensor"]) for name, columns in tensors.items()},
    }
