"""A new folder takes the place of an old one in one step, so that a reader finds the old one or the new one, whole."""

import ctypes
import os
import sys
from pathlib import Path

from inrzoo.store.files import remove_tree, sync

AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Constants of Linux's renameat2(2)."""


def exchange(new: Path, place: Path) -> None:
    """Put the folder `new` at `place`; what stood at `place` is removed afterwards.

    On Linux the two folders are exchanged by one system call. Where the system or the file system cannot do that, two
    renames follow each other, and `settle` undoes the first if the process ends between them.

    Args:
        new: a finished folder on the same file system.
        place: where it belongs; a link to a folder stays a link.

    Raises:
        OSError: no permission, or another file system; both folders are as they were.
    """
    place = place.resolve()
    if not place.exists():
        new.rename(place)
    elif _swap(new, place):
        sync(place.parent)
        remove_tree(new)
    else:
        place.rename(_aside(place))
        new.rename(place)
        sync(place.parent)
        remove_tree(_aside(place))
    sync(place.parent)


def settle(place: Path) -> None:
    """Finish or undo an `exchange` that was interrupted between its two renames. Call it under the writer's lock."""
    place = place.resolve()
    aside = _aside(place)
    if aside.exists() and not place.exists():
        aside.rename(place)
    elif aside.exists():
        remove_tree(aside)


def _aside(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


def _swap(one: Path, other: Path) -> bool:
    """Exchange two folders at once; False where this system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    return bool(renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0)
