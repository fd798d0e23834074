"""The folder of a store as zarr writes it: never through a link."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zarr.storage import LocalStore

from inrzoo.store.links import require_plain_path


class FolderGroup(LocalStore):  # type: ignore[misc]  # zarr is not checked
    """A folder that zarr reads and writes; a path below it that leads through a link is refused."""

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
