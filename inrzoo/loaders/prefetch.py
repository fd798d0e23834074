"""Prepares the next few items in a thread while the current one is used."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

Item = TypeVar("Item")
END = object()
POLL_SECONDS = 0.1
"""Interval in seconds at which the thread checks whether to stop."""


def prefetch(items: Iterator[Item], count: int) -> Iterator[Item]:
    """Yield the items, of which a thread prepares up to `count` in advance. Errors are raised at their item."""
    if not count:
        yield from items
        return
    queue: Queue[Any] = Queue(maxsize=count)
    stopped = Event()
    thread = Thread(target=_produce, args=(items, queue, stopped), daemon=True)
    thread.start()
    try:
        while True:
            item, error = queue.get()
            if error is not None:
                raise error
            if item is END:
                return
            yield item
    finally:
        stopped.set()
        thread.join()


def _produce(items: Iterator[Any], queue: Queue[Any], stopped: Event) -> None:
    try:
        for item in items:
            if not _put(queue, (item, None), stopped):
                break
        else:
            _put(queue, (END, None), stopped)
    except BaseException as error:
        _put(queue, (None, error), stopped)
    finally:
        if hasattr(items, "close"):
            items.close()


def _put(queue: Queue[Any], item: Any, stopped: Event) -> bool:
    while not stopped.is_set():
        try:
            queue.put(item, timeout=POLL_SECONDS)
        except Full:
            continue
        return True
    return False
