"""A store consists of plain files in plain folders. No path below it is followed through a link when something is
written or published, because a link may lead to files that are not the store's.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from inrzoo.errors import InrzooError


def walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below a folder but hidden names: (name relative to `root`, entry). Links are given, never followed."""
    folders = [("", os.fspath(root))]
    while folders:
        prefix, folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                yield prefix + entry.name, entry
                if entry.is_dir(follow_symlinks=False):
                    folders.append((f"{prefix}{entry.name}/", entry.path))


def is_plain(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file or a folder, and no link, pipe or device."""
    return entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)


def links(root: Path) -> list[str]:
    """Names of all links, pipes and devices below a folder, sorted."""
    return sorted(name for name, entry in walk(root) if not is_plain(entry))


def require_no_links(store: Path) -> None:
    """Refuse to write to a store that holds a link.

    Raises:
        InrzooError: names the first link.
    """
    if store.is_dir() and (names := links(store)):
        raise InrzooError(
            f"{store / names[0]} is a link or a special file; a store holds plain files alone: put a copy in its place"
        )


def require_plain_path(path: Path, store: Path) -> None:
    """Refuse to write to `path` below `store` where it, or a folder between them, is a link.

    Raises:
        InrzooError: names the link.
    """
    below = path.relative_to(store).parts
    for depth in range(1, len(below) + 1):
        part = store.joinpath(*below[:depth])
        try:
            mode = os.lstat(part).st_mode
        except FileNotFoundError:
            return
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise InrzooError(f"{part} is a link or a special file; a store holds plain files alone")
