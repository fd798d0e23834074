"""A store in a bucket as zarr reads and writes it. Signals that a worker has read stay on its machine.

Every worker of a machine reads the same signals, once for each seed. Their chunks are kept in the cache folder, under
the digest of the signals: the first worker fetches a chunk, the others find it.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest

from inrzoo.store.files import write_atomically
from inrzoo.store.mirror_group import MirrorStore
from inrzoo.store.objects import Location, ObjectPath
from inrzoo.store.remote import Mirror

SIGNALS = ("signals/c/", "_build/signals/c/")
STALE_SECONDS = 24 * 3600
"""Signals that no worker has asked for so long were left by a build that ended."""


class ObjectGroup(Store):  # type: ignore[misc]  # zarr is not checked
    """Objects below a key.

    Args:
        root: the store's place.
        nearby: folder for the chunks of signals; None keeps none.
    """

    supports_writes = supports_deletes = supports_listing = True

    def __init__(self, root: ObjectPath, nearby: Path | None = None, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)
        self.root, self.nearby = root, nearby

    def with_read_only(self, read_only: bool = False) -> ObjectGroup:
        """The same objects, to be written or not."""
        return ObjectGroup(self.root, self.nearby, read_only)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectGroup) and self.root == other.root

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
        """Remove what is below a key."""
        await asyncio.to_thread((self.root / prefix.strip("/")).remove_below)

    async def list(self) -> AsyncIterator[str]:
        """Names of all objects."""
        for name in await asyncio.to_thread(self.root.files):
            yield name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Names that begin so."""
        async for name in self.list():
            if name.startswith(prefix):
                yield name

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """First parts of the names below a key."""
        home = self.root / prefix.strip("/") if prefix.strip("/") else self.root
        for name in sorted({name.split("/")[0] for name in await asyncio.to_thread(home.files)}):
            yield name

    def _read(self, key: str, byte_range: Any) -> bytes | None:
        path = self.root / key
        try:
            match byte_range:
                case None:
                    return self._whole(key)
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

    def _whole(self, key: str) -> bytes:
        if self.nearby is None or not key.startswith(SIGNALS):
            return (self.root / key).read_bytes()
        kept = self.nearby / key.replace("/", "-")
        with suppress(FileNotFoundError):
            return kept.read_bytes()
        content = (self.root / key).read_bytes()
        self.nearby.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, content)
        return content


def home_of(path: Location, mirror: Mirror | None) -> Any:
    """What zarr reads a store from."""
    if isinstance(path, ObjectPath):
        return ObjectGroup(path, read_only=True)
    return path if mirror is None else MirrorStore(mirror)


def signals_nearby(cache: Path, root: ObjectPath, digest: str) -> Path:
    """Where the signals of a store are kept on this machine; those of builds that ended long ago go."""
    home = cache / "signals"
    with suppress(FileNotFoundError):
        for old in home.iterdir():
            if old.stat().st_mtime < time.time() - STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
    return home / hashlib.sha256(f"{root}\0{digest}".encode()).hexdigest()[:24]
