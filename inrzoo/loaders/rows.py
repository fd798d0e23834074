"""The INRs of a dataset and their locations in stores.

An INR is (store, signal, seed, step). Here it is one number, its position in the concatenation of all stores, each seed
by seed, signal by signal, step by step. That is the order of the shards, so ascending numbers are read sequentially.

Shape letters: N signals, S seeds, T snapshots, B INRs of a batch.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.keywords import unknown
from inrzoo.store import Store


class InrLocations(NamedTuple):
    """Store numbers of B INRs and positions on the axes of their stores, (B,) int64 each."""

    store: NDArray[np.int64]
    signal: NDArray[np.int64]
    seed: NDArray[np.int64]
    step: NDArray[np.int64]


class Rows:
    """The selected INRs of stores, in the order of the shards.

    Args:
        stores: at least one store.
        split: name of a split; None for all.
        seeds: numbers of the fits of each signal; None for all.
        views: step counts of the snapshots; None for the last one of each store.
        conditions: conditions of `Store.select`; by default the status is ok or early stop.

    Attributes:
        items: (L,) uint32, or int64 if that is too small; the ascending numbers of the INRs, see the module.
        first_signal: number of the first signal of each store. Stores of the same signals (by their digest) share their
            numbers.
        steps: step count of each snapshot, by store.

    Raises:
        InrzooError: a store lacks a split, seed, view or condition, or no INR is left.
    """

    def __init__(
        self,
        stores: Sequence[Store],
        *,
        split: str | None,
        seeds: int | Sequence[int] | None,
        views: int | Sequence[int] | None,
        conditions: Mapping[str, Any],
    ) -> None:
        allowed = [
            name for name in inspect.signature(Store.select).parameters if name not in ("store", "split", "step")
        ]
        for name in conditions:
            if name not in allowed:
                raise unknown("a selection of INRs", name, allowed)
        self._stores = list(stores)
        self._shapes = [store.weights.shape[:3] for store in stores]
        self.steps = [np.array(store.snapshots, dtype=np.int64) for store in stores]
        self.views = [_views(store, views) for store in stores]
        self._offsets = np.cumsum([0, *(np.prod(shape) for shape in self._shapes)]).astype(np.int64)
        # Four bytes for each INR, if enough, as stores have millions.
        number = np.dtype(np.uint32 if self._offsets[-1] < 2**32 else np.int64)
        chosen = [
            np.flatnonzero(_chosen(store, split, _seeds(store, seeds), steps, conditions)).astype(number)
            for store, steps in zip(stores, self.views, strict=True)
        ]
        for items, offset in zip(chosen, self._offsets, strict=False):
            items += number.type(offset)
        self.items: NDArray[np.integer[Any]] = np.concatenate(chosen)
        if not len(self.items):
            settings = {"split": split, "seeds": seeds, "views": views, **conditions}
            named = ", ".join(f"{name}={value!r}" for name, value in settings.items() if value is not None)
            raise InrzooError(f"no INR of {', '.join(store.location for store in stores)} meets {named or 'status ok'}")
        self.first_signal = self._number_signals()

    def __len__(self) -> int:
        """Return L, the number of INRs."""
        return len(self.items)

    def subset(self, positions_L: NDArray[np.int64]) -> Rows:
        """Return the INRs at some positions, in ascending order."""
        part = copy.copy(self)
        part.items = self.items[np.sort(positions_L)]
        return part

    def locations(self, positions_B: NDArray[np.int64]) -> InrLocations:
        """Return the locations of the INRs at positions of `items`."""
        items = self.items[positions_B].astype(np.int64)
        if len(self._stores) == 1:
            return InrLocations(np.zeros_like(items), *self._split(items, 0))
        store = np.searchsorted(self._offsets, items, side="right") - 1
        signal, seed, step = np.empty_like(items), np.empty_like(items), np.empty_like(items)
        for number in np.unique(store).tolist():
            mask_B = store == number
            signal[mask_B], seed[mask_B], step[mask_B] = self._split(items[mask_B] - self._offsets[number], number)
        return InrLocations(store, signal, seed, step)

    def signals(self, locations: InrLocations) -> NDArray[np.int64]:
        """Return the numbers of the signals among those of all stores. Shape (B,)."""
        return locations.signal if len(self._stores) == 1 else locations.signal + self.first_signal[locations.store]

    def step_counts(self, locations: InrLocations) -> NDArray[np.int64]:
        """Return the step counts of the snapshots. Shape (B,)."""
        if len(self._stores) == 1:
            return self.steps[0][locations.step]
        table = np.zeros((len(self.steps), max(map(len, self.steps))), dtype=np.int64)
        for number, counts in enumerate(self.steps):
            table[number, : len(counts)] = counts
        return table[locations.store, locations.step]

    def chunks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the chunks of the shards as ranges of items.

        Returns:
            starts: (chunks + 1,), positions in `items`, the last one L.
            shards: (chunks,), number of the shard of each chunk; ascending, without gaps.
        """
        starts, shards, shards_so_far = [], [], 0
        for store, (num_signals, num_seeds, num_steps), offset in zip(
            self._stores, self._shapes, self._offsets, strict=False
        ):
            # A chunk is a range of numbers: its start is looked up, without an array of all items.
            begins = np.arange(0, num_signals, store.partition.chunk_rows)
            seeds = np.arange(num_seeds)[:, None]
            starts.append((offset + (seeds * num_signals + begins) * num_steps).ravel())
            shards.append(
                (shards_so_far + seeds * store.partition.num_shards + begins // store.partition.shard_rows).ravel()
            )
            shards_so_far += num_seeds * store.partition.num_shards
        positions = np.append(np.searchsorted(self.items, np.concatenate(starts).astype(self.items.dtype)), len(self))
        nonempty = np.diff(positions) > 0
        numbers = np.unique(np.concatenate(shards)[nonempty], return_inverse=True)[1]
        return np.append(positions[:-1][nonempty], len(self)), numbers

    def _split(
        self, items: NDArray[np.int64], store: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        num_signals, _, num_steps = self._shapes[store]
        rest, step = (items, np.zeros_like(items)) if num_steps == 1 else np.divmod(items, num_steps)
        seed, signal = np.divmod(rest, num_signals)
        return signal, seed, step

    def _number_signals(self) -> NDArray[np.int64]:
        first: dict[str, int] = {}
        count, numbers = 0, []
        for store in self._stores:
            key = store.info.signals_sha256
            if key not in first:
                first[key], count = count, count + store.num_signals
            numbers.append(first[key])
        return np.array(numbers, dtype=np.int64)


def _views(store: Store, views: int | Sequence[int] | None) -> list[int]:
    """Return the positions of the views on the step axis."""
    if views is None:
        return [len(store.snapshots) - 1]
    numbers = [views] if isinstance(views, int) else list(views)
    for view in numbers:
        if view not in store.snapshots:
            known = ", ".join(map(str, store.snapshots))
            raise InrzooError(f"{store.location} has no view of {view} steps; there are: {known}")
    return [store.snapshots.index(view) for view in numbers]


def _seeds(store: Store, seeds: int | Sequence[int] | None) -> list[int]:
    numbers = list(range(store.num_seeds)) if seeds is None else [seeds] if isinstance(seeds, int) else list(seeds)
    for seed in numbers:
        if not 0 <= seed < store.num_seeds:
            raise InrzooError(f"{store.location} has no seed {seed}; there are: 0 to {store.num_seeds - 1}")
    return numbers


def _chosen(
    store: Store, split: str | None, seeds: list[int], steps: list[int], conditions: Mapping[str, Any]
) -> NDArray[np.bool_]:
    """Return which INRs meet the conditions, (S, N, T)."""
    num_signals, num_seeds, num_steps, _ = store.weights.shape
    chosen = np.zeros((num_seeds, num_signals, num_steps), dtype=bool)
    for step in steps:
        chosen[seeds, :, step] = store.select(split=split, step=step, **conditions).T[seeds]
    return chosen
