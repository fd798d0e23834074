"""A mirrored store as zarr reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from zarr.storage import LocalStore

from inrzoo.store.remote import ROOT, Mirror


class MirrorStore(LocalStore):  # type: ignore[misc]  # zarr is not checked
    """A mirror as zarr reads it: files are fetched when they are asked for."""

    def __init__(self, mirror: Mirror) -> None:
        super().__init__(mirror.folder, read_only=True)
        self.mirror = mirror

    def with_read_only(self, read_only: bool = False) -> MirrorStore:
        """This store: there is no other way to open it than for reading."""
        return self

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """A file's bytes, or None where the store has no such file."""
        await asyncio.to_thread(self.mirror.fetch, key)
        return await super().get(key, prototype, byte_range)

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> list[Any]:
        """Parts of files."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether the store has such a file."""
        return key == ROOT or key in self.mirror.checksums
