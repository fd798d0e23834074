"""Writes the page and the store that it shows into a folder of static files."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path

from inrzoo.errors import InrzooError
from inrzoo.store import Store, only_writer
from inrzoo.store.files import clear, sync_tree
from inrzoo.store.links import require_no_links
from inrzoo.store.names import is_metadata
from inrzoo.store.root import own_files
from inrzoo.store.subset import link_or_copy
from inrzoo.viewer.settings import page_settings, require_finished

STORE_FOLDER = "store"
"""The folder of the store below the page."""
PAGE = ("index.html", "gallery.js", "gallery.css")


def write_site(store: Store, out: Path, link: str | None = None) -> int:
    """Write a folder that any web server can serve: the page, and the store that it shows.

    The files of the store are hard links where the disk knows them, and take no space then. The folder is created whole
    or not at all.

    Args:
        store: a finished store; with `link` it may be remote.
        out: the new folder.
        link: URL of the store; its files are then not put into the folder. Its server has to allow other sites to read
            them (CORS).

    Returns:
        The number of INRs shown.

    Raises:
        InrzooError: the store is not finished, or is remote and `link` is missing; `out` exists; `link` is no URL.
        OSError: no space, no permission; nothing is left behind.
    """
    require_finished(store)
    address = page_address(store, link)
    if out.exists() or out.is_symlink():
        raise InrzooError(f"{out} exists; give another --out")
    with only_writer(out):
        partial = out.with_name(f".{out.name}.partial")
        clear(partial)
        try:
            partial.mkdir(parents=True)
            for name, content in page_files(store, address).items():
                (partial / name).write_bytes(content)
            if address == f"{STORE_FOLDER}/":
                _link_store(Path(store.location), partial / STORE_FOLDER, store)
            sync_tree(partial)
            partial.rename(out)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return num_shown(store)


def page_address(store: Store, link: str | None) -> str:
    """The URL of a store for the page: `link`, the place of a store behind http, or the folder below the page.

    Raises:
        InrzooError: `link` is no URL of http, or a remote store has another kind of place.
    """
    if link is not None:
        if not link.startswith(("http://", "https://")):
            raise InrzooError(f"--link {link} is not allowed; expected https://…, where browsers find the store")
        return link
    if store.cache is None and isinstance(store.path, Path):
        return f"{STORE_FOLDER}/"
    if store.location.startswith(("http://", "https://")):
        return store.location
    raise InrzooError(
        f"browsers cannot read {store.location}; copy the store to a folder first (inrzoo pull), or give its --link"
    )


def page_files(store: Store, address: str) -> dict[str, bytes]:
    """The files of the page by name, without those of the store."""
    static = resources.files("inrzoo.viewer") / "static"
    settings = json.dumps(page_settings(store, address), ensure_ascii=False, indent=1).encode()
    return {**{name: (static / name).read_bytes() for name in PAGE}, "gallery.json": settings}


def store_files(store: Store) -> list[str]:
    """Relative names of the files of a local store, its root first."""
    return ["zarr.json", *own_files(store.path, store.info)]


def num_shown(store: Store) -> int:
    """Number of INRs that are there."""
    pending = store.info.status_names.index("pending")
    return int((store.status != pending).sum())


def _link_store(path: Path, target: Path, store: Store) -> None:
    require_no_links(path)
    before = (path / "zarr.json").read_bytes()
    for name in store_files(store):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(path / name, target / name, copy=is_metadata(name))
    if (path / "zarr.json").read_bytes() != before:
        raise InrzooError(f"another process is writing to {path}; wait for it or stop it")
