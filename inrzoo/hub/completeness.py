"""Finds the files of a store that a commit on the Hub lacks, which are sent again as a new version."""

from collections.abc import Mapping
from pathlib import Path

from inrzoo.hub.remote import Entry, local_entry
from inrzoo.interchange.parquet import Part, parts
from inrzoo.store import Store


def lacking(store: Store, folder: str, entries: Mapping[str, Entry]) -> list[str]:
    """Return the sorted paths of files that are absent from a commit or differ there.

    Args:
        store: a complete local store.
        folder: name of the store in the repository.
        entries: the files of the commit.
    """
    home = store.path
    assert isinstance(home, Path), "a push copies the store"
    wrong = [path for path in ("README.md",) if path not in entries]
    for name, digest in {"zarr.json": None, **store.info.checksums}.items():
        if not _holds(entries.get(f"{folder}/{name}"), home / name, digest):
            wrong.append(f"{folder}/{name}")
    for part in parts(store, range(store.num_seeds)):
        entry = entries.get(f"data/{part.name}")
        if entry is None or entry.size < row_bytes(store, part):
            wrong.append(f"data/{part.name}")
    return sorted(wrong)


def row_bytes(store: Store, part: Part) -> int:
    """Return the bytes of the weights in a Parquet file, a lower bound of its size, which depends on pyarrow."""
    return 4 * (part.stop - part.start) * store.layout.num_params * len(store.snapshots)


def _holds(entry: Entry | None, path: Path, digest: str | None) -> bool:
    if entry is None or not path.is_file() or entry.size != path.stat().st_size:
        return False
    if entry.sha256 is not None and digest is not None:
        return entry.sha256 == digest
    return entry.holds(*local_entry(path))
