"""What a push sends: a copy of the store that nobody changes while it is verified and sent.

The copy lies beside the store and consists of hard links, so it takes no space. Nothing in this package writes into an
existing file of a store: new content is written beside it and renamed into place, and a link keeps the old content.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from inrzoo import stats
from inrzoo.errors import InrzooError
from inrzoo.store import Store, open_store
from inrzoo.store.links import require_no_links
from inrzoo.store.lock import only_writer
from inrzoo.store.names import is_metadata
from inrzoo.store.subset import link_first_seeds, link_or_copy

LOCK = ".lock"
"""A file in the folder of a snapshot, locked by its process: of one that is not, the process has died."""
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def snapshot(path: Path, partial: bool) -> Iterator[Store]:
    """A complete store of the files that `path` has now.

    Args:
        partial: take the finished seeds of a store that is still being built.

    Raises:
        InrzooError: the store is not complete, holds a link, or another process writes to it.
    """
    open_store(path)  # says in one line that there is none, before a lock is made beside it
    home: Path | None = None
    try:
        with _writer_or_nobody(path) as locked:
            home = _make_home(path) if locked else Path(tempfile.mkdtemp(prefix="inrzoo-push-"))
            with (home / LOCK).open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                before, target = (path / "zarr.json").read_bytes(), home / path.resolve().name
                _copy(open_store(path), path, target, partial)
                if (path / "zarr.json").read_bytes() != before:
                    raise InrzooError(f"another process is writing to {path}; wait for it or stop it")
                require_no_links(target)
                handle = os.dup(file.fileno())  # the lock outlives this block
        try:
            store = open_store(target)
            if not store.complete:
                stats.run(store)
            yield open_store(target)
        finally:
            os.close(handle)
    finally:
        if home is not None:
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _writer_or_nobody(path: Path) -> Iterator[bool]:
    """Hold the writer's lock; False where the folder is read-only, so that no lock can be made beside the store."""
    with ExitStack() as stack:
        locked = True
        try:
            stack.enter_context(only_writer(path))
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise
            require_no_links(path)
            locked = False
        yield locked


def _make_home(path: Path) -> Path:
    """A folder beside the store; those that dead processes left are removed."""
    place = path.resolve()
    prefix = f".{place.name}.push-"
    for old in [entry for entry in place.parent.iterdir() if entry.name.startswith(prefix)]:
        if not old.is_symlink() and _is_abandoned(old / LOCK):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=place.parent))


def _is_abandoned(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def _copy(store: Store, path: Path, target: Path, partial: bool) -> None:
    if store.complete:
        for name in ["zarr.json", *store.info.checksums]:
            if (path / name).exists():  # verification says which are missing
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(path / name, target / name, copy=is_metadata(name))
        return
    published = {*store.info.published_seeds}
    num_seeds = next(seed for seed in range(store.num_seeds + 1) if seed not in published)
    if not partial:
        raise InrzooError(
            f"{path} is not complete; build it to its end, or push its {num_seeds} finished seed(s) with --partial"
        )
    if not num_seeds:
        raise InrzooError(f"no seed of {path} is finished yet; the same build command continues")
    link_first_seeds(path, target, num_seeds)
