"""How much, and how slowly, a server may send: one that is broken or hostile is left after a bounded time.

Time-outs of HTTP clients count from the last byte, so a server that sends one byte a second holds them for ever. Here a
transfer runs in a thread of its own, and whoever waits for it counts what has arrived.
"""

import queue
from collections.abc import Callable
from threading import Event, Thread
from typing import Any, TypeVar

Result = TypeVar("Result")

MAX_SMALL_BYTES = 64 * 2**20
"""Maximum size, in bytes, of a file that is read into memory, such as the root of a store. A root has about 100 bytes
for each of the store's files, and ten million INRs on 32×32 pixels are some 50,000 files, 5 MB."""
MAX_LISTING_BYTES = 256 * 2**20
"""Maximum size of all pages of one listing, in bytes; a file takes about 250."""
MAX_PAGES = 2000
"""Maximum number of pages of one listing; the Hub's have 1000 files each."""
MAX_REDIRECTS = 5
"""Maximum number of redirects that one request follows."""
WINDOW_SECONDS = 60.0
"""Length, in seconds, of the window over which the speed of a transfer is measured."""
WINDOW_BYTES = 64 * 2**10
"""Minimum number of bytes that arrive in each window, about 1 kB/s."""
PIECE_BYTES = 2**16
"""Number of bytes that are read, counted and written at once."""


class TooMuch(ValueError):
    """A server sends more than it announced or than anyone needs. Asked again, it would do so again."""


class TooSlow(TimeoutError):
    """A server sends nothing, or so little that the transfer would not end."""


class Meter:
    """The bytes of one transfer as they arrive.

    Args:
        what: the file, for messages.
        limit: bytes that it may have.
        stop: once set, the transfer ends at its next bytes.
    """

    def __init__(self, what: str, limit: int, stop: Event | None = None) -> None:
        self.what, self.limit, self.count = what, limit, 0
        self.abandoned, self._stop = False, stop

    def add(self, size: int) -> None:
        """Count bytes, before they are used.

        Raises:
            TooMuch: more than the limit.
            TooSlow: nobody waits for them any more.
        """
        if self.abandoned or (self._stop is not None and self._stop.is_set()):
            raise TooSlow(f"{self.what} was given up")
        self.count += size
        if self.count > self.limit:
            raise TooMuch(f"the server sends more than {self.limit:,} bytes for {self.what}")


def watched(meter: Meter, transfer: Callable[[Meter], Result]) -> Result:
    """Run a transfer that adds what arrives to a meter; return what it returns.

    Raises:
        TooSlow: fewer than `WINDOW_BYTES` arrived in `WINDOW_SECONDS`. The transfer's thread ends at its next byte.
        Exception: what the transfer raises.
    """
    outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((transfer(meter), None))
        except BaseException as error:
            outcome.put((None, error))

    Thread(target=run, daemon=True, name=f"transfer of {meter.what}").start()
    before = 0
    while True:
        try:
            result, error = outcome.get(timeout=WINDOW_SECONDS)
            break
        except queue.Empty:
            if meter.count - before < WINDOW_BYTES:
                meter.abandoned = True
                raise TooSlow(
                    f"the server sent {meter.count - before:,} bytes of {meter.what} in {WINDOW_SECONDS:g} s"
                ) from None
            before = meter.count
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]
