"""The local cache of remote stores: a folder that fills with the files of a store as they are read.

One request opens a store: its root holds the metadata of all arrays and the sha256 of every file. Files are fetched
whole, checked, and renamed into place, so processes that share the cache see whole files or none. Ranges of rows are
never fetched: a random batch would cost a request per INR and many times its bytes (measured; see docs/loading.md).
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

from inrzoo.cache import cache_folder
from inrzoo.errors import InrzooError, MissingPackageError
from inrzoo.extras import require
from inrzoo.retry import retry_policy
from inrzoo.store import limits
from inrzoo.store.files import sha256, sync, write_atomically
from inrzoo.store.info import StoreInfo
from inrzoo.store.lock import file_lock
from inrzoo.store.objects import ObjectError, ObjectPath, is_object_url
from inrzoo.store.root import check_root, is_root
from inrzoo.store.transfer import array_metadata, max_bytes, transfer

ROOT = "zarr.json"
MAX_PAUSE = 30.0
"""Maximum pause between two tries, in seconds."""
STALE_SECONDS = 24 * 3600
"""Age, in seconds, at which a partial file is removed: the process that wrote it has died."""
PREFETCHER = "inrzoo prefetch"
"""Name of the threads that fetch in the background; one may outlive a reader that failed, by its own retries."""
LOG = logging.getLogger("inrzoo.store")
NOT_RETRIED = (FileNotFoundError, PermissionError, ImportError, NotImplementedError, ValueError, ObjectError)
"""Errors after which a request is not repeated. Requests to a bucket were repeated already, by `ObjectPath`."""


class Unfinished(InrzooError):
    """The remote store is unfinished: it has no checksums to check its files against."""


def is_url(location: object) -> bool:
    """Whether `location` is a URL: `https://`, `s3://`, `hf://`, anything that fsspec knows."""
    return isinstance(location, str) and "://" in location


class StoreCache:
    """The local cache of one remote store.

    Args:
        url: URL of the store's folder. Its last part names the store.
        cache_limit: maximum size on disk of the shards of weights, in bytes; None for no limit. The least recently used
            are removed first. Those in use stay, so a limit below what is read at once is exceeded.
        retries: number of retries after a failure.
        backoff: seconds before the first retry; doubled each time, up to 30, and shortened at random by up to a half.
        storage_options: options of the file system, as fsspec takes them.

    Attributes:
        folder: folder of the files; its name covers the URL and, through the root's checksums, every byte of the store.
        on_remove: callback after shards were removed.

    Raises:
        InrzooError: no store there, one that is unfinished, or it could not be reached.
    """

    def __init__(
        self,
        url: str,
        *,
        cache_limit: int | None = None,
        retries: int = 5,
        backoff: float = 0.5,
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        if "::" in url or "\0" in url:  # fsspec would chain file systems, some of which write where they like
            raise InrzooError(f"{url!r} chains file systems; name the store itself, as s3://BUCKET/NAME.zarr")
        self.url = url.rstrip("/")
        self.options: dict[str, Any] = {
            "cache_limit": cache_limit,
            "retries": retries,
            "backoff": backoff,
            "storage_options": storage_options,
        }
        self.on_remove: Callable[[], None] = lambda: None
        self._pinned: Counter[str] = Counter()
        self._opened_by = 0
        plain = is_object_url(self.url) and not storage_options
        self._objects = ObjectPath.parse(self.url) if plain else None
        root: bytes = self._with_retries(ROOT, self._read_root)
        info = StoreInfo.from_root(root, self.url)
        self._nodes, self.checksums = array_metadata(root), info.checksums
        if not info.complete:
            raise Unfinished(f"{self.url} is an unfinished store; finish its build where it lies, then load it")
        identity = hashlib.sha256(self.url.encode() + b"\0" + root).hexdigest()
        self.folder = cache_folder("stores") / f"{self.url.rsplit('/', 1)[-1]}-{identity[:24]}"
        (self.folder / ".locks").mkdir(parents=True, exist_ok=True)
        self._sweep()
        if not (self.folder / ROOT).exists():
            write_atomically(self.folder / ROOT, root)

    def fetch(self, name: str) -> Path:
        """Make sure that a file of the store is in the folder.

        Args:
            name: relative to the store, as its checksums list it. Of a name not listed the store has no file.

        Returns:
            Its place in the folder, whether or not the store has such a file.

        Raises:
            InrzooError: after the last try, naming the store and the file.
        """
        path = self.folder / name
        if name not in self.checksums or _touch(path):
            return path
        with file_lock(self.folder / ".locks" / name.replace("/", "-")):  # other threads and processes wait here
            if not _touch(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                LOG.debug("fetching %s of %s into %s", name, self.url, self.folder)
                self._with_retries(name, lambda: self._download(name, path))
        self._make_room(but=name)
        return path

    def fetch_all(self) -> Path:
        """Fetch every file of the store. Returns the folder, which is then the store."""
        for name in self.checksums:
            self.fetch(name)
        return self.folder

    def prefetch(self, names: Iterable[str]) -> None:
        """Fetch files in the background. What fails here fails again, and is reported, where the file is needed."""
        missing = [name for name in names if name in self.checksums and not (self.folder / name).exists()]
        if missing:
            Thread(target=self._fetch_quietly, args=(missing,), name=PREFETCHER, daemon=True).start()

    @contextmanager
    def in_use(self, names: Iterable[str]) -> Iterator[None]:
        """While this context is open these files are not removed by this process."""
        names = list(names)
        self._pinned.update(names)
        try:
            yield
        finally:
            self._pinned.subtract(names)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy in another process opens the store itself."""
        return _opened, (self.url, self.options)

    # --- one file ----------------------------------------------------------------------------------------------

    def _download(self, name: str, path: Path) -> None:
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            if self._objects is not None:
                partial.write_bytes(self._read(name))
            else:
                with partial.open("wb") as file:
                    limit = max_bytes(self._nodes, name)
                    transfer(self._remote(), self._remote_path(name), limit, file.write)
            digest, recorded = sha256(partial), self.checksums[name]
            if digest != recorded:
                raise OSError(f"what arrived has sha256 {digest[:12]}…, recorded is {recorded[:12]}…")
            sync(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _with_retries(self, name: str, work: Callable[[], Any]) -> Any:
        """Return what `work` returns, retried up to the allowed number of times."""
        options = self.options
        policy = retry_policy(
            _is_transient, tries=1 + options["retries"], first_pause=options["backoff"], max_pause=MAX_PAUSE
        )
        try:
            return policy(work)
        except MissingPackageError:
            raise
        except Exception as error:  # every file system has errors of its own
            if _is_of_disk(error):
                raise InrzooError(f"{name} of {self.url} does not fit into {self.folder}: {error}") from error
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            tries = policy.statistics["attempt_number"]
            times = "once" if tries == 1 else f"{tries} times"
            raise InrzooError(f"could not read {name} of {self.url}, tried {times} ({what})") from error

    def _remote(self) -> Any:
        """The file system, one for each process: its connections do not survive a fork."""
        if self._opened_by != os.getpid():
            import fsspec

            if self.url.startswith("hf://"):
                require("hub", self.url, "huggingface_hub")
            options = dict(self.options["storage_options"] or {})
            if self.url.startswith(("http://", "https://")) and "client_kwargs" not in options:
                import aiohttp

                # Its default is five minutes in all, which a slow line needs for a single shard.
                timeout = aiohttp.ClientTimeout(None, sock_connect=30, sock_read=limits.WINDOW_SECONDS)
                options["client_kwargs"] = {"timeout": timeout}
                options.setdefault("max_redirects", limits.MAX_REDIRECTS)
                options["headers"] = {"Accept-Encoding": "identity", **options.get("headers", {})}
            self._file_system, self._root = fsspec.core.url_to_fs(self.url, skip_instance_cache=True, **options)
            self._opened_by = os.getpid()
        return self._file_system

    def _read(self, name: str) -> bytes:
        if self._objects is not None:
            return (self._objects / name).read_bytes()
        pieces: list[bytes] = []
        transfer(self._remote(), self._remote_path(name), limits.MAX_SMALL_BYTES, pieces.append)
        return b"".join(pieces)

    def _read_root(self) -> bytes:
        content = self._read(ROOT)
        if is_root(content) and (problem := check_root(content)):
            raise OSError(f"it {problem}")
        return content

    def _remote_path(self, name: str) -> str:
        self._remote()
        return f"{self._root.rstrip('/')}/{name}"

    def _fetch_quietly(self, names: list[str]) -> None:
        for name in names:
            with suppress(Exception):
                self.fetch(name)

    # --- the folder --------------------------------------------------------------------------------------------

    def _make_room(self, but: str) -> None:
        limit = self.options["cache_limit"]
        if limit is None:
            return
        shards = []
        for path in (self.folder / "weights").rglob("*"):
            with suppress(FileNotFoundError):  # another process makes room as well
                if path.is_file() and path.suffix not in (".json", ".partial"):
                    shards.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        taken, removed = sum(size for _, size, _ in shards), False
        for _, size, path in sorted(shards):
            name = str(path.relative_to(self.folder))
            if taken <= limit:
                break
            if name != but and self._pinned[name] <= 0:
                path.unlink(missing_ok=True)
                taken, removed = taken - size, True
        if removed:
            self.on_remove()

    def _sweep(self) -> None:
        for path in self.folder.rglob("*.partial"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - STALE_SECONDS:
                    path.unlink()


def _opened(url: str, options: dict[str, Any]) -> StoreCache:
    return StoreCache(url, **options)


def _touch(path: Path) -> bool:
    """Mark a file as used just now; whether it is there."""
    try:
        now = time.time_ns()  # finer than the file system's own clock
        os.utime(path, ns=(now, now))
    except FileNotFoundError:
        return False
    return True


def _is_transient(error: BaseException) -> bool:
    """Whether another request may succeed after this error."""
    final = isinstance(error, (*NOT_RETRIED, MissingPackageError)) or _is_of_disk(error) or _is_refusal(error)
    return isinstance(error, Exception) and not final


def _is_of_disk(error: BaseException) -> bool:
    """Whether the disk of the cache is full or cannot be written."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def _is_refusal(error: BaseException) -> bool:
    """Whether a server said no and would say it again: 4xx, but neither a timeout (408) nor too many requests (429)."""
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(status, int) and 400 <= status < 500 and status not in (408, 429)
