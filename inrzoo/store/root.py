"""The root of a store, its `zarr.json`: attributes, checksums, gathered metadata; and the files that it answers for."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from inrzoo.errors import InrzooError
from inrzoo.store import lease
from inrzoo.store.blocks import BUILD_FOLDER
from inrzoo.store.files import file_sizes, write_atomically
from inrzoo.store.objects import Changed, Location, ObjectPath


def data_files(path: Location) -> list[str]:
    """Relative names of all chunk files of the store, sorted; those of the build folder left out."""
    return [name for name in _files(path) if not name.endswith("zarr.json")]


def metadata_files(path: Location) -> list[str]:
    """Relative names of the metadata files of arrays and groups, sorted; the root's, which holds the checksums, not."""
    return [name for name in _files(path) if name.endswith("zarr.json") and name != "zarr.json"]


def _files(path: Location) -> list[str]:
    return sorted(
        name for name in file_sizes(path) if not name.startswith((f"{BUILD_FOLDER}/", ".")) and name[-8:] != ".partial"
    )


def set_attributes(path: Location, **changes: Any) -> None:
    """Change attributes of the group in one atomic write, consolidated metadata dropped: they would be stale."""

    def change(root: dict[str, Any]) -> None:
        root["attributes"] = {**root["attributes"], **changes}
        root.pop("consolidated_metadata", None)

    _change_root(path, change)


def _change_root(path: Location, change: Callable[[dict[str, Any]], None]) -> None:
    """Read the root, change it, write it; in a bucket only if nobody else has written it meanwhile."""
    file = path / "zarr.json"
    content, tag = file.read_tagged() if isinstance(file, ObjectPath) else (file.read_bytes(), "")
    root = json.loads(content)
    change(root)
    if not isinstance(file, ObjectPath):
        return write_atomically(file, _to_bytes(root))
    lease.require(file.parent)
    try:
        file.replace(_to_bytes(root), tag)
    except Changed:
        raise InrzooError(f"another process has written to {path}; this one stops") from None


def seal(path: Location, checksums: Mapping[str, str]) -> None:
    """Gather all metadata in the root (one request opens a remote store) and say that the store is complete, in one
    atomic write. The form is zarr-python's; written here because zarr gathers in the order of the folder's listing.
    """
    nodes = {str(Path(file).parent): json.loads((path / file).read_text()) for file in metadata_files(path)}
    for node in nodes.values():
        if node["node_type"] == "group":
            node["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": {}}

    def change(root: dict[str, Any]) -> None:
        root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": nodes}
        root["attributes"] = {**root["attributes"], "checksums": checksums, "complete": True}
        root["attributes"].pop("partial", None)

    _change_root(path, change)


def _to_bytes(root: Mapping[str, Any]) -> bytes:
    return json.dumps(root, indent=2, sort_keys=True, ensure_ascii=False).encode()
