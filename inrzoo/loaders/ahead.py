"""Making the next few items in a thread while the present one is used."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

Item = TypeVar("Item")
END = object()
POLL_SECONDS = 0.1
"""How soon a thread notices that nobody reads any more."""


def ahead(items: Iterator[Item], count: int) -> Iterator[Item]:
    """The same items, up to `count` of them made before they are asked for. An error is raised where it belongs."""
    if not count:
        yield from items
        return
    queue: Queue[Any] = Queue(maxsize=count)
    unwanted = Event()
    thread = Thread(target=_produce, args=(items, queue, unwanted), daemon=True)
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
        unwanted.set()
        thread.join()


def _produce(items: Iterator[Any], queue: Queue[Any], unwanted: Event) -> None:
    try:
        for item in items:
            if not _put(queue, (item, None), unwanted):
                break
        else:
            _put(queue, (END, None), unwanted)
    except BaseException as error:
        _put(queue, (None, error), unwanted)
    finally:
        if hasattr(items, "close"):
            items.close()


def _put(queue: Queue[Any], item: Any, unwanted: Event) -> bool:
    while not unwanted.is_set():
        try:
            queue.put(item, timeout=POLL_SECONDS)
        except Full:
            continue
        return True
    return False
