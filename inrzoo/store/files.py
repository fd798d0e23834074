"""Files that are whole or absent: written beside their place, forced to disk, renamed into it; or objects."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from inrzoo.errors import InrzooError
from inrzoo.store import lease
from inrzoo.store.objects import Location, ObjectPath


def write_atomically(path: Location, content: bytes | memoryview) -> None:
    """Write `content` to `path`: after a crash the file is the old one or the new one, never a part.

    Raises:
        OSError: no space, no permission; nothing is left behind.
    """
    if isinstance(path, ObjectPath):
        return path.write_bytes(content)
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
    for path in [root, *root.rglob("*")]:
        sync(path)


def remove_tree(root: Location) -> None:
    """Remove a folder, or all objects below a key: of a store the root first, so that what is left is none."""
    if isinstance(root, ObjectPath):
        (root / "zarr.json").unlink(missing_ok=True)
        root.remove_below()
    else:
        shutil.rmtree(root)


def is_there(store: Location) -> bool:
    """Whether anything stands at a store's place; objects without a root are what an interrupted upload left."""
    return store.exists() if isinstance(store, Path) else (store / "zarr.json").exists()


def file_sizes(root: Location) -> dict[str, int]:
    """Bytes of every file below `root`, by its name relative to it."""
    if isinstance(root, ObjectPath):
        return root.files()
    return {str(file.relative_to(root)): file.stat().st_size for file in root.rglob("*") if file.is_file()}


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


@contextmanager
def only_driver(store: Location) -> Iterator[None]:
    """Hold the driver lock of a store that is there. The system drops it with the process, however that ends.

    Raises:
        InrzooError: another process holds it.
    """
    if isinstance(store, ObjectPath):
        with lease.hold(store):
            yield
        return
    path = store / "_build" / "driver.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        _lock(file, store)
        yield


@contextmanager
def only_creator(store: Location) -> Iterator[None]:
    """Hold the lock beside a store, which need not be there yet: two that make or replace it do not mix.

    Raises:
        InrzooError: another process holds it.
    """
    if isinstance(store, ObjectPath):
        with lease.hold(store):
            yield
        return
    store.parent.mkdir(parents=True, exist_ok=True)
    path = store.with_name(f".{store.name}.lock")
    while True:
        with path.open("w") as file:
            _lock(file, store)
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                continue  # its holder has just ended and removed it
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _lock(file: IO[str], store: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InrzooError(f"another process is writing to {store}; wait for it or stop it") from None
