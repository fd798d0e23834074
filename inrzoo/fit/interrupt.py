"""Ctrl-C reaches the main thread alone. Fits that run in others look at one flag, and leave when it is set.

A fit that was cancelled raises KeyboardInterrupt in its own thread, so that nothing half-fitted is ever kept.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

CANCELLED = ctypes.c_int(0)
"""Not 0 while fits are being cancelled. Native code reads it before every step."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Around whatever may `cancel`, and ends the threads that fit: after it, fits run again."""
    try:
        yield
    finally:
        CANCELLED.value = 0


def cancel() -> None:
    """Let every fit of this process end before its next step."""
    CANCELLED.value = 1


def raise_if_cancelled() -> None:
    """For engines, after a native call.

    Raises:
        KeyboardInterrupt: the call did not run to its end.
    """
    if CANCELLED.value:
        raise KeyboardInterrupt
