"""Where a store is found: a folder, the local cache of one elsewhere, or the bucket itself."""

from pathlib import Path
from typing import Any

from inrzoo.store.objects import Location, ObjectPath, is_object_url
from inrzoo.store.reader import Store
from inrzoo.store.remote import Mirror, Unfinished, is_url


def open_store(path: str | Location, **remote_options: Any) -> Store:
    """Open a store, complete or half-built; one behind `https://…` or `hf://…` must be complete.

    Args:
        path: folder or URL: the files of a complete store come into the local cache as they are touched. An
            `ObjectPath`, or an unfinished store in a bucket, is read where it lies.
        remote_options: `cache_limit`, `retries`, `backoff`, `storage_options`; see `inrzoo.store.remote.Mirror`.

    Raises:
        InrzooError: there is no store at `path`, it cannot be reached, or it has a format that this version does not
            read.
    """
    if is_url(path):
        try:
            mirror = Mirror(str(path), **remote_options)
        except Unfinished:
            if not is_object_url(path):
                raise
            return Store(ObjectPath.parse(str(path)))
        return Store(mirror.folder, mirror)
    return Store(Path(path) if isinstance(path, str) else path)
