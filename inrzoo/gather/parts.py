"""The INRs that go into a new store, as arrays of that store which are read when they are needed.

Shape letters: N signals, S seeds, T snapshots, P parameters, B signals of a block.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import Status
from inrzoo.store import Store
from inrzoo.store.blocks import MEASURE_PREFIX, column_kind

BATCH_BYTES = 8 * 10**6
"""Target size, in bytes, of the numbers of signals that are read at once."""

Ranges = list[tuple["Part", NDArray[np.int64]]]


@dataclass(frozen=True)
class Part:
    """INRs of one store.

    Attributes:
        store: the store.
        signals: numbers of N of its signals, in their new order.
        seeds: numbers of S of its seeds.
        steps: places of T of its snapshots on the step axis.
        chosen_NS: whether an INR of these is taken; others are pending in the new store.
    """

    store: Store
    signals: NDArray[np.int64]
    seeds: NDArray[np.int64]
    steps: NDArray[np.int64]
    chosen_NS: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        store: Store,
        *,
        signals: NDArray[np.int64] | None = None,
        seeds: NDArray[np.int64] | None = None,
        steps: NDArray[np.int64] | None = None,
    ) -> Part:
        """Return the finished INRs of some signals, seeds and snapshots; None for all."""
        signals = np.arange(store.num_signals) if signals is None else signals
        seeds = np.arange(store.num_seeds) if seeds is None else seeds
        steps = np.arange(len(store.snapshots)) if steps is None else steps
        return cls(store, signals, seeds, steps, store.status[signals][:, seeds] != Status.PENDING)

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of qualities, (N, S, …)."""
        whole = self.store.measures[name.removeprefix(MEASURE_PREFIX)] if "." in name else getattr(self.store, name)
        column: NDArray[Any] = whole[self.signals][:, self.seeds]
        if column.ndim > 2:
            column = column[:, :, self.steps]
        column[~self.chosen_NS] = column_kind(name).fill
        return column

    def weights(self, rows: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
        """Return the weights of some of the N signals, (B, T, P); NaN for INRs that are not taken."""
        read = self.store.weights[self.signals[rows], int(self.seeds[seed]), self.steps.tolist()]
        weights_BTP = np.array(read, dtype=np.float32).reshape(len(rows), len(self.steps), -1)
        weights_BTP[~self.chosen_NS[rows, seed]] = np.nan
        return weights_BTP


@dataclass(frozen=True)
class Gathering:
    """Parts that follow each other on the signal axis (0) or on the seed axis (1), with equal sizes on the other one.

    Attributes:
        selection: what a subset was asked for, by name of the option.
    """

    parts: tuple[Part, ...]
    axis: Literal[0, 1]
    selection: dict[str, str] = field(default_factory=dict)

    @property
    def first(self) -> Store:
        """The store whose settings are those of all."""
        return self.parts[0].store

    @property
    def of_signals(self) -> tuple[Part, ...]:
        """The parts that hold the signals: all, or the first one where all hold the same."""
        return self.parts if self.axis == 0 else self.parts[:1]

    @cached_property
    def shape(self) -> tuple[int, int]:
        """N and S."""
        shapes = [part.chosen_NS.shape for part in self.parts]
        total = sum(shape[self.axis] for shape in shapes)
        return (total, shapes[0][1]) if self.axis == 0 else (shapes[0][0], total)

    @property
    def snapshots(self) -> tuple[int, ...]:
        """Step counts of the T snapshots."""
        return tuple(int(self.first.snapshots[step]) for step in self.parts[0].steps)

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of qualities, (N, S, …)."""
        return np.concatenate([part.column(name) for part in self.parts], axis=self.axis)

    def per_signal(self, read: Callable[[Part], NDArray[Any]]) -> NDArray[Any]:
        """Concatenate what `read` gives for the signals of each part. Shape (N, …)."""
        return np.concatenate([read(part) for part in self.of_signals])

    def weights(self, rows: slice, seed: int) -> NDArray[np.float32]:
        """Return the weights of a block, (B, T, P)."""
        if self.axis == 1:
            for part in self.parts:
                if seed < len(part.seeds):
                    return part.weights(np.arange(rows.start, rows.stop), seed)
                seed -= len(part.seeds)
        return np.concatenate([part.weights(within, seed) for part, within in self.ranges(rows)])

    def ranges(self, rows: slice) -> Ranges:
        """Return the parts that hold some signals, each with the numbers of these among its own."""
        found, first = [], 0
        for part in self.of_signals:
            within = np.arange(max(rows.start, first), min(rows.stop, first + len(part.signals))) - first
            if len(within):
                found.append((part, within))
            first += len(part.signals)
        return found

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return the arrays of the signals by name, `signals` among them, which read from the stores when indexed."""
        recorded = self.first.info
        shape = (math.prod(recorded.grid), self.first.channels)
        kinds: dict[str, tuple[tuple[int, ...], str]] = {"signals": (shape, recorded.manifest.values.dtype)}
        kinds |= {name: (spec.shape, spec.dtype) for name, spec in recorded.arrays.items()}
        return {name: _SignalRows(self, name, *kind) for name, kind in kinds.items()}  # type: ignore[misc]


class _SignalRows:
    """An array of all signals of a gathering, (N, …), of which some rows are read at a time."""

    def __init__(self, gathering: Gathering, name: str, shape: tuple[int, ...], dtype: str) -> None:
        self._gathering, self._name = gathering, name
        self.shape, self.dtype = (gathering.shape[0], *shape), np.dtype(dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice) -> NDArray[Any]:
        if isinstance(rows, int):
            one: NDArray[Any] = self[rows : rows + 1][0]
            return one
        start, stop, _ = rows.indices(len(self))
        return np.concatenate([
            np.asarray(part.store.signal_table(part.signals[within]).arrays[self._name])
            for part, within in self._gathering.ranges(slice(start, stop))
        ])  # fmt: skip

    def __iter__(self) -> Iterator[NDArray[Any]]:
        rows = max(1, BATCH_BYTES // max(1, math.prod(self.shape[1:]) * self.dtype.itemsize))
        for start in range(0, len(self), rows):
            yield from self[start : start + rows]
