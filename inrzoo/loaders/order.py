"""The order of an epoch, a pure function of (seed, epoch): chunks are shuffled, then the rows of many chunks.

Shards are taken in a random order, a few at a time, as a *group*; the chunks of a group are shuffled and cut into
*windows* of about `buffer` INRs, and the rows of a window are shuffled. Any two INRs can share a batch, reading stays
within a few shards, and any position of the order can be computed without those before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
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
    """A source of a stream: items in their order on disk, in chunks and shards."""

    @property
    def layout(self) -> WeightLayout:
        """Names, shapes and axes of the tensors in a weight vector."""

    def __len__(self) -> int:
        """Return the number of items."""

    def chunks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the start of each chunk among the items, followed by the length; and the shard of each chunk."""

    def read(self, positions_B: NDArray[np.int64], *, epoch: int, key: int) -> Batch_co:
        """Read a batch; `key`, unique in the epoch, and the epoch are the key of its random draws."""

    def prefetch(self, positions_B: NDArray[np.int64]) -> None:
        """Fetch the shards of these items in the background, if they are remote."""

    def read_ahead(self, positions_B: NDArray[np.int64]) -> None:
        """Read the chunks of these items from disk in the background."""

    def in_use(self, positions_B: NDArray[np.int64]) -> AbstractContextManager[None]:
        """Return a context in which the shards of these items stay in the cache."""

    def release(self) -> None:
        """Free the memory of reading."""


def evenly(size: int, count: int | None = None) -> NDArray[np.int64]:
    """Positions of at most `count` of `size` items, spread evenly over them, which may be sorted by class; None: all.

    Example:
        >>> evenly(10, 4).tolist(), evenly(3, 4).tolist()
        ([0, 2, 5, 7], [0, 1, 2])
    """
    chosen = size if count is None else min(count, size)
    return np.arange(chosen) * size // max(chosen, 1)


class ReadWhenNeeded:
    """The parts of `Readable` of a source that fetches nothing in advance and holds nothing of its own."""

    def prefetch(self, positions_B: NDArray[np.int64]) -> None:
        """Fetch nothing."""

    def read_ahead(self, positions_B: NDArray[np.int64]) -> None:
        """Read nothing."""

    def in_use(self, positions_B: NDArray[np.int64]) -> AbstractContextManager[None]:
        """Return a context in which nothing is kept."""
        return nullcontext()

    def release(self) -> None:
        """Free nothing."""


@dataclass(frozen=True)
class Window:
    """A range of the order whose rows are shuffled together.

    Attributes:
        begin: position of its first item in the order.
        chunks: numbers of its chunks.
    """

    order: Order
    epoch: int
    begin: int
    chunks: NDArray[np.int64]

    @cached_property
    def end(self) -> int:
        """Position after its last item."""
        return self.begin + int(self.order.sizes[self.chunks].sum())

    @property
    def first_positions(self) -> NDArray[np.int64]:
        """The first item of each of its chunks."""
        first: NDArray[np.int64] = self.order.starts[self.chunks]
        return first

    @cached_property
    def positions(self) -> NDArray[np.int64]:
        """Its items in their order."""
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
        begin: position of its first item in the order.
        first_positions: the first item of each of its chunks.
        windows: ascending windows.
    """

    begin: int
    first_positions: NDArray[np.int64]
    windows: list[Window]


@dataclass(frozen=True)
class Order:
    """The order of every epoch.

    Attributes:
        starts: (chunks + 1,), start of each chunk among the items.
        shards: (chunks,), shard of each chunk, ascending from 0 without gaps.
        shuffle: whether to shuffle.
        seed: seed of the shuffling.
        buffer: approximate number of items in a window.
        shards_at_once: number of shards in a group.
    """

    starts: NDArray[np.int64]
    shards: NDArray[np.int64]
    shuffle: bool
    seed: int
    buffer: int
    shards_at_once: int

    def __post_init__(self) -> None:
        """Reject impossible values."""
        for name in ("buffer", "shards_at_once"):
            if getattr(self, name) < 1:
                raise InrzooError(f"{name} = {getattr(self, name)!r} is not allowed; it must be 1 or more")

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Number of items of each chunk."""
        sizes: NDArray[np.int64] = np.diff(self.starts)
        return sizes

    def stream(self, epoch: int, level: str, number: int = 0) -> Stream:
        """Return the random stream for shuffling one range of shards, chunks or rows."""
        return Stream("order", level, self.seed, f"{epoch}/{number}")

    def groups(self, epoch: int, position: int = 0) -> Iterator[Group]:
        """Yield the groups of an epoch from the one that contains `position`."""
        bounds = np.append(np.flatnonzero(np.diff(self.shards, prepend=-1)), len(self.shards))
        num_shards = len(bounds) - 1
        order = self.stream(epoch, "shards").shuffle(num_shards) if self.shuffle else np.arange(num_shards)
        at_once = self.shards_at_once if self.shuffle else 1
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
        # The middle of each chunk decides its window, so that windows have similar sizes.
        window = (ends - sizes / 2) * num_windows // ends[-1]
        begins = begin + ends - sizes
        windows = [
            Window(self, epoch, int(begins[part[0]]), chunks[part])
            for part in np.split(np.arange(len(chunks)), np.flatnonzero(np.diff(window)) + 1)
        ]
        return Group(begin, self.starts[chunks], windows)
