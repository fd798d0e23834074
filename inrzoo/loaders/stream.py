"""An epoch as a stream of batches: shuffled, divided, continued.

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
from inrzoo.loaders.ahead import ahead
from inrzoo.loaders.batch import as_whole
from inrzoo.loaders.order import Order, Readable, Window
from inrzoo.loaders.parts import checked_rank, rank_and_world, worker_and_workers
from inrzoo.weights import WeightLayout

Batch = TypeVar("Batch")
BUFFER_BYTES, SMALLEST_BUFFER = 128 * 2**20, 1024


class WeightStream(Shown, IterableDataset[Batch], Generic[Batch]):
    """Batches of a dataset, epoch by epoch. Use it by itself, or as `DataLoader(stream, batch_size=None)`: with a
    batch_size a DataLoader would join batches, and an InrzooError says so.

    The order of an epoch is one sequence, a function of (seed, epoch); it is cut into batches of B, and rank r of R
    gets the batches r, r + R, …; workers of a DataLoader divide those, and it puts them together in the same order.
    So every INR is given once in an epoch, by one worker of one rank.

    A pass that ends advances the epoch. Workers of a DataLoader are copies: with workers that are not persistent, call
    `set_epoch` before every epoch.

    Args:
        source: a `WeightDataset` or `Pairs`.
        batch_size: B.
        shuffle: whether to; see `inrzoo.loaders.order`.
        seed: of the order.
        buffer: INRs that are shuffled with each other; None for 128 MiB of them, at least 1,024.
        mix: shards that are read at the same time when shuffling.
        even: give every rank the same number of whole batches and leave out the rest of the epoch: fewer than R·B INRs,
            others in each epoch. For training that waits for all ranks. Without it batches differ by one at most, and
            the last is shorter.
        prefetch: batches that a thread makes ahead; 0 for none.
        rank, world: this process among how many; those of `torch.distributed` if None, else 0 of 1.

    Raises:
        InrzooError: a value that is impossible.

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
        mix: int = 4,
        even: bool = False,
        prefetch: int = 0,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        if batch_size < 1 or prefetch < 0:
            raise InrzooError(f"batch_size = {batch_size}, prefetch = {prefetch}: at least 1 and 0 are needed")
        self.source, self.batch_size, self.even, self.ahead = source, batch_size, even, prefetch
        self._given_rank = checked_rank(rank, world)
        if buffer is None:
            buffer = max(SMALLEST_BUFFER, BUFFER_BYTES // (4 * source.layout.num_params))
        self._settings = {"seed": seed, "shuffle": shuffle, "buffer": buffer, "mix": mix}
        self.order  # noqa: B018  impossible settings are refused here, not at the first batch
        self._epoch = self._start = self._given = 0
        self._resumed = False

    @cached_property
    def order(self) -> Order:
        """The order of every epoch."""
        return Order(*self.source.chunks(), **self._settings)  # type: ignore[arg-type]

    @property
    def layout(self) -> WeightLayout:
        """What the P numbers of a weight vector are."""
        return self.source.layout

    @property
    def dataset(self) -> Readable[Batch]:
        """What is streamed."""
        return self.source

    @property
    def epoch(self) -> int:
        """The pass that the next iterator gives, or the present one is giving."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch, unless a loaded state stands inside that very epoch."""
        if epoch != self._epoch or not self._resumed:
            self._epoch, self._start, self._given, self._resumed = epoch, 0, 0, False

    def __len__(self) -> int:
        """Batches of a whole epoch that this rank gets, all workers together."""
        rank, world = self._rank()
        if self.even:
            return len(self.source) // (world * self.batch_size)
        return max(0, -(-(-(-len(self.source) // self.batch_size) - rank) // world))

    def _shown(self) -> tuple[str, dict[str, str]]:
        """Nothing is read."""
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
        """The epoch from its beginning, or what is left of it after `load_state_dict`."""
        if not self._resumed:
            self._start = 0
        self._given, self._resumed = 0, False
        epoch = self._epoch
        for batch in ahead(self._batches(epoch, self._start), self.ahead):
            self._given += 1
            yield as_whole(batch)
        self._epoch, self._start, self._given = epoch + 1, 0, 0

    # --- continuing --------------------------------------------------------------------------------------------

    def state_dict(self, batches: int | None = None) -> dict[str, Any]:
        """Where the stream stands, in INRs of the epoch's order: it can be continued with another B or world size.

        All ranks have the same state once they have given equally many batches.

        Args:
            batches: how many batches of the present iterator this rank has used, where worker processes made them and
                this copy cannot know; None for those that it gave itself.
        """
        given = self._given * worker_and_workers()[1] if batches is None else batches
        position = min(len(self.source), self._start + given * self._rank()[1] * self.batch_size)
        return {"epoch": self._epoch, "position": position, "length": len(self.source), **self._settings}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue there.

        Raises:
            InrzooError: the state is of a stream with another order, naming what differs.
        """
        ours = {"length": len(self.source), **self._settings}
        differing = [f"{key}: {state.get(key)} → {value}" for key, value in ours.items() if state.get(key) != value]
        if differing:
            raise InrzooError(f"the state is of another stream ({'; '.join(differing)}); load what was loaded then")
        self._epoch, self._start, self._given, self._resumed = state["epoch"], state["position"], 0, True

    # --- one part of an epoch ----------------------------------------------------------------------------------

    def _batches(self, epoch: int, start: int) -> Iterator[Batch]:
        (rank, world), length = self._rank(), len(self.source)
        worker, workers = worker_and_workers()
        rounds = (length - start) // (world * self.batch_size) if self.even else length
        with _Windows(self.source, self.order, epoch, start) as windows:
            for number in range(worker, rounds, workers):
                begin = start + (number * world + rank) * self.batch_size
                if begin >= length:
                    return
                positions = windows.take(begin, min(begin + self.batch_size, length))
                yield self.source.read(positions, epoch=epoch, key=begin)

    def _rank(self) -> tuple[int, int]:
        return rank_and_world(self._given_rank)

    def __getstate__(self) -> dict[str, Any]:
        """With the rank: worker processes do not know of `torch.distributed`."""
        return {**vars(self), "_given_rank": self._rank()}


class _Windows:
    """Walks along the order and looks after memory and cache on the way."""

    def __init__(self, source: Readable[Any], order: Order, epoch: int, start: int) -> None:
        self._source, self._groups = source, order.groups(epoch, start)
        self._queue: deque[Window] = deque()
        self._following = next(self._groups, None)
        self._kept: deque[ExitStack] = deque()
        self._read: list[Window] = []

    def __enter__(self) -> _Windows:
        return self

    def __exit__(self, *error: object) -> None:
        for stack in self._kept:
            stack.close()
        self._source.release()

    def take(self, begin: int, end: int) -> NDArray[np.int64]:
        """The items at places `begin` to `end`; places before `begin` are not asked for again."""
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
            assert group is not None, "places are asked for up to the length of the order"
            self._queue.extend(group.windows)
            near = [group] if self._following is None else [group, self._following]
            stack = ExitStack()
            for each in near:
                stack.enter_context(self._source.in_use(each.first_positions))
            self._kept.append(stack)
            while len(self._kept) > 1:
                self._kept.popleft().close()
            for each in near:
                self._source.prefetch(each.first_positions)
        return self._queue.popleft()
