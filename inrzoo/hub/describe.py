"""Writes the files of a repository that describe the store in it: the card, its picture, and `croissant.json`."""

from pathlib import Path

from inrzoo.hub import croissant
from inrzoo.hub.card import card, draw_preview
from inrzoo.hub.croissant import Release


def describe(release: Release, home: Path) -> dict[str, Path]:
    """Write the describing files into a folder.

    Args:
        release: what is described; its store is a local one.
        home: an existing folder.

    Returns:
        The written files by their path in the repository.
    """
    described, store = {}, release.store
    if draw_preview(store, home / "preview.png"):
        described["preview.png"] = home / "preview.png"
    root = (Path(store.location) / "zarr.json").read_bytes()
    texts = {
        croissant.FILE: croissant.croissant(release, root),
        "README.md": card(store, release.repo_id, release.version, "preview.png" in described, release.images),
    }
    for name, text in texts.items():
        (home / name).write_text(text, encoding="utf-8")
        described[name] = home / name
    return described
