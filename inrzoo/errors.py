"""The one error that is meant for the user, and the request to stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class InrzooError(Exception):
    """Something the user can put right. The command line prints it as one line and exits with code 2.

    Says what was wrong, where the value came from, and what would have worked.
    """


class Terminated(KeyboardInterrupt):
    """SIGTERM: Slurm, Kubernetes and spot machines send it before they take a machine away. Treated as Ctrl-C is."""


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Inside, SIGTERM raises Terminated. Does nothing outside the main thread, which alone receives signals."""

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
