"""Finds the store that a user names: a folder, a URL, or a dataset on the Hub. Nothing else decides what a name means.

A folder of that name goes before the Hub. A dataset on the Hub is pinned to a commit once in a process, so that all
that a process reads is of one version.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from inrzoo.errors import InrzooError
from inrzoo.keywords import keywords_checked
from inrzoo.store import Location, Store
from inrzoo.store import open_store as open_located
from inrzoo.store.store_cache import StoreCache

HUB = "hf://"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
"""`USER/NAME` of a repository on the Hub."""
NAME = re.compile(rf"{REPOSITORY.pattern}(@\S+)?", re.ASCII)
"""`USER/NAME` or `USER/NAME@REVISION`."""
FILES = (".zarr", ".toml", ".safetensors", ".parquet")
"""Endings of names that mean files and folders of this machine alone."""
PINNED = re.compile(r"hf://datasets/([^/@\s]+/[^/@\s]+@[0-9a-f]{40})/[^/@\s]+\.zarr")
"""URL of a store on the Hub at a commit; its group is `USER/NAME@COMMIT`."""


def located(place: str) -> str:
    """Return the folder or URL that a name of a store means.

    Args:
        place: a folder, a URL, or a dataset on the Hub: `USER/NAME`, `hf://datasets/USER/NAME`, either of them with
            `@REVISION`, a version such as `v1`, a branch or a commit; the newest version without one.

    Returns:
        `hf://datasets/USER/NAME@COMMIT/NAME.zarr` for a dataset on the Hub; anything else unchanged, whether or not a
        store is there.

    Raises:
        InrzooError: it is a name for the Hub alone, and the Hub has no such dataset or revision, or cannot be reached.

    Example:
        >>> located("digits.zarr")
        'digits.zarr'
    """
    if place.startswith(HUB):
        return place if PINNED.fullmatch(place) else _pinned(place)
    if not is_hub_name(place) or os.path.lexists(place):  # Path.exists raises for long names
        return place
    try:
        return _pinned(place)
    except InrzooError as error:
        raise InrzooError(
            f"no store at {place}: there is no such folder, and as a dataset on the Hub: {error}; "
            f"`inrzoo build DATASET --out {place}` makes a folder, `inrzoo list --hub` lists datasets on the Hub"
        ) from None


def is_hub_name(place: str) -> bool:
    """Return whether a name can be one of a repository on the Hub: `USER/NAME`, with or without `@REVISION`.

    >>> is_hub_name("ada/digits@v1"), is_hub_name("runs/digits.zarr"), is_hub_name("digits")
    (True, False, False)
    """
    return NAME.fullmatch(place) is not None and not place.partition("@")[0].endswith(FILES)


def short_name(place: str | Path) -> str:
    """Return the last part of a store's name, without its ending and revision.

    >>> short_name("ada/digits@v1"), short_name("s3://bucket/digits.zarr")
    ('digits', 'digits')
    """
    text = str(place)
    if text.startswith(HUB) or (isinstance(place, str) and is_hub_name(text)):
        text = "/".join(text.removeprefix("hf://datasets/").partition("@")[0].split("/")[:2])
    return Path(text).stem


def browser_address(store: Store) -> str | None:
    """Return the URL at which browsers read a store on the Hub; None for a store elsewhere.

    Raises:
        InrzooError: the dataset is private or gated, which browsers cannot read, or the Hub cannot be reached.
    """
    if not store.location.startswith(HUB):
        return None
    from inrzoo import hub

    return hub.browser_address(store.location)


@keywords_checked
def open_store(
    path: str | Location,
    *,
    cache_limit: int | None = None,
    retries: int = 5,
    backoff: float = 0.5,
    storage_options: Mapping[str, Any] | None = None,
) -> Store:
    """Open a store, complete or half-built; one behind `https://…` or on the Hub must be complete.

    Args:
        path: a folder; a URL; or a dataset on the Hub, `USER/NAME` or `hf://datasets/USER/NAME`, with an optional
            `@REVISION`. A folder of that name goes before the Hub. The files of a remote store come into the local
            cache as they are touched; an unfinished store in a bucket is read where it lies.
        cache_limit: of a remote store: bytes that shards of weights may take in the local cache; None for no limit.
        retries: of a remote store: further tries after a first one that failed.
        backoff: of a remote store: seconds before the second try, doubled each time up to 30.
        storage_options: of a URL: for the file system, as fsspec takes them: keys, tokens, end points.

    Raises:
        InrzooError: there is no store at `path`, it cannot be reached, it has a format that this version does not
            read, or a keyword is unknown.

    Example:
        >>> store = inrzoo.open_store("digits.zarr")
        >>> store.weights.shape  # (signals, seeds, snapshots, parameters)
        (48, 2, 1, 105)
    """
    options = None if storage_options is None else dict(storage_options)
    cached = partial(StoreCache, cache_limit=cache_limit, retries=retries, backoff=backoff, storage_options=options)
    return open_located(located(path) if isinstance(path, str) else path, cached)


@cache
def _pinned(address: str) -> str:
    from inrzoo import hub

    return hub.pin(address)
