"""The root of a store, its `zarr.json`: attributes, checksums, consolidated metadata; and the files it answers for."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from inrzoo.errors import InrzooError
from inrzoo.store import lease
from inrzoo.store.blocks import BUILD_FOLDER
from inrzoo.store.files import file_sizes, is_partial, update
from inrzoo.store.info import StoreInfo, changed_attributes, version_of
from inrzoo.store.names import is_metadata, is_own
from inrzoo.store.objects import Changed, Location

ROOT_DIGEST = "root_sha256"
"""The attribute that holds the sha256 of the root itself, in its canonical form and without this attribute."""
FIRST_WITH_ROOT_DIGEST = (0, 2)
"""The first version of inrzoo that puts a digest of the root into every root."""


def visible_files(path: Location) -> list[str]:
    """Relative names of all files in a store, sorted; its root, its build folder and hidden files are left out."""
    return sorted(
        name
        for name in file_sizes(path)
        if not name.startswith(f"{BUILD_FOLDER}/") and name != "zarr.json" and not is_partial(name)
    )


def own_files(path: Location, info: StoreInfo) -> list[str]:
    """Relative names of the files that belong to the store: metadata and chunks of its arrays, its root left out."""
    return [name for name in visible_files(path) if is_own(name, info.label_columns)]


def change_info(path: Location, **changes: Any) -> None:
    """Change fields of `StoreInfo` in one atomic write. Consolidated metadata would be stale; they are dropped."""

    def change(root: dict[str, Any]) -> None:
        root["attributes"] = changed_attributes(root["attributes"], **changes)
        root.pop("consolidated_metadata", None)

    _change_root(path, change)


def _change_root(path: Location, change: Callable[[dict[str, Any]], None]) -> None:
    """Read the root, change it, write it; in a bucket only if nobody else has written it meanwhile."""

    def changed(content: bytes) -> bytes:
        root = json.loads(content)
        change(root)
        root["attributes"][ROOT_DIGEST] = root_digest(root)
        lease.require(path)
        return _to_bytes(root)

    try:
        update(path / "zarr.json", changed, path)
    except Changed:
        raise InrzooError(f"another process has written to {path}; this one stops") from None


def seal(path: Location, checksums: Mapping[str, str]) -> None:
    """Gather all metadata in the root (one request opens a remote store) and say that the store is complete, in one
    atomic write. The form is zarr-python's; written here because zarr gathers in the order of the folder's listing.
    """
    nodes = consolidated(path, [name for name in checksums if is_metadata(name)])

    def change(root: dict[str, Any]) -> None:
        root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": nodes}
        root["attributes"] = changed_attributes(
            root["attributes"], checksums=checksums, complete=True, partial=(), repairing={}
        )

    _change_root(path, change)


def consolidated(path: Location, names: list[str]) -> dict[str, Any]:
    """The metadata of arrays and groups as the root repeats them, by the array's or group's name."""
    nodes = {str(Path(name).parent): json.loads((path / name).read_text()) for name in sorted(names)}
    for node in nodes.values():
        if node["node_type"] == "group":
            node["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": {}}
    return nodes


def root_digest(root: Mapping[str, Any]) -> str:
    """sha256 (hex) of a root in its canonical form, without the attribute that holds it."""
    attributes = {key: value for key, value in root["attributes"].items() if key != ROOT_DIGEST}
    return hashlib.sha256(_to_bytes({**root, "attributes": attributes})).hexdigest()


def is_root(content: bytes) -> bool:
    """Whether bytes are a root with attributes, intact or not."""
    try:
        return bool(json.loads(content)["attributes"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def check_root(content: bytes) -> str:
    """Check the bytes of a root against the digest in it.

    Returns:
        What is wrong, in a few words; an empty text if nothing is. A root of a version before `FIRST_WITH_ROOT_DIGEST`
        has no digest, and nothing is wrong with that.
    """
    try:
        root = json.loads(content)
        recorded = root["attributes"].get(ROOT_DIGEST)
        if recorded is None:
            version = version_of(root["attributes"])
            needed = version is None or version >= FIRST_WITH_ROOT_DIGEST
            return f"lacks the attribute {ROOT_DIGEST}" if needed else ""
        if recorded != (digest := root_digest(root)):
            return f"has sha256 {digest[:12]}…, recorded in it is {str(recorded)[:12]}…"
        return "" if _to_bytes(root) == content else "is not in its canonical form"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"cannot be read ({type(error).__name__})"


def _to_bytes(root: Mapping[str, Any]) -> bytes:
    return json.dumps(root, indent=2, sort_keys=True, ensure_ascii=False).encode()
