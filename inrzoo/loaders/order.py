"""The order of an epoch: whole chunks shuffled, then the rows of many chunks mixed. A pure function of (seed, epoch).

Shards are drawn in a random order and taken a few at a time, as a *group*; the chunks of a group are shuffled and cut
into *windows* of about `buffer` INRs, and the rows of a window are shuffled. So an INR may meet any other one, reading
stays within a few shards, and any place of the order can be computed without the places before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.seeding import Stream
from inrzoo.weights import WeightLayout

Batch_co = TypeVar("Batch_co", covariant=True)


class Readable(Protocol[Batch_co]):
    """What can be streamed: items in the order in which they lie on disk, in chunks and shards."""

    @property
    def layout(self) -> WeightLayout:
        """What the P numbers of a weight vector are."""

    def __len__(self) -> int:
        """Number of items."""

    def chunks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each chunk starts among the items, and the length behind them; the shard of each chunk."""

    def read(self, positions_B: NDArray[np.int64], *, epoch: int, key: int) -> Batch_co:
        """A batch; random draws depend on the epoch and on `key`, a number that no other batch of the epoch has."""

    def prefetch(self, positions_B: NDArray[np.int64]) -> None:
        """Have the shards of these items fetched in the background, where they are remote."""

    def read_ahead(self, positions_B: NDArray[np.int64]) -> None:
        """Have the chunks of these items read from disk in the background."""

    def in_use(self, positions_B: NDArray[np.int64]) -> AbstractContextManager[None]:
        """A context in which the shards of these items are kept."""

    def release(self) -> None:
        """Let go of the memory that reading took."""


@dataclass(frozen=True)
class Window:
    """A run of the order that is shuffled as one.

    Attributes:
        begin: place of its first item in the order.
        chunks: numbers of its chunks.
    """

    order: Order
    epoch: int
    begin: int
    chunks: NDArray[np.int64]

    @cached_property
    def end(self) -> int:
        """Place behind its last item."""
        return self.begin + int(self.order.sizes[self.chunks].sum())

    @property
    def first_positions(self) -> NDArray[np.int64]:
        """The first item of each of its chunks."""
        first: NDArray[np.int64] = self.order.starts[self.chunks]
        return first

    @cached_property
    def positions(self) -> NDArray[np.int64]:
        """Its items, in the order in which they are given."""
        starts, sizes = self.order.starts[self.chunks], self.order.sizes[self.chunks]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        positions: NDArray[np.int64] = np.repeat(starts, sizes) + within
        if self.order.shuffle:
            positions = positions[self.order.stream(self.epoch, "rows", self.begin).shuffle(len(positions))]
        return positions


@dataclass(frozen=True)
class Group:
    """Shards that are read at the same time.

    Attributes:
        begin: place of its first item in the order.
        first_positions: one item of each of its chunks.
        windows: ascending.
    """

    begin: int
    first_positions: NDArray[np.int64]
    windows: list[Window]


@dataclass(frozen=True)
class Order:
    """The order of every epoch.

    Attributes:
        starts: (chunks + 1,), where each chunk starts among the items.
        shards: (chunks,), ascending from 0 without gaps.
        shuffle: whether to; if not, the order is that of the items.
        seed: of the shuffling.
        buffer: items that a window has, about.
        mix: shards of a group.
    """

    starts: NDArray[np.int64]
    shards: NDArray[np.int64]
    shuffle: bool
    seed: int
    buffer: int
    mix: int

    def __post_init__(self) -> None:
        """Reject impossible values."""
        for name in ("buffer", "mix"):
            if getattr(self, name) < 1:
                raise InrzooError(f"{name} = {getattr(self, name)!r} is not allowed; it must be 1 or more")

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Items of each chunk."""
        sizes: NDArray[np.int64] = np.diff(self.starts)
        return sizes

    def stream(self, epoch: int, what: str, number: int = 0) -> Stream:
        """The random stream of one decision."""
        return Stream("order", what, self.seed, f"{epoch}/{number}")

    def groups(self, epoch: int, position: int = 0) -> Iterator[Group]:
        """The groups of an epoch from the one that holds the place `position`."""
        bounds = np.append(np.flatnonzero(np.diff(self.shards, prepend=-1)), len(self.shards))
        num_shards = len(bounds) - 1
        order = self.stream(epoch, "shards").shuffle(num_shards) if self.shuffle else np.arange(num_shards)
        at_once = self.mix if self.shuffle else 1
        begin = 0
        for start in range(0, num_shards, at_once):
            members = order[start : start + at_once]
            chunks = np.concatenate([np.arange(bounds[shard], bounds[shard + 1]) for shard in members])
            end = begin + int(self.sizes[chunks].sum())
            if end > position:
                yield self._group(epoch, begin, chunks)
            begin = end

    def _group(self, epoch: int, begin: int, chunks: NDArray[np.int64]) -> Group:
        if self.shuffle:
            chunks = chunks[self.stream(epoch, "chunks", begin).shuffle(len(chunks))]
        sizes = self.sizes[chunks]
        ends = np.cumsum(sizes)
        num_windows = min(len(chunks), max(1, round(int(ends[-1]) / self.buffer)))
        # By the middle of each chunk, so that windows are of about one size and none is small.
        window = (ends - sizes / 2) * num_windows // ends[-1]
        begins = begin + ends - sizes
        windows = [
            Window(self, epoch, int(begins[part[0]]), chunks[part])
            for part in np.split(np.arange(len(chunks)), np.flatnonzero(np.diff(window)) + 1)
        ]
        return Group(begin, self.starts[chunks], windows)
