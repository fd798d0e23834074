"""Copies a store for a push, so that it does not change while it is verified and sent.

The copy is beside the store and consists of hard links, which take no space. This package never writes into an existing
file of a store: new content is written to a new file and renamed, and a link keeps the old content.
"""

import errno
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
from inrzoo.store.lock import file_lock, is_locked, only_writer
from inrzoo.store.names import is_metadata
from inrzoo.store.subset import link_first_seeds, link_or_copy

LOCK = ".lock"
"""File that the process of a snapshot locks; without a lock the process has died."""
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def snapshot(path: Path, partial: bool) -> Iterator[Store]:
    """Yield a complete store of the current files of `path`.

    Args:
        path: the store.
        partial: whether to take the finished seeds of an unfinished store.

    Raises:
        InrzooError: the store is not complete, contains a link, or another process writes to it.
    """
    open_store(path)  # fails before a lock is made beside an absent store
    with ExitStack() as cleanup:
        with _writer_or_nobody(path) as locked:
            home = _make_home(path) if locked else Path(tempfile.mkdtemp(prefix="inrzoo-push-"))
            cleanup.callback(shutil.rmtree, home, ignore_errors=True)
            cleanup.enter_context(file_lock(home / LOCK))
            before, target = (path / "zarr.json").read_bytes(), home / path.resolve().name
            _copy(open_store(path), path, target, partial)
            if (path / "zarr.json").read_bytes() != before:
                raise InrzooError(f"another process is writing to {path}; wait for it or stop it")
            require_no_links(target)
        store = open_store(target)
        if not store.complete:
            stats.run(store)
        yield open_store(target)


@contextmanager
def _writer_or_nobody(path: Path) -> Iterator[bool]:
    """Hold the writer's lock; yield False in a read-only folder, in which no lock can be made."""
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
    """Make a folder beside the store; remove those of dead processes."""
    place = path.resolve()
    prefix = f".{place.name}.push-"
    for old in [entry for entry in place.parent.iterdir() if entry.name.startswith(prefix)]:
        if not old.is_symlink() and not is_locked(old / LOCK):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=place.parent))


def _copy(store: Store, path: Path, target: Path, partial: bool) -> None:
    if store.complete:
        for name in ["zarr.json", *store.info.checksums]:
            if (path / name).exists():  # verification reports missing files
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(path / name, target / name, copy=is_metadata(name))
        return
    published = {*store.info.published_seeds}
    num_seeds = next(seed for seed in range(store.num_seeds + 1) if seed not in published)
    if not partial:
        raise InrzooError(
            f"{path} is not complete; complete its build, or push its {num_seeds} finished seed(s) with --partial"
        )
    if not num_seeds:
        raise InrzooError(f"no seed of {path} is finished yet; the same build command continues")
    link_first_seeds(path, target, num_seeds)
