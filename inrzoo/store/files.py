"""Files that are whole or absent: written beside their place, forced to disk, renamed into it; or objects.

Each function takes a place in a folder or in a bucket; `_at` alone asks which it is.
"""

import hashlib
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrzoo.store.folders import DiskPath
from inrzoo.store.objects import Location, ObjectPath

PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")
"""The end of a file's name while `write_atomically` or zarr writes the file."""


def _at(location: Location) -> DiskPath | ObjectPath:
    """Return the operations on files of this place; two classes with the same methods."""
    return location if isinstance(location, ObjectPath) else DiskPath(location)


def write_atomically(path: Location, content: bytes | memoryview, store: Location | None = None) -> None:
    """Write `content` to `path`: after a crash the file is the old one or the new one, never a part.

    A link at `path` is replaced, never followed.

    Args:
        store: the store that `path` lies in; no folder between them may be a link.

    Raises:
        InrzooError: a folder between `store` and `path` is a link.
        OSError: no space, no permission; nothing is left behind.
    """
    _at(path).write_atomically(content, None if store is None else str(store))


def update(path: Location, change: Callable[[bytes], bytes], store: Location) -> None:
    """Read a file of a store, change its content and write it atomically.

    Raises:
        Changed: in a bucket, another process has written it meanwhile.
    """
    _at(path).update(change, str(store))


def sync(path: Location) -> None:
    """Force a file or a folder's entries to disk; an object is safe when its write returns."""
    _at(path).sync()


def sync_tree(root: Location) -> None:
    """Force every file below `root`, and the folders, to disk."""
    _at(root).sync_tree()


def remove_tree(root: Location) -> None:
    """Remove a folder, or all objects below a key: of a store the root first, so that what is left is none."""
    _at(root).remove_tree()


def remove(root: Location, names: Sequence[str]) -> None:
    """Remove files below `root`, in a bucket many in one request; absent ones count as removed."""
    _at(root).remove(names)


def clear(path: Path) -> None:
    """Remove the file, folder or link at `path`, if there is one. The target of a link stays."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def is_there(store: Location) -> bool:
    """Whether a store's place is taken. Objects without a root do not count: an upload was interrupted."""
    return _at(store).is_taken()


def is_local(location: Location) -> bool:
    """Whether a file lies on a disk, so that it can be mapped; otherwise each access is a request."""
    return _at(location).is_local


def file_sizes(root: Location) -> dict[str, int]:
    """Bytes of every file below `root` by its relative name; hidden files and links are left out."""
    return {name: size for name, size in _at(root).files().items() if not is_hidden(name)}


def special_files(root: Location) -> list[str]:
    """Names of all links, pipes and devices below `root`, sorted; a bucket has none."""
    return _at(root).links()


def map_bytes(path: Location, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
    """Map a file, or read an object in one request.

    Args:
        start, stop: range in bytes; to the end if `stop` is None. What lies beyond the end is left out.

    Returns:
        The bytes, read-only.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return _at(path).map_bytes(start, stop)


def is_partial(name: str) -> bool:
    """Whether `write_atomically` or zarr was writing this file; a killed process leaves such files behind."""
    return PARTIAL.search(name) is not None


def is_hidden(name: str) -> bool:
    """Whether a name or a folder in it begins with a dot. File managers and network disks leave such files."""
    return any(part.startswith(".") for part in name.split("/"))


def sha256(path: Location) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(path: Location) -> int:
    """Free space of the disk that `path`, or its nearest existing parent, lies on. A bucket never fills."""
    return _at(path).free_bytes()


def scratch(store: Location, ending: str) -> Path:
    """The place of a temporary file on this machine for a store: beside it, or in the system's folder."""
    return _at(store).scratch(ending)
