"""What a store says of itself, checked before it is believed: it may have been damaged, or made by anyone.

Nothing in a store is executed. Metadata are zarr format 3 alone (format 2 knows a codec that unpickles), codecs those
that inrzoo or a compressor of the weights would write, and names of files stay inside the store.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, TypeVar, get_args

import zarr

from inrzoo import registry
from inrzoo.coords import AxisOrder, Spacing
from inrzoo.errors import InrzooError
from inrzoo.store.blocks import COLUMNS
from inrzoo.store.bounded import BoundedGroup
from inrzoo.store.files import is_hidden
from inrzoo.store.names import CHUNK
from inrzoo.store.objects import Location, ObjectError
from inrzoo.typecheck import check_type
from inrzoo.weights import WeightLayout

Result = TypeVar("Result")

MOST_COORDS = 2**32
MOST_INRS = 2**34
"""A store that claims more (signal, seed) pairs is taken for damaged: their columns alone would fill a memory."""
MOST_ROW_BYTES = 2**32
"""All snapshots of one INR are at most that many bytes."""
PARTITION = ("chunk_rows", "block_rows", "shard_rows")
"""Each a whole number of those before it."""
STATUS_NAMES = ("pending", "ok", "early stop", "diverged")
TYPES: dict[str, Any] = {
    "dataset": str,
    "manifest": dict[str, Any],
    "fingerprint": str,
    "signals_sha256": str,
    "source_checksums": dict[str, str],
    "inr": dict[str, Any],
    "layout": list[dict[str, Any]],
    "grid": list[int],
    "label_columns": list[str],
    "label_names": dict[str, list[str]],
    "split_names": list[str],
    "status_names": list[str],
    "environment": dict[str, str],
    "inrzoo": str,
    "snapshots": list[int],
    "partition": dict[str, int],
    "published_seeds": list[int],
    "checksums": dict[str, str],
    "complete": bool,
    "partial": dict[str, list[str]],
    "repairing": dict[str, list[int]],
    "root_sha256": str,
    "imported": dict[str, Any],
}
MANIFEST_TYPES: dict[str, Any] = {
    "name": str,
    "title": str,
    "licence": str,
    "citation": str,
    "redistributable": bool,
    "preset": str | None,
    "seeds": int,
    "limit": int | None,
    "source": dict[str, Any],
    "inr": dict[str, Any],
    "coords": dict[str, str],
    "values": dict[str, list[float]],
    "init": dict[str, str | None],
    "fit": dict[str, Any],
    "antialias": dict[str, Any],
}
RULES: dict[str, Callable[[Any], bool]] = {
    "grid": lambda sizes: 0 < len(sizes) <= 8 and min(sizes) > 0 and math.prod(sizes) < MOST_COORDS,
    "snapshots": lambda steps: bool(steps) and min(steps) >= 0,
    "partition": lambda rows: sorted(rows) == sorted(PARTITION) and _divides([rows[key] for key in PARTITION]),
    "split_names": lambda names: 0 < len(names) == len({*names}) < 256,
    "label_columns": lambda names: 0 < len(names) == len({*names}),
    "status_names": lambda names: tuple(names) == STATUS_NAMES,
}
MANIFEST_RULES: dict[str, Callable[[Any], bool]] = {
    "seeds": lambda seeds: seeds >= 1,
    "coords": lambda table: {*table.values()} <= {*get_args(Spacing), *get_args(AxisOrder)},
    "values": lambda table: all(len(r) == 2 and -math.inf < r[0] < r[1] < math.inf for r in table.values()),
}
LAYOUT_TYPES: dict[str, Any] = {"name": str, "shape": list[int], "axes": list[str]}
BY_SEED = ("weights", "block_sha256", *COLUMNS)
"""Arrays whose second axis counts seeds."""
SHA256 = re.compile(r"[0-9a-f]{64}")


class Recorded(dict[str, Any]):
    """A table of a store; a key that is not there is an error of the store, in one line."""

    def __init__(self, tables: Any, where: str = "a store") -> None:
        super().__init__(tables)
        self._where = where

    def __missing__(self, key: str) -> Any:
        raise InrzooError(f"{self._where} lacks the attribute {key!r}: it is damaged, or no store of inrzoo")

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy in another process is told where it came from."""
        return Recorded, (dict(self), self._where)


def damaged(where: str, what: object) -> InrzooError:
    """The line for a store that contradicts itself."""
    text = " ".join(str(what).split())
    return InrzooError(f"{where} is damaged ({text[:300]}); see inrzoo verify, pull it again or build it anew")


def guarded(where: str, what: str, work: Callable[[], Result], passing: tuple[type[Exception], ...] = ()) -> Result:
    """What `work` returns; whatever zarr or a codec raises on the way, but `passing`, is said in one line."""
    through: tuple[type[BaseException], ...] = (InrzooError, MemoryError, ObjectError, *passing)
    try:
        return work()
    except through:
        raise
    except Exception as error:  # zarr and its codecs let errors of a dozen classes through
        raise damaged(where, f"{what}: {type(error).__name__}: {error}") from None


