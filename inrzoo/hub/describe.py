"""Writes the files of a repository that describe the store in it: the card, its picture, and `croissant.json`."""

from collections.abc import Mapping
from pathlib import Path

from inrzoo.hub import croissant
from inrzoo.hub.card import card, draw_preview
from inrzoo.hub.remote import Entry
from inrzoo.store import Store


def describe(
    store: Store,
    repo_id: str,
    version: int,
    revision: str,
    folder: str,
    files: Mapping[str, Entry],
    images: bool,
    home: Path,
) -> dict[str, Path]:
    """Write the describing files into a folder.

    Args:
        store: a complete local store.
        repo_id: `USER/NAME` of the dataset.
        version: N of the tag vN that the files will get.
        revision: tag or branch at which the files will be found.
        folder: name of the store in the repository.
        files: files of the repository, among them all Parquet files.
        images: whether the rows of the Parquet files have a picture of each INR.
        home: an existing folder.

    Returns:
        The written files by their path in the repository.
    """
    described = {}
    if draw_preview(store, home / "preview.png"):
        described["preview.png"] = home / "preview.png"
    root = (Path(store.location) / "zarr.json").read_bytes()
    texts = {
        croissant.FILE: croissant.croissant(store, repo_id, version, revision, folder, files, images, root),
        "README.md": card(store, repo_id, version, "preview.png" in described, images),
    }
    for name, text in texts.items():
        (home / name).write_text(text, encoding="utf-8")
        described[name] = home / name
    return described
