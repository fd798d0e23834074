"""Storage classes for zarr: the folder of a store, the local cache of a remote store, and a store in a bucket.

zarr's `ObjectStore` is not used for buckets: it does not repeat a request whose answer was cut off, and its errors go
on for pages. `ObjectPath` repeats such requests and shortens the errors.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.storage import LocalStore

from inrzoo.cache import cache_folder
from inrzoo.store.files import write_atomically
from inrzoo.store.links import require_plain_path
from inrzoo.store.objects import Location, ObjectPath
from inrzoo.store.store_cache import ROOT, StoreCache

SIGNALS = re.compile(r"(_build/)?signals(\.[a-z0-9_]+)?/c/")
"""Beginning of the names of the chunks of signals and of their further arrays."""
STALE_SECONDS = 24 * 3600
"""Age, in seconds since their last use, at which cached signals are removed: the build that read them has ended."""


class FolderStore(LocalStore):  # type: ignore[misc]  # zarr is not checked
    """A folder. A path below it that leads through a link is refused."""

    async def set(self, key: str, value: Any) -> None:
        """Write a file."""
        self._require_plain(key)
        await super().set(key, value)

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        """Write a file unless it exists."""
        self._require_plain(key)
        await super().set_if_not_exists(key, value)

    async def delete(self, key: str) -> None:
        """Remove a file."""
        self._require_plain(key)
        await super().delete(key)

    async def delete_dir(self, prefix: str) -> None:
        """Remove a folder."""
        self._require_plain(prefix)
        await super().delete_dir(prefix)

    def _require_plain(self, key: str) -> None:
        require_plain_path(Path(self.root) / key, Path(self.root))


class CachedStore(LocalStore):  # type: ignore[misc]
    """The local cache of a remote store; files are fetched when zarr asks for them."""

    def __init__(self, cache: StoreCache) -> None:
        super().__init__(cache.folder, read_only=True)
        self.cache = cache

    def with_read_only(self, read_only: bool = False) -> CachedStore:
        """This store: it can be opened for reading alone."""
        return self

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """A file's bytes, or None where the store has no such file."""
        await asyncio.to_thread(self.cache.fetch, key)
        return await super().get(key, prototype, byte_range)

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> list[Any]:
        """Parts of files."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether the store has such a file."""
        return key == ROOT or key in self.cache.checksums


class BucketStore(Store):  # type: ignore[misc]
    """Objects below a key.

    Every worker of a machine reads the same signals, once for each seed. Their chunks are kept on the machine: the
    first worker fetches a chunk, the others read the file.

    Args:
        root: the store's place.
        signal_cache: folder for the chunks of signals; None keeps none.
    """

    supports_writes = supports_deletes = supports_listing = True

    def __init__(self, root: ObjectPath, signal_cache: Path | None = None, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)
        self.root, self.signal_cache = root, signal_cache

    def with_read_only(self, read_only: bool = False) -> BucketStore:
        """The same objects, to be written or not."""
        return BucketStore(self.root, self.signal_cache, read_only)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BucketStore) and self.root == other.root

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """An object's bytes, or None where there is none."""
        from zarr.core.buffer import default_buffer_prototype

        content = await asyncio.to_thread(self._read, key, byte_range)
        return None if content is None else (prototype or default_buffer_prototype()).buffer.from_bytes(content)

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> list[Any]:
        """Parts of objects."""
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges)))

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return await asyncio.to_thread((self.root / key).exists)

    async def set(self, key: str, value: Any, byte_range: Any = None) -> None:
        """Write an object."""
        await asyncio.to_thread((self.root / key).write_bytes, value.to_bytes())

    async def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        await asyncio.to_thread((self.root / key).unlink, True)

    async def delete_dir(self, prefix: str) -> None:
        """Remove the objects below a key."""
        await asyncio.to_thread((self.root / prefix.strip("/")).remove_below)

    async def list(self) -> AsyncIterator[str]:
        """Names of all objects."""
        for name in await asyncio.to_thread(self.root.files):
            yield name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Names that begin with `prefix`."""
        async for name in self.list():
            if name.startswith(prefix):
                yield name

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """First parts of the names below a key."""
        folder = self.root / prefix.strip("/") if prefix.strip("/") else self.root
        for name in sorted({name.split("/")[0] for name in await asyncio.to_thread(folder.files)}):
            yield name

    def _read(self, key: str, byte_range: Any) -> bytes | None:
        path = self.root / key
        try:
            match byte_range:
                case None:
                    return self._read_whole(key)
                case RangeByteRequest(start, end):
                    return path.read_range(start, end)
                case OffsetByteRequest(offset):
                    return path.read_range(offset, path.size())
                case SuffixByteRequest(suffix):
                    size = path.size()
                    return path.read_range(max(0, size - suffix), size)
        except FileNotFoundError:
            return None
        raise AssertionError(byte_range)

    def _read_whole(self, key: str) -> bytes:
        if self.signal_cache is None or not SIGNALS.match(key):
            return (self.root / key).read_bytes()
        file = self.signal_cache / key.replace("/", "-")
        with suppress(FileNotFoundError):
            return file.read_bytes()
        content = (self.root / key).read_bytes()
        self.signal_cache.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)
        return content


def zarr_store_of(path: Location, cache: StoreCache | None) -> Any:
    """The storage from which zarr reads a store."""
    if cache is not None:
        return CachedStore(cache)
    return writable(path).with_read_only(True)


def writable(path: Location) -> BucketStore | FolderStore:
    """The storage to which zarr writes a store."""
    return BucketStore(path) if isinstance(path, ObjectPath) else FolderStore(path)


def signal_cache_folder(root: ObjectPath, digest: str) -> Path:
    """The folder in which a machine keeps the signals of a store. Those of builds that ended long ago are removed.

    Args:
        digest: sha256 (hex) of the signals.
    """
    folder = cache_folder("signals")
    with suppress(FileNotFoundError):
        for other in folder.iterdir():
            if other.stat().st_mtime < time.time() - STALE_SECONDS:
                shutil.rmtree(other, ignore_errors=True)
    return folder / hashlib.sha256(f"{root}\0{digest}".encode()).hexdigest()[:24]
