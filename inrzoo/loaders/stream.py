"""Streams the batches of an epoch: shuffled, divided among ranks and workers, resumable.

Shape letters: B INRs of a batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from inrzoo.display import Shown
from inrzoo.errors import InrzooError
from inrzoo.loaders.batch import as_whole
from inrzoo.loaders.distributed import checked_rank, rank_and_world, worker_and_workers
from inrzoo.loaders.order import Order, Readable, Window
from inrzoo.loaders.prefetch import prefetch as prefetched
from inrzoo.weights import WeightLayout

Batch = TypeVar("Batch")
BUFFER_BYTES, MIN_BUFFER = 128 * 2**20, 1024
"""Default size of the shuffle buffer in bytes of weights, and its minimum in INRs."""


class WeightStream(Shown, IterableDataset[Batch], Generic[Batch]):
    """Batches of a dataset, epoch by epoch. Use it directly or as `DataLoader(stream, batch_size=None)`; with another
    batch_size the DataLoader raises an InrzooError.

    The order of an epoch is a function of (seed, epoch). It is cut into batches of B. Rank r of R gets the batches
    r, r + R, …, which the workers of its DataLoader divide; the DataLoader restores their order. Every INR is yielded
    once in an epoch, by one worker of one rank.

    The end of a pass advances the epoch. Workers of a DataLoader are copies: unless they are persistent, call
    `set_epoch` before every epoch.

    Args:
        source: a `WeightDataset` or `Pairs`.
        batch_size: B.
        shuffle: whether to shuffle; see `inrzoo.loaders.order`.
        seed: seed of the order.
        buffer: number of INRs that are shuffled together; None for 128 MiB of them, at least 1,024.
        shards_at_once: number of shards that are read at the same time when shuffling.
        drop_uneven: whether to drop the end of an epoch, fewer than R·B INRs, so that every rank gets the same number
            of whole batches. Otherwise ranks differ by at most one batch, and the last batch is shorter.
        prefetch: number of batches that a thread prepares in advance.
        rank, world: rank of this process and their number; those of `torch.distributed` if None, else 0 of 1.

    Raises:
        InrzooError: a value is impossible.

    Example:
        >>> stream = inrzoo.load("digits.zarr", split="train", streaming=True, shuffle=True, batch_size=16)
        >>> len(stream), sum(len(batch) for batch in stream) == len(stream.dataset)
        (5, True)
        >>> stream.epoch  # the pass that comes next
        1
    """

    def __init__(
        self,
        source: Readable[Batch],
        *,
        batch_size: int = 256,
        shuffle: bool = False,
        seed: int = 0,
        buffer: int | None = None,
        shards_at_once: int = 4,
        drop_uneven: bool = False,
        prefetch: int = 0,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        if batch_size < 1 or prefetch < 0:
            raise InrzooError(f"batch_size = {batch_size}, prefetch = {prefetch}: at least 1 and 0 are needed")
        self.source, self.batch_size, self.drop_uneven, self.prefetch = source, batch_size, drop_uneven, prefetch
        self._chosen_rank = checked_rank(rank, world)
        if buffer is None:
            buffer = max(MIN_BUFFER, BUFFER_BYTES // (4 * source.layout.num_params))
        self._settings = {"seed": seed, "shuffle": shuffle, "buffer": buffer, "shards_at_once": shards_at_once}
        self.order  # noqa: B018  refuses impossible settings before the first batch
        self._epoch = self._start = self._yielded = 0
        self._resumed = False

    @cached_property
    def order(self) -> Order:
        """The order of every epoch."""
        return Order(*self.source.chunks(), **self._settings)  # type: ignore[arg-type]

    @property
    def layout(self) -> WeightLayout:
        """Names, shapes and axes of the tensors in a weight vector."""
        return self.source.layout

    @property
    def dataset(self) -> Readable[Batch]:
        """The source of the stream."""
        return self.source

    @property
    def epoch(self) -> int:
        """The epoch of the current or the next iterator."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch, unless a loaded state is inside that epoch."""
        if epoch != self._epoch or not self._resumed:
            self._epoch, self._start, self._yielded, self._resumed = epoch, 0, 0, False

    def __len__(self) -> int:
        """Return the number of batches of this rank in an epoch, all workers together."""
        rank, world = self._rank()
        if self.drop_uneven:
            return len(self.source) // (world * self.batch_size)
        return max(0, -(-(-(-len(self.source) // self.batch_size) - rank) // world))

    def _shown(self) -> tuple[str, dict[str, str]]:
        """Return the rows of the repr; no weights are read."""
        rank, world = self._rank()
        settings = self._settings
        order = (
            f"shuffled (seed {settings['seed']}, buffer {settings['buffer']:,} INRs)"
            if settings["shuffle"]
            else "in order"
        )
        rows = {"batches": f"{len(self):,} of {self.batch_size:,} an epoch, epoch {self._epoch}, {order}"}
        if world > 1:
            rows["rank"] = f"{rank} of {world}"
        source = self.source
        inner = source._shown() if isinstance(source, Shown) else (type(source).__name__, {"items": f"{len(source):,}"})
        return f"{type(self).__name__} of a {inner[0]}", {**rows, **inner[1]}

    def __iter__(self) -> Iterator[Batch]:
        """Yield the epoch from its beginning, or from the loaded state."""
        if not self._resumed:
            self._start = 0
        self._yielded, self._resumed = 0, False
        epoch = self._epoch
        for batch in prefetched(self._batches(epoch, self._start), self.prefetch):
            self._yielded += 1
            yield as_whole(batch)
        self._epoch, self._start, self._yielded = epoch + 1, 0, 0

    # --- continuing --------------------------------------------------------------------------------------------

    def state_dict(self, batches: int | None = None) -> dict[str, Any]:
        """Return the position in the epoch's order in INRs, which another B or world size can continue.

        All ranks have the same state after equally many batches.

        Args:
            batches: number of batches of the current iterator that this rank has used, required if worker processes
                made them; None for the count of this process.
        """
        yielded = self._yielded * worker_and_workers()[1] if batches is None else batches
        position = min(len(self.source), self._start + yielded * self._rank()[1] * self.batch_size)
        return {"epoch": self._epoch, "position": position, "length": len(self.source), **self._settings}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a position.

        Raises:
            InrzooError: the state belongs to a stream with another order; the message names the differences.
        """
        ours = {"length": len(self.source), **self._settings}
        differing = [f"{key}: {state.get(key)} → {value}" for key, value in ours.items() if state.get(key) != value]
        if differing:
            raise InrzooError(f"the state belongs to another stream ({'; '.join(differing)}); load the same INRs")
        self._epoch, self._start, self._yielded, self._resumed = state["epoch"], state["position"], 0, True

    # --- one part of an epoch ----------------------------------------------------------------------------------

    def _batches(self, epoch: int, start: int) -> Iterator[Batch]:
        (rank, world), length = self._rank(), len(self.source)
        worker, workers = worker_and_workers()
        rounds = (length - start) // (world * self.batch_size) if self.drop_uneven else length
        with _Windows(self.source, self.order, epoch, start) as windows:
            for number in range(worker, rounds, workers):
                begin = start + (number * world + rank) * self.batch_size
                if begin >= length:
                    return
                positions = windows.take(begin, min(begin + self.batch_size, length))
                yield self.source.read(positions, epoch=epoch, key=begin)

    def _rank(self) -> tuple[int, int]:
        return rank_and_world(self._chosen_rank, self)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with the rank, as worker processes cannot ask `torch.distributed`."""
        return {**vars(self), "_chosen_rank": self._rank()}


class _Windows:
    """Iterates over the windows of an order and manages memory and cache."""

    def __init__(self, source: Readable[Any], order: Order, epoch: int, start: int) -> None:
        self._source, self._groups = source, order.groups(epoch, start)
        self._queue: deque[Window] = deque()
        self._following = next(self._groups, None)
        self._contexts: deque[ExitStack] = deque()
        self._read: list[Window] = []

    def __enter__(self) -> _Windows:
        return self

    def __exit__(self, *error: object) -> None:
        for stack in self._contexts:
            stack.close()
        self._source.release()

    def take(self, begin: int, end: int) -> NDArray[np.int64]:
        """Return the items at positions `begin` to `end`; later calls must not go back before `begin`."""
        while not self._read or self._read[-1].end < end:
            self._read.append(self._next())
        if self._read[0].end <= begin:
            self._read = [window for window in self._read if window.end > begin]
            self._source.release()
            if self._queue:
                self._source.read_ahead(self._queue[0].first_positions)
        parts = [window.positions[max(0, begin - window.begin) : end - window.begin] for window in self._read]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _next(self) -> Window:
        if not self._queue:
            group, self._following = self._following, next(self._groups, None)
            assert group is not None, "positions end at the length of the order"
            self._queue.extend(group.windows)
            in_use = [group] if self._following is None else [group, self._following]
            stack = ExitStack()
            for each in in_use:
                stack.enter_context(self._source.in_use(each.first_positions))
            self._contexts.append(stack)
            while len(self._contexts) > 1:
                self._contexts.popleft().close()
            for each in in_use:
                self._source.prefetch(each.first_positions)
        return self._queue.popleft()
