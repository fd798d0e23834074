"""The lock of a store or of a run: one process at a time creates, builds, trains, repairs, replaces or pulls it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from inrzoo.errors import InrzooError
from inrzoo.store import lease
from inrzoo.store.links import require_no_links
from inrzoo.store.objects import Location, ObjectPath

REFUSAL_SECONDS = 0.1
"""Time in seconds for which a writer tries to get the lock. More than one try, because a holder removes the file."""


@contextmanager
def only_writer(store: Location) -> Iterator[None]:
    """Hold the lock of a store, which need not exist yet.

    The lock of a folder is a file beside it, `.NAME.lock`: the folder itself may be replaced as a whole. The system
    releases it with the process, however that ends. In a bucket the lock is a lease (`inrzoo.store.lease`).

    Raises:
        InrzooError: another process holds the lock, or the store holds a link, through which a write would leave it.
        OSError: the folder that holds the store cannot be written to.
    """
    if isinstance(store, ObjectPath):
        with lease.hold(store):
            yield
        return
    if store.is_symlink() and not store.exists():
        raise InrzooError(f"{store} is a link to {store.readlink()}, which does not exist; name another place")
    with only_process(store):
        require_no_links(store)
        yield


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which need not exist yet: the file `.NAME.lock` beside it.

    Raises:
        InrzooError: another process holds the lock.
        OSError: what the folder lies in cannot be written to.
    """
    place = folder.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    path = place.with_name(f".{place.name}.lock")
    lock = file_lock(path, REFUSAL_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise InrzooError(f"another process is writing to {folder}; wait for it or stop it") from None
    try:
        yield
    finally:
        try:
            path.unlink(missing_ok=True)  # while it is locked: a process that has opened it sees that it is gone
        finally:
            lock.release()


def file_lock(path: Path, timeout: float = -1) -> FileLock:
    """Return a lock on a file, for one thread of one process. The system releases it with the process.

    The file is made if it is absent, and its content stays. A link at `path` is refused with an OSError.

    Args:
        path: the file; its folder exists.
        timeout: seconds after which `acquire` raises `filelock.Timeout`; it waits for ever if negative.
    """
    return FileLock(path, timeout, fallback_to_soft=False)  # a soft lock would survive a process that is killed


def is_locked(path: Path) -> bool:
    """Return whether a thread or a process holds the lock on a file. A file that cannot be locked counts as free."""
    try:
        with file_lock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False
