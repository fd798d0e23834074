"""File operations that are counted, and from a chosen one on fail: a crash, or a full disk, at every moment."""

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

OPERATIONS = ("fsync", "link", "mkdir", "rename", "replace", "rmdir", "unlink")


class Crash(BaseException):
    """The process ends here: from now on nothing of it reaches the disk."""


def no_space() -> OSError:
    """Return the error of a full disk."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Operations:
    """Counts the file operations of this process, and lets all from the `first` one on fail.

    Args:
        first: number of the first operation that fails, from 1; None lets all succeed.
        names: which operations count and fail.
        error: makes the exception.
    """

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        first: int | None = None,
        names: tuple[str, ...] = OPERATIONS,
        error: Callable[[], BaseException] = Crash,
    ) -> None:
        self.count, self._first, self._error = 0, first, error
        for name in names:
            patch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self._first is not None and self.count >= self._first:
                raise self._error()
            return operation(*arguments, **options)

        return counted
