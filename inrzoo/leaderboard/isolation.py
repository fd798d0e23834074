"""Isolation of answers from labels: while an encoder answers, files of the store cannot be opened.

It keeps honest encoders from accidents and stops plain cheats. A network that learned the answers by heart in its
training is not stopped by it; the code of an encoder is part of its row for that reason.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from inrzoo.errors import InrzooError

_closed: list[str] = []
_hooked = False


@contextmanager
def closed(folders: Sequence[Path]) -> Iterator[None]:
    """Forbid this process to open files in folders.

    Raises:
        InrzooError: from whatever opens a file there.
    """
    global _hooked
    if not _hooked:
        sys.addaudithook(_refuse)  # an audit hook stays until the process ends
        _hooked = True
    before = len(_closed)
    _closed.extend(os.path.realpath(folder) + os.sep for folder in folders)
    try:
        yield
    finally:
        del _closed[before:]


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open" or not _closed or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    path = os.path.realpath(os.fsdecode(arguments[0]))
    if any(path.startswith(folder) for folder in _closed):
        raise InrzooError(f"the encoder opened {path} while it answered; answers must come from the weights alone")
