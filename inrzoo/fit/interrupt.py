"""Ctrl-C reaches the main thread alone. Fits that run in others look at one flag, and leave when it is set.

A fit that was called off raises KeyboardInterrupt in its own thread, so that nothing half-fitted is ever kept.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

CALLED_OFF = ctypes.c_int(0)
"""Not 0 while fits are being called off. Native code reads it before every step."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Around whatever may `call_off`, and ends the threads that fit: after it, fits run again."""
    try:
        yield
    finally:
        CALLED_OFF.value = 0


def call_off() -> None:
    """Let every fit of this process end before its next step."""
    CALLED_OFF.value = 1


def raise_if_called_off() -> None:
    """For engines, after a native call.

    Raises:
        KeyboardInterrupt: the call did not run to its end.
    """
    if CALLED_OFF.value:
        raise KeyboardInterrupt
