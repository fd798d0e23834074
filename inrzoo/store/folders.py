"""Files and folders on a disk: the operations that stores need beside those of `pathlib.Path`.

`inrzoo.store.objects.ObjectPath` has the same methods for objects in a bucket; `inrzoo.store.files` chooses.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inrzoo.store.links import is_plain, links, require_plain_path, walk


@dataclass(frozen=True)
class DiskPath:
    """A file or a folder."""

    path: Path
    is_local: ClassVar[bool] = True

    def write_atomically(self, content: bytes | memoryview, store: str | None) -> None:
        """See `files.write_atomically`."""
        path = self.path
        if store is not None:
            require_plain_path(path.parent, Path(store))
        # A name of its own for each writer. What a killed process leaves in a store is removed before the store is
        # sealed; elsewhere nobody would remove it, so it is hidden.
        partial = path.with_name(f"{'' if store else '.'}{path.name}.{uuid.uuid4().hex}.partial")
        try:
            with partial.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException as error:
            partial.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.filename == str(partial):
                error.filename = str(path)  # the name that the user knows
            raise
        DiskPath(path.parent).sync()

    def update(self, change: Callable[[bytes], bytes], store: str) -> None:
        """See `files.update`."""
        self.write_atomically(change(self.path.read_bytes()), store)

    def sync(self) -> None:
        """Force the file, or the folder's entries, to disk."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def sync_tree(self) -> None:
        """Force every file below the folder, and the folders, to disk."""
        for name, entry in walk(self.path):
            if is_plain(entry):
                DiskPath(self.path / name).sync()
        self.sync()

    def is_taken(self) -> bool:
        """Return whether anything stands here."""
        return self.path.exists()

    def files(self) -> dict[str, int]:
        """Return the size in bytes of every visible file below the folder, by its relative name; links are left out."""
        return {
            name: entry.stat(follow_symlinks=False).st_size
            for name, entry in walk(self.path)
            if entry.is_file(follow_symlinks=False)
        }

    def links(self) -> list[str]:
        """Return the names of all links, pipes and devices below the folder, sorted."""
        return links(self.path)

    def map_bytes(self, start: int, stop: int | None) -> NDArray[np.uint8]:
        """See `files.map_bytes`."""
        size = self.path.stat().st_size
        stop = size if stop is None else min(stop, size)
        if stop <= start:
            return np.empty(0, np.uint8)  # the system maps no empty file
        return np.memmap(self.path, np.uint8, "r", start, (stop - start,))

    def remove(self, names: Sequence[str]) -> None:
        """Remove files below the folder; absent ones count as removed."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def remove_tree(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path)

    def free_bytes(self) -> int:
        """Return the free space of the disk that the path, or its nearest existing parent, lies on."""
        path = self.path
        while not path.exists():
            path = path.parent
        return shutil.disk_usage(path).free

    def scratch(self, ending: str) -> Path:
        """Return the place of a temporary file for this store: a hidden one beside it."""
        return self.path.with_name(f".{self.path.name}.{ending}")
