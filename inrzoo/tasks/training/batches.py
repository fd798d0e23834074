"""Batches of training and evaluation: data that can be streamed come in, batches by the number of a step go out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from inrzoo.errors import InrzooError
from inrzoo.loaders import WeightStream
from inrzoo.loaders.order import Readable

Batch = TypeVar("Batch")
PREFETCHED = 2
"""Batches that a thread reads before they are needed."""


class TrainingBatches(Generic[Batch]):
    """The batches of training steps: a shuffled stream of whole batches, epoch after epoch.

    Which items are in the batch of a step is a function of the seed and the step, so that a run continues with the
    batches of an uninterrupted one. Steps are asked for in ascending order; any other step starts the stream there.

    Args:
        source: the items.
        batch_size: items of a batch.
        seed: of the order.
        name: of the field that sets the batch size, for the error.
        buffer, shards_at_once: items that are shuffled with each other, and shards that are mixed; see `WeightStream`.

    Raises:
        InrzooError: there are fewer items than a batch has.
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
        if len(source) < batch_size:
            raise InrzooError(f"{name} = {batch_size} is more than the {len(source)} items of the training split")
        self._stream = WeightStream(
            source,
            batch_size=batch_size,
            shuffle=True,
            seed=seed,
            buffer=buffer,
            shards_at_once=shards_at_once,
            drop_uneven=True,
            prefetch=PREFETCHED,
            rank=0,
            world=1,
        )
        self._iterator: Iterator[Batch] = iter(())
        self._next_step = -1

    def __call__(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""
        if step != self._next_step:
            epoch, number = divmod(step, len(self._stream))
            position = number * self._stream.batch_size
            self._stream.load_state_dict({**self._stream.state_dict(), "epoch": epoch, "position": position})
            self._iterator = iter(self._stream)
        batch = next(self._iterator, None)
        if batch is None:  # the epoch is over
            self._iterator = iter(self._stream)
            batch = next(self._iterator)
        self._next_step = step + 1
        return batch


def in_order(source: Readable[Batch], batch_size: int, buffer: int | None = None) -> Iterator[Batch]:
    """All items once, in the order of the store."""
    return iter(WeightStream(source, batch_size=batch_size, buffer=buffer, prefetch=PREFETCHED, rank=0, world=1))