def check_attributes(found: Mapping[str, Any], where: str) -> Recorded:
    """The attributes of a store, every one that is there of its type, and tables in which none is silently missing.

    Raises:
        InrzooError: names the attribute.
    """
    try:
        attributes = _typed(found, TYPES, RULES, where)
        if "manifest" in attributes:
            table = attributes["manifest"] = _typed(attributes["manifest"], MANIFEST_TYPES, MANIFEST_RULES, where)
            for key in ("coords", "values", "init"):
                if key in table:
                    table[key] = Recorded(table[key], where)
        for column in found.get("label_names", {}):
            _require("label_names", column, len(column) > 0 and column.isprintable() and not {*"/."} & {*column})
        for column in found.get("label_columns", []):
            _require("label_columns", column, column in found.get("label_names", {}))
    except InrzooError as error:
        raise damaged(where, error) from None
    check_names(attributes["checksums"], where)
    # Earlier versions recorded hidden files that a file manager had put there; they are not part of a store.
    attributes["checksums"] = {name: sha for name, sha in attributes["checksums"].items() if not is_hidden(name)}
    return attributes


def check_names(checksums: Mapping[str, str], where: str) -> None:
    """Names of files must stay inside the store, sha256s must be some.

    Raises:
        InrzooError: one that does not.
    """
    for name, digest in checksums.items():
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or not name.isprintable() or "\\" in name:
            raise damaged(where, f"{name!r} is no file of a store")
        chunk = CHUNK.fullmatch(name)
        if is_hidden(name):
            continue
        if not chunk and parts[-1] != "zarr.json":
            raise damaged(where, f"{name!r} is no file of a store")
        if chunk and chunk[1] in BY_SEED and chunk[2].count("/") < 2:
            raise damaged(where, f"{name!r} is no chunk of {chunk[1]}")
        if not SHA256.fullmatch(digest):
            raise damaged(where, f"{digest!r} is no sha256 of {name}")


def opened(home: Any, path: Location, consolidated: bool) -> tuple[zarr.Group, dict[str, Any]]:
    """A group for reading, and its attributes. Of zarr format 3 alone: in format 2 a codec may unpickle."""
    try:
        group = zarr.open_group(home, mode="r", use_consolidated=consolidated, zarr_format=3)
        return BoundedGroup(group._async_group), dict(group.attrs)
    except (InrzooError, MemoryError, ObjectError):
        raise
    except Exception:  # whatever zarr makes of a file that is not its own
        raise InrzooError(f"no store at {path}; `inrzoo build DATASET --out {path}` makes one") from None


def check_weights(weights: Any, attributes: Recorded, where: str) -> None:
    """The array of weights against the attributes.

    Raises:
        InrzooError: they contradict each other.
    """
    shape, chunks, dtype = weights.shape, weights.chunks, str(weights.dtype)
    chunk, steps = attributes["partition"]["chunk_rows"], len(attributes["snapshots"])
    if dtype != "float32" or len(shape) != 4 or min(shape) < 1 or shape[0] * shape[1] > MOST_INRS:
        raise damaged(where, f"weights are {dtype} of shape {list(shape)}")
    if 4 * shape[2] * shape[3] > MOST_ROW_BYTES:
        raise damaged(where, f"an INR of {4 * shape[2] * shape[3]} bytes; at most {MOST_ROW_BYTES} are read")
    if shape[2] != steps or chunks != (chunk, 1, *shape[2:]):
        raise damaged(where, f"weights {list(shape)} in chunks {list(chunks)}, {steps} snapshots, {chunk} rows a chunk")
    published = attributes["published_seeds"]
    if len({*published}) != len(published) or not {*published} <= {*range(shape[1])}:
        raise damaged(where, f"published seeds {published} of {shape[1]}")


def layout_of(attributes: Recorded, num_params: int, where: str) -> WeightLayout:
    """The recorded layout, if it is one of that many parameters."""
    try:
        for table in attributes["layout"]:
            for key, kind in LAYOUT_TYPES.items():
                check_type(f"layout.{key}", table.get(key), kind)
    except InrzooError as error:
        raise damaged(where, error) from None
    layout = guarded(where, "layout", lambda: WeightLayout.from_json(attributes["layout"]))
    if any(size < 1 for tensor in layout.tensors for size in tensor.shape):
        raise damaged(where, "a layout with an axis of nothing")
    if layout.num_params != num_params:
        raise damaged(where, f"a layout of {layout.num_params} parameters, weights of {num_params}")
    return layout


def inr_of(attributes: Recorded, num_params: int, where: str) -> Any:
    """The recorded INR, if its weights and coordinates are as many as the store has."""
    inr = guarded(where, "inr", lambda: _made(json.dumps(attributes["inr"], sort_keys=True)))
    num_axes = len(attributes["grid"])
    if inr.layout.num_params != num_params or inr.in_features != num_axes:
        what = f"an INR of {inr.layout.num_params} parameters for {inr.in_features} axes"
        raise damaged(where, f"{what}; weights of {num_params}, a grid of {num_axes} axes")
    return inr


@lru_cache(maxsize=16)
def _made(spec: str) -> Any:
    """An INR has no state: one serves all stores of a process that record it."""
    return registry.make("inrs", json.loads(spec))


def _typed(found: Mapping[str, Any], types: Mapping[str, Any], rules: Mapping[str, Any], where: str) -> Recorded:
    for key in types.keys() & found.keys():
        check_type(key, found[key], types[key])  # checked, never converted: a fingerprint is over what stands there
    for key in rules.keys() & found.keys():
        _require(key, found[key], rules[key](found[key]))
    return Recorded(found, where)


def _require(key: str, value: Any, holds: bool) -> None:
    if not holds:
        raise InrzooError(f"{key} = {value!r}")


def _divides(sizes: list[int]) -> bool:
    return sizes[0] > 0 and all(b >= a and b % a == 0 for a, b in pairwise(sizes))
