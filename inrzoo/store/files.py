"""Files that are whole or absent: written beside their place, forced to disk, renamed into it; or objects."""

import hashlib
import os
import re
import shutil
import uuid
from pathlib import Path

from inrzoo.store.links import is_plain, require_plain_path, walk
from inrzoo.store.objects import Location, ObjectPath

PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")
"""The end of a file's name while `write_atomically` or zarr writes the file."""


def write_atomically(path: Location, content: bytes | memoryview, store: Location | None = None) -> None:
    """Write `content` to `path`: after a crash the file is the old one or the new one, never a part.

    A link at `path` is replaced, never followed.

    Args:
        store: the store that `path` lies in; no folder between them may be a link.

    Raises:
        InrzooError: a folder between `store` and `path` is a link.
        OSError: no space, no permission; nothing is left behind.
    """
    if isinstance(path, ObjectPath):
        return path.write_bytes(content)
    if isinstance(store, Path):
        require_plain_path(path.parent, store)
    # A name of its own for each writer. What a killed process leaves in a store is removed before the store is sealed;
    # elsewhere nobody would remove it, so it is hidden.
    partial = path.with_name(f"{'' if store else '.'}{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(partial):
            error.filename = str(path)  # the name that the user knows
        raise
    sync(path.parent)
    return None


def sync(path: Location) -> None:
    """Force a file or a folder's entries to disk; an object is safe when its write returns."""
    if isinstance(path, ObjectPath):
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(root: Location) -> None:
    """Force every file below `root`, and the folders, to disk."""
    if isinstance(root, ObjectPath):
        return
    for name, entry in walk(root):
        if is_plain(entry):
            sync(root / name)
    sync(root)


def remove_tree(root: Location) -> None:
    """Remove a folder, or all objects below a key: of a store the root first, so that what is left is none."""
    if isinstance(root, ObjectPath):
        (root / "zarr.json").unlink(missing_ok=True)
        root.remove_below()
    else:
        shutil.rmtree(root)


def clear(path: Path) -> None:
    """Remove the file, folder or link at `path`, if there is one. The target of a link stays."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def is_there(store: Location) -> bool:
    """Whether a store's place is taken. Objects without a root do not count: an upload was interrupted."""
    return store.exists() if isinstance(store, Path) else (store / "zarr.json").exists()


def file_sizes(root: Location) -> dict[str, int]:
    """Bytes of every file below `root` by its relative name; hidden files and links are left out."""
    if isinstance(root, ObjectPath):
        return {name: size for name, size in root.files().items() if not is_hidden(name)}
    return {
        name: entry.stat(follow_symlinks=False).st_size
        for name, entry in walk(root)
        if entry.is_file(follow_symlinks=False)
    }


def is_partial(name: str) -> bool:
    """Whether `write_atomically` or zarr was writing this file; a killed process leaves such files behind."""
    return PARTIAL.search(name) is not None


def is_hidden(name: str) -> bool:
    """Whether a name or a folder in it begins with a dot. File managers and network disks leave such files."""
    return any(part.startswith(".") for part in name.split("/"))


def sha256(path: Location) -> str:
    """sha256 of a file, hex."""
    if isinstance(path, ObjectPath):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(path: Path) -> int:
    """Free space of the disk that `path`, or its nearest existing parent, lies on."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
