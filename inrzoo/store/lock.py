"""The lock of a store: one process at a time creates, builds, repairs, replaces or pulls it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from inrzoo.errors import InrzooError
from inrzoo.store import lease
from inrzoo.store.links import require_no_links
from inrzoo.store.objects import Location, ObjectPath


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
    place = store.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    path = place.with_name(f".{place.name}.lock")
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InrzooError(f"another process is writing to {store}; wait for it or stop it") from None
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(handle)):
                continue  # its holder has just ended and removed it
            try:
                require_no_links(store)
                yield
            finally:
                path.unlink(missing_ok=True)
            return
        finally:
            os.close(handle)
