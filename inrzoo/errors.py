"""The exceptions for errors that the user can fix, and the exception for SIGTERM."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class InrzooError(Exception):
    """An error that the user can fix. The command line prints it as one line and exits with code 2.

    The message says what was wrong, where the value came from, and what would have worked.
    """


class MissingPackageError(InrzooError):
    """A package of one of inrzoo's extras is not installed."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which Slurm, Kubernetes and spot machines send before they take a machine away. Handled like Ctrl-C."""


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Raise Terminated on SIGTERM inside the block. No effect outside the main thread, which alone receives signals."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
