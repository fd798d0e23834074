"""Batches of training and evaluation: data that can be streamed come in, batches by the number of a step go out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Generic, TypeVar

from inrzoo.errors import InrzooError
from inrzoo.loaders import WeightStream
from inrzoo.loaders.order import Readable

Batch = TypeVar("Batch")
PREFETCHED = 2
"""Batches that a thread reads before they are needed."""


@dataclass(frozen=True)
class Share:
    """Which batches this process takes.

    A step consists of `parts` batches, `accumulate` of each process. They are counted through all steps: step s has
    the batches s · parts to (s + 1) · parts - 1, and batch n belongs to process n % devices. Together they are the
    items of one batch that is `parts` times as large.

    Attributes:
        rank: number of this process, from 0.
        devices: number of processes.
        accumulate: batches of a step and process.

    Example:
        >>> [list(Share(rank, devices=2, accumulate=2).batches(3)) for rank in (0, 1)]
        [[12, 14], [13, 15]]
    """

    rank: int = 0
    devices: int = 1
    accumulate: int = 1

    @property
    def parts(self) -> int:
        """Batches of a step, of all processes together."""
        return self.devices * self.accumulate

    def batches(self, step: int) -> range:
        """Numbers of the batches of a step that this process takes."""
        return range(step * self.parts + self.rank, (step + 1) * self.parts, self.devices)


_SHARE: ContextVar[Share] = ContextVar("share", default=Share())  # noqa: B039 - frozen


@contextmanager
def sharing(share: Share) -> Iterator[None]:
    """Let all `TrainingBatches` that are made inside of the block give this process's batches."""
    token = _SHARE.set(share)
    try:
        yield
    finally:
        _SHARE.reset(token)


class TrainingBatches(Generic[Batch]):
    """The batches of training: a shuffled stream of whole batches, epoch after epoch.

    Which items are in a batch is a function of the seed and its number, so that a run continues with the batches of an
    uninterrupted one. Batches are asked for in ascending order; any other number starts the stream there.

    A step has one batch unless the object is made where a process is `sharing` steps with others.

    Args:
        source: the items.
        batch_size: items of a batch.
        seed: of the order.
        name: of the field that sets the batch size, for the error.
        buffer, shards_at_once: items that are shuffled with each other, and shards that are mixed; see `WeightStream`.

    Raises:
        InrzooError: there are fewer items than a step needs.
    """

    def __init__(
        self,
        source: Readable[Batch],
        batch_size: int,
        *,
        seed: int,
        name: str = "batch_size",
        buffer: int | None = None,
        shards_at_once: int = 4,
    ) -> None:
        self._share = _SHARE.get()
        needed = batch_size * self._share.parts
        if len(source) < needed:
            product = (
                f"{batch_size} is" if needed == batch_size else f"{batch_size}, {self._share.parts} times in a step, is"
            )
            raise InrzooError(f"{name} = {product} more than the {len(source)} items of the training split")
        self._stream = WeightStream(
            source,
            batch_size=batch_size,
            shuffle=True,
            seed=seed,
            buffer=buffer,
            shards_at_once=shards_at_once,
            drop_uneven=True,
            prefetch=PREFETCHED,
            rank=self._share.rank,
            world=self._share.devices,
        )
        self._an_epoch = len(source) // needed * self._share.accumulate
        self._iterator: Iterator[Batch] = iter(())
        self._following = -1

    def __call__(self, step: int) -> Batch:
        """The batch of that number, counted from 0: of a step where a step has one; else see `Share`."""
        share, stream = self._share, self._stream
        number, rank = divmod(step, share.devices)
        assert rank == share.rank, "a process is asked for its own batches"
        epoch, within = divmod(number, self._an_epoch)
        if number != self._following or within == 0:
            position = within * share.devices * stream.batch_size
            stream.load_state_dict({**stream.state_dict(), "epoch": epoch, "position": position})
            self._iterator = iter(stream)
        self._following = number + 1
        return next(self._iterator)


def in_order(source: Readable[Batch], batch_size: int, buffer: int | None = None) -> Iterator[Batch]:
    """All items once, in the order of the store."""
    return iter(WeightStream(source, batch_size=batch_size, buffer=buffer, prefetch=PREFETCHED, rank=0, world=1))
