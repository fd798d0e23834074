"""Where a store is found: a folder, the local cache of one elsewhere, or the bucket itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inrzoo.keywords import keywords_checked
from inrzoo.store.objects import Location, ObjectPath, is_object_url
from inrzoo.store.reader import Store
from inrzoo.store.remote import Mirror, Unfinished, is_url


@keywords_checked
def open_store(
    path: str | Location,
    *,
    cache_limit: int | None = None,
    retries: int = 5,
    backoff: float = 0.5,
    storage_options: Mapping[str, Any] | None = None,
) -> Store:
    """Open a store, complete or half-built; one behind `https://…` or `hf://…` must be complete.

    Args:
        path: folder or URL: the files of a complete store come into the local cache as they are touched. An
            `ObjectPath`, or an unfinished store in a bucket, is read where it lies.
        cache_limit: of a URL: bytes that shards of weights may take in the local cache; None for no limit.
        retries: of a URL: further tries after a first one that failed.
        backoff: of a URL: seconds before the second try, doubled each time up to 30.
        storage_options: of a URL: for the file system, as fsspec takes them: keys, tokens, end points.

    Raises:
        InrzooError: there is no store at `path`, it cannot be reached, it has a format that this version does not
            read, or a keyword is unknown.

    Example:
        >>> store = inrzoo.open_store("digits.zarr")
        >>> store.weights.shape  # (signals, seeds, snapshots, parameters)
        (48, 2, 1, 105)
    """
    if is_url(path):
        try:
            mirror = Mirror(
                str(path),
                cache_limit=cache_limit,
                retries=retries,
                backoff=backoff,
                storage_options=None if storage_options is None else dict(storage_options),
            )
        except Unfinished:
            if not is_object_url(path):
                raise
            return Store(ObjectPath.parse(str(path)))
        return Store(mirror.folder, mirror)
    return Store(Path(path) if isinstance(path, str) else path)
