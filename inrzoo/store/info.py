"""`StoreInfo`, what a store records of itself: read from the attributes of the store's root and checked once.

The keys of the attributes are spelled in this file alone. Nothing in a store is believed before it is checked: the
store may be damaged or hostile.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any, Self, get_args, get_type_hints

from inrzoo.choices import STATUS_NAMES, ValueType
from inrzoo.coords import Axis
from inrzoo.errors import InrzooError
from inrzoo.formula import Formula
from inrzoo.observations import ArraySpec
from inrzoo.store.blocks import COLUMNS, MEASURE_PREFIX
from inrzoo.store.files import is_hidden
from inrzoo.store.names import CHUNK
from inrzoo.store.recorded import (
    ConvertedInfo,
    FitterInfo,
    GatheredInfo,
    GatheredPart,
    GeneratedInfo,
    ImportInfo,
    PartitionRows,
    RecordedManifest,
    damaged,
    require,
)
from inrzoo.store.weight_codec import WeightCodec, WeightFormat
from inrzoo.typecheck import check_table, check_type
from inrzoo.weights import WeightLayout

FORMAT, WITH_WEIGHT_FORMAT, WITH_BASE = 1, 2, 3
"""The store formats that this version reads. The second one is that of stores with a `weight_format`, which readers of
the first would misread, and the third that of stores with a `base_layout`, whose INRs are no functions without their
base, with or without a `weight_format`; all others are written in the first."""
MAX_COORDS = 2**32
"""A grid with this many points or more is taken for damaged."""
BY_SEED = ("weights", "block_sha256", *COLUMNS)
"""Arrays whose second axis counts seeds."""
ROUNDING_MEASURES = ("psnr_lost", "rounding_psnr")
"""Last measures of a store whose weights are rounded, both in dB: the PSNR that rounding cost, and the PSNR of the
rounded INR beside the fitted one, on the points of the fit and with the width of the value range as its peak."""
NAME = re.compile(r"[a-z0-9_]+")
"""Names of measures, numbers and arrays."""
ARRAY_TYPES = (*get_args(ValueType), "float64", "int64")
SHA256 = re.compile(r"[0-9a-f]{64}")
OTHER_KEYS = {"version": "inrzoo"}
"""Fields whose attribute has another name."""
OPTIONAL = (
    *("partial", "repairing", "imported", "gathered", "fitter", "generated", "weight_format", "converted"),
    "base_layout",
    *("axes", "measures", "arrays", "numbers", "padded", "skipped", "formula"),
)
"""Fields that most stores, or those of earlier versions, do not record."""
LAYOUT_TYPES: dict[str, Any] = {"name": str, "shape": list[int], "axes": list[str]}


@dataclass(frozen=True, kw_only=True)
class StoreInfo:
    """The attributes in the root of a store.

    Attributes:
        dataset: name of the dataset; part of every random stream.
        fingerprint: sha256 (hex) of the signals and the settings that decide the weights.
        signals_sha256: sha256 (hex) of the signals that were fitted.
        source_checksums: sha256 (hex) of the files that the signals were read from, by name.
        inr: component table of the INR: `name` and all fields.
        layout: what the numbers of a weight vector are.
        grid: points of the signals' grid along each axis.
        label_columns: names of the label columns; the first one is the class.
        label_names: names of each label column's codes.
        split_names, status_names: names of the codes in the columns `split` and `status`.
        environment: what besides the manifest decided the bits: library, kind of device, instruction set.
        version: version of inrzoo that made the store.
        snapshots: step counts at which weights are kept.
        published_seeds: seeds whose INRs are joined into shards.
        checksums: sha256 (hex) of the store's files, by name.
        complete: whether all INRs and the statistics are there.
        partial: names of the splits that were pulled, where others were left out.
        axes: what each axis of the grid measures; empty if nothing is known.
        measures: measures of quality beside loss and PSNR, one column each: those of the observation, and of rounded
            weights `ROUNDING_MEASURES`.
        arrays: arrays that each signal has beside its numbers.
        numbers: columns of further numbers of each signal.
        padded: whether signals are padded, so that the store says which points are their own.
        imported, gathered, fitter, generated: where INRs came from that were not fitted here; None for those that were.
        skipped: files that could not be read and were left out, as the user asked for, and why.
        weight_format: how the array `weights` lies on disk; None for float32, uncompressed.
        base_layout: what the numbers of the base are that all INRs share, in the array `inr.base`; None for INRs that
            share none.
        converted: the store whose INRs were converted to this format; None where no other store was.
        repairing: the blocks of each seed that a repair fits again. Empty if no repair runs.
        formula: how weights and coordinates become values; None in stores of earlier versions, and for INRs that have
            none. `Store.formula` derives it then.
    """

    dataset: str
    manifest: RecordedManifest
    fingerprint: str
    signals_sha256: str
    inr: dict[str, Any]
    layout: WeightLayout
    grid: tuple[int, ...]
    label_columns: tuple[str, ...]
    label_names: dict[str, tuple[str, ...]]
    split_names: tuple[str, ...]
    snapshots: tuple[int, ...]
    partition: PartitionRows
    version: str
    format: int = FORMAT
    status_names: tuple[str, ...] = STATUS_NAMES
    source_checksums: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    published_seeds: tuple[int, ...] = ()
    checksums: dict[str, str] = field(default_factory=dict)
    complete: bool = False
    partial: tuple[str, ...] = ()
    repairing: dict[int, tuple[int, ...]] = field(default_factory=dict)
    imported: ImportInfo | None = None
    gathered: GatheredInfo | None = None
    fitter: FitterInfo | None = None
    generated: GeneratedInfo | None = None
    weight_format: WeightFormat | None = None
    base_layout: WeightLayout | None = None
    converted: ConvertedInfo | None = None
    axes: tuple[Axis, ...] = ()
    measures: tuple[str, ...] = ()
    arrays: dict[str, ArraySpec] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()
    padded: bool = False
    skipped: dict[str, str] = field(default_factory=dict)
    formula: Formula | None = None

    def __post_init__(self) -> None:
        """Reject impossible values."""
        require("format", self.format, self.format == format_of(self.weight_format, self.base_layout))
        for key, names in (("measures", self.measures), ("numbers", self.numbers), ("arrays", tuple(self.arrays))):
            require(key, names, len({*names}) == len(names) and all(map(NAME.fullmatch, names)))
        for name, spec in self.arrays.items():
            require(f"arrays.{name}", spec, 0 < len(spec.shape) <= 4 and 0 < math.prod(spec.shape) < MAX_COORDS)
            require(f"arrays.{name}", spec, spec.dtype in ARRAY_TYPES)
        require("axes", self.axes, len(self.axes) in (0, len(self.grid)))
        grid, splits, labels = self.grid, self.split_names, self.label_columns
        require("grid", grid, 0 < len(grid) <= 8 and min(grid) > 0 and math.prod(grid) < MAX_COORDS)
        require("snapshots", self.snapshots, bool(self.snapshots) and min(self.snapshots) >= 0)
        require("split_names", splits, 0 < len(splits) == len({*splits}) < 256)
        require("status_names", self.status_names, self.status_names == STATUS_NAMES)
        require("label_columns", labels, 0 < len(labels) == len({*labels}))
        for name in self.label_names:
            require("label_names", name, len(name) > 0 and name.isprintable() and not {*"/."} & {*name})
        for name in labels:
            require("label_columns", name, name in self.label_names)
        shared = self.base_layout.tensors if self.base_layout is not None else ()
        empty = [tensor.name for tensor in (*self.layout.tensors, *shared) if min(tensor.shape, default=1) < 1]
        require("layout", empty, not empty)
        for name, digest in self.checksums.items():
            _check_file(name, digest)
        rounded = self.manifest.weights != "float32"
        require("measures", self.measures, not rounded or self.measures[-len(ROUNDING_MEASURES) :] == ROUNDING_MEASURES)
        kept = "float32" if self.weight_format is None else self.weight_format.dtype
        require("weight_format", kept, kept in ("float32", self.manifest.weights))
        absent = {*(self.formula.tensors if self.formula else ())} - {
            tensor.name for tensor in (*self.layout.tensors, *shared)
        }
        require("formula", sorted(absent), not absent)

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any], where: str) -> Self:
        """Read and check the attributes of a store's root; keys that this version does not know are left out.

        Args:
            where: the store, for the error.

        Raises:
            InrzooError: in one line, the attribute that is missing or impossible; or another format.
        """
        if (found := attributes.get("format")) not in (FORMAT, WITH_WEIGHT_FORMAT, WITH_BASE):
            known = f"{FORMAT}, {WITH_WEIGHT_FORMAT} and {WITH_BASE}"
            raise InrzooError(f"{where} has store format {found}; this version of inrzoo reads {known}")
        hints = get_type_hints(cls)
        keys = {known.name: _key(known.name) for known in fields(cls)}
        for name, key in keys.items():
            if key not in attributes and name not in OPTIONAL:
                raise InrzooError(f"{where} lacks the attribute {key!r}: it is damaged, or no store of inrzoo")
        try:
            return cls(**{
                name: _decoded(key, attributes[key], hints[name]) for name, key in keys.items() if key in attributes
            })  # fmt: skip
        except InrzooError as error:
            raise damaged(where, error) from None

    @classmethod
    def from_root(cls, content: bytes, where: str) -> Self:
        """`from_attributes` of the bytes of a root, `zarr.json`."""
        try:
            attributes = json.loads(content)["attributes"]
        except (ValueError, KeyError, TypeError, RecursionError):
            attributes = None
        if not isinstance(attributes, dict) or "format" not in attributes:
            raise InrzooError(f"no store at {where}: its zarr.json is damaged, or not one of inrzoo's")
        return cls.from_attributes(attributes, where)

    def to_attributes(self) -> dict[str, Any]:
        """Inverse of `from_attributes`: what a store's root records."""
        return changed_attributes({}, **{known.name: getattr(self, known.name) for known in fields(self)})

    def identity(self, formula: Formula | None) -> dict[str, Any]:
        """The attributes that INRs need to be understood outside their store, tables sorted by key as in the root.

        Args:
            formula: `Store.formula`; stores of earlier versions do not record it.
        """
        attributes = {
            **self.to_attributes(),
            "formula": None if formula is None else formula.to_json(),
            "coords": dataclasses.asdict(self.manifest.coords),
            "values": dataclasses.asdict(self.manifest.values),
        }
        shared = ("base_layout",) if self.base_layout is not None else ()
        keys = ("format", "dataset", "fingerprint", "inr", "layout", *shared, "formula", "grid", "coords", "values")
        return {key: json.loads(json.dumps(attributes[key], sort_keys=True)) for key in keys}

    @property
    def codec(self) -> WeightCodec:
        """Encodes and decodes the rows of the array `weights`."""
        return WeightCodec("float32" if self.weight_format is None else self.weight_format.dtype, self.layout)

    @property
    def rounding(self) -> WeightCodec | None:
        """Rounds fitted weights to what the store keeps of them; None if it keeps every bit."""
        rounded_to = self.manifest.weights
        return None if rounded_to == "float32" else WeightCodec(rounded_to, self.layout)

    @property
    def observed_measures(self) -> tuple[str, ...]:
        """The measures of the observation, those of rounding left out."""
        return self.measures if self.rounding is None else self.measures[: -len(ROUNDING_MEASURES)]

    @property
    def num_axes(self) -> int:
        """D, the coordinates of a point."""
        return int(self.inr.get("in_features", 0)) if self.arrays else len(self.grid)

    @property
    def from_source(self) -> bool:
        """Whether the source in the manifest gives their signals: neither imported, nor gathered, nor generated."""
        return self.imported is None and self.gathered is None and self.generated is None

    def status_codes(self, *names: str) -> list[int]:
        """Codes of names of a status."""
        return [self.status_names.index(name) for name in names]


