"""Ctrl-C and SIGTERM in training: a step is finished and saved first."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruption(*, impatient: bool = True) -> Iterator[Callable[[], int | None]]:
    """Let Ctrl-C and SIGTERM set a flag inside of the block, so that a step is finished and saved.

    Args:
        impatient: whether a second signal stops at once.

    Yields:
        A function that returns the number of the signal, or None.
    """
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if caught and impatient:
            raise KeyboardInterrupt
        caught.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread, which alone receives signals
        yield lambda: None
        return
    try:
        yield lambda: caught[0] if caught else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
