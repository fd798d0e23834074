"""Files that are whole or absent: written beside their place, forced to disk, renamed into it."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inrzoo.errors import InrzooError


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path`: after a crash the file is the old one or the new one, never a part.

    Raises:
        OSError: no space, no permission; nothing is left behind.
    """
    # The writer's process id keeps two writers of one file apart; both write the same bytes.
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Force a file or a folder's entries to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(root: Path) -> None:
    """Force every file below `root`, and the folders, to disk."""
    for path in [root, *root.rglob("*")]:
        sync(path)


def sha256(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(path: Path) -> int:
    """Free space of the disk that `path`, or its nearest existing parent, lies on."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


@contextmanager
def only_driver(path: Path) -> Iterator[None]:
    """Hold the store's driver lock. The system drops it with the process, however that ends.

    Raises:
        InrzooError: another process holds it.
    """
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InrzooError(f"another process is writing to {path.parent.parent}; wait for it or stop it") from None
        yield