def format_of(weight_format: WeightFormat | None, base_layout: WeightLayout | None) -> int:
    """The format of a store whose weights lie so on disk, and whose INRs share such a base."""
    if base_layout is not None:
        return WITH_BASE
    return FORMAT if weight_format is None else WITH_WEIGHT_FORMAT


def changed_attributes(attributes: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Attributes of a root with some fields of `StoreInfo` changed; all others stay as they are recorded.

    Args:
        changes: field -> its new value. One of `OPTIONAL` that is empty is not recorded.
    """
    if unknown := changes.keys() - {known.name for known in fields(StoreInfo)}:
        raise TypeError(f"no fields of StoreInfo: {', '.join(sorted(unknown))}")
    encoded = {_key(name): _encoded(name, value) for name, value in changes.items() if value or name not in OPTIONAL}
    unrecorded = {_key(name) for name, value in changes.items() if not value and name in OPTIONAL}
    return {key: value for key, value in {**attributes, **encoded}.items() if key not in unrecorded}


def version_of(attributes: Mapping[str, Any]) -> tuple[int, int] | None:
    """Major and minor version of inrzoo that made a store, (0, 0) if it is not recorded; None if it is malformed."""
    try:
        major, minor = (int(part) for part in str(attributes.get(_key("version"), "0.0")).split(".")[:2])
    except ValueError:
        return None
    return major, minor


def _key(name: str) -> str:
    return OTHER_KEYS.get(name, name)


def _encoded(name: str, value: Any) -> Any:
    """A field's value as plain data."""
    if name == "partial":
        return {"splits": list(value)}
    if isinstance(value, RecordedManifest):
        return value.tables
    if isinstance(value, WeightLayout | Formula):
        return value.to_json()
    return _plain(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        value = dataclasses.asdict(value)  # type: ignore[arg-type]  # it is no class
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _decoded(key: str, value: Any, hint: Any) -> Any:
    """The value of a field from plain data. Raises InrzooError."""
    if key == "manifest":
        return RecordedManifest.from_tables(check_type(key, value, dict[str, Any]))
    if key in ("layout", "base_layout"):
        return _layout(key, value)
    if key == "formula":
        return Formula.from_json(value)
    if key == "partial":
        return check_type(key, check_type(key, value, dict[str, list[str]]).get("splits", []), hint)
    if key == "repairing":
        blocks = check_type(key, value, dict[str, tuple[int, ...]])
        require(key, value, all(seed.isdecimal() and min(members, default=0) >= 0 for seed, members in blocks.items()))
        return {int(seed): members for seed, members in blocks.items()}
    if key == "checksums":
        digests: dict[str, str] = check_type(key, value, hint)
        # Earlier versions recorded hidden files that a file manager had put there; they are not part of a store.
        hidden = {name for name in digests if is_hidden(name)}
        for name in hidden:  # the others are checked with the rest of the fields
            _check_name(name)
        return {name: digest for name, digest in digests.items() if name not in hidden}
    if key == "axes":
        return tuple(
            check_table(f"axes.{number}", table, Axis) for number, table in enumerate(check_type(key, value, list[Any]))
        )
    if key == "arrays":
        return {
            name: ArraySpec(*check_type(f"arrays.{name}", spec, tuple[tuple[int, ...], str]))
            for name, spec in check_type(key, value, dict[str, Any]).items()
        }
    if key == "gathered":
        table = check_type(key, value, dict[str, Any])
        tables = check_type(f"{key}.parts", table.get("parts"), list[Any])
        parts = tuple(check_table(f"{key}.parts.{number}", each, GatheredPart) for number, each in enumerate(tables))
        return dataclasses.replace(check_table(key, {**table, "parts": []}, GatheredInfo), parts=parts)
    for part in (PartitionRows, ImportInfo, FitterInfo, GeneratedInfo, WeightFormat, ConvertedInfo):
        if hint == part or hint == part | None:
            return check_table(key, value, part)
    return check_type(key, value, hint)


def _layout(attribute: str, tables: Any) -> WeightLayout:
    for table in check_type(attribute, tables, list[dict[str, Any]]):
        for key, kind in LAYOUT_TYPES.items():
            check_type(f"{attribute}.{key}", table.get(key), kind)
    try:
        return WeightLayout.from_json(tables)
    except (ValueError, TypeError, OverflowError) as error:
        raise InrzooError(f"{attribute}: {error}") from None


def _check_name(name: str) -> None:
    """A file's name must stay inside the store."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or not name.isprintable() or "\\" in name:
        raise InrzooError(f"{name!r} is no file of a store")


def _check_file(name: str, digest: str) -> None:
    """A recorded file must be metadata or a chunk, and have a sha256."""
    _check_name(name)
    chunk = CHUNK.fullmatch(name)
    if not chunk and PurePosixPath(name).name != "zarr.json":
        raise InrzooError(f"{name!r} is no file of a store")
    by_seed = chunk and (chunk[1] in BY_SEED or chunk[1].startswith(MEASURE_PREFIX))
    if chunk and by_seed and chunk[2].count("/") < 2:
        raise InrzooError(f"{name!r} is no chunk of {chunk[1]}")
    if not SHA256.fullmatch(digest):
        raise InrzooError(f"{digest!r} is no sha256 of {name}")
