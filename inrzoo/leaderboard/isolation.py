"""Isolation of answers from labels: while a network answers, files of the store cannot be opened.

It keeps honest networks from accidents and stops plain cheats. A network that learned the answers by heart in its
training is not stopped by it; the code of a network is part of its row for that reason.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from inrzoo.errors import InrzooError

_closed: list[tuple[str, str]] = []
"""Folders that are closed, and what kind of network answers meanwhile."""
_hooked = False


@contextmanager
def closed(folders: Sequence[Path], network: str = "encoder") -> Iterator[None]:
    """Forbid this process to open files in folders.

    Args:
        folders: the closed ones.
        network: what kind of network answers, for messages.

    Raises:
        InrzooError: from whatever opens a file there.
    """
    global _hooked
    if not _hooked:
        sys.addaudithook(_refuse)  # an audit hook stays until the process ends
        _hooked = True
    before = len(_closed)
    _closed.extend((os.path.realpath(folder) + os.sep, network) for folder in folders)
    try:
        yield
    finally:
        del _closed[before:]


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open" or not _closed or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    path = os.path.realpath(os.fsdecode(arguments[0]))
    for folder, network in _closed:
        if path.startswith(folder):
            raise InrzooError(
                f"the {network} opened {path} while it answered; answers must come from the weights alone"
            )
