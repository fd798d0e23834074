"""Manifests: what to build, read from TOML into frozen dataclasses, checked, resolved and fingerprinted."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_type_hints

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.typecheck import check_type

NOT_IN_FINGERPRINT = (
    "seeds",
    "title",
    "licence",
    "citation",
    "redistributable",
    "preset",
    "source.url",
    "source.hashes",
)
"""Keys that do not decide the bytes of any one INR: how many there are, prose, and where the same files are fetched."""


@dataclass(frozen=True, kw_only=True)
class Coords:
    """Where the values of a signal sit; see `inrzoo.coords.grid`."""

    spacing: Literal["end_points", "pixel_centres"] = "end_points"
    axis_order: Literal["row_col", "x_y"] = "row_col"


@dataclass(frozen=True, kw_only=True)
class Values:
    """What an INR is fitted to: value = low + (high − low) · signal / 255."""

    range: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        """Reject an empty range."""
        _require(
            "values.range",
            list(self.range),
            -math.inf < self.range[0] < self.range[1] < math.inf,
            "[low, high] with low below high, both finite",
        )


@dataclass(frozen=True, kw_only=True)
class Init:
    """Where a fit starts. `random`: every (signal, seed) from its own draw."""

    mode: Literal["random"] = "random"


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How an INR is fitted: Adam on the full grid.

    Attributes:
        steps: optimiser steps, at least 1.
        lr: Adam's step size, above 0.
        stop_psnr: dB at which an INR stops, or None. Views switch it off unless `stop_views` is set.
        views: step counts at which snapshots are kept, ascending, none above `steps`; empty keeps the end alone.
        stop_views: stop at `stop_psnr` although views are kept; later views then repeat the stopped weights.
        engine: what fits; `reference` is batched autograd.
    """

    steps: int = 1000
    lr: float = 5e-4
    stop_psnr: float | None = None
    views: tuple[int, ...] = ()
    stop_views: bool = False
    engine: Literal["reference"] = "reference"

    def __post_init__(self) -> None:
        """Reject impossible values."""
        _require("fit.steps", self.steps, self.steps >= 1, "at least 1")
        _require("fit.lr", self.lr, 0 < self.lr < math.inf, "above 0")
        _require("fit.stop_psnr", self.stop_psnr, self.stop_psnr is None or math.isfinite(self.stop_psnr), "finite dB")
        ascending = all(a < b for a, b in pairwise((0, *self.views)))
        _require("fit.views", list(self.views), ascending, "ascending step counts from 1")
        if self.views and self.views[-1] > self.steps:
            raise InrzooError(
                f"fit.views = {list(self.views)} is not allowed; the fit has fit.steps = {self.steps}, "
                f"so no view may lie beyond {self.steps}"
            )

    @property
    def snapshots(self) -> tuple[int, ...]:
        """Step counts that are kept."""
        return self.views or (self.steps,)

    @property
    def effective_stop_psnr(self) -> float | None:
        """The PSNR that really stops a fit."""
        return self.stop_psnr if self.stop_views or not self.views else None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that decides a dataset. `source` and `inr` are component tables: `name` and its fields.

    Attributes:
        name: of the dataset; part of every random stream.
        seeds: independent fits of each signal.
        limit: at most this many signals, an even share of every class; None for all.
        redistributable: whether the licence lets the signals stand in the store.
        preset: the preset that was applied.
    """

    name: str
    source: dict[str, Any]
    inr: dict[str, Any]
    title: str = ""
    licence: str = "unknown"
    citation: str = ""
    redistributable: bool = False
    preset: str | None = None
    seeds: int = 1
    limit: int | None = None
    coords: Coords = field(default_factory=Coords)
    values: Values = field(default_factory=Values)
    init: Init = field(default_factory=Init)
    fit: Fit = field(default_factory=Fit)

    def __post_init__(self) -> None:
        """Reject impossible values."""
        _require("name", self.name, bool(self.name), "a word")
        _require("seeds", self.seeds, self.seeds >= 1, "at least 1")
        _require("limit", self.limit, self.limit is None or self.limit >= 1, "at least 1")

    def to_json(self) -> dict[str, Any]:
        """The resolved content, every default filled in, as a store records it."""
        tables = dataclasses.asdict(self)
        tables["source"] = {**self.source, **_filled(registry.make("sources", self.source))}
        inr = registry.make("inrs", self.inr, in_features=1, out_features=1)
        tables["inr"] = {**self.inr, **_filled(inr)}
        for key in ("in_features", "out_features"):  # the signals decide these, not the manifest
            del tables["inr"][key]
        resolved: dict[str, Any] = json.loads(json.dumps(tables))
        return resolved

    @classmethod
    def from_json(cls, tables: Mapping[str, Any]) -> Manifest:
        """Inverse of `to_json`, for the manifest inside a store."""
        return _from_tables(dict(tables), "manifest of the store")


def names() -> list[str]:
    """Names of the manifests that come with inrzoo."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def folder() -> Path:
    """Where the manifests lie: inside the installed package, or at the top of a source checkout."""
    inside = Path(__file__).parent / "manifests"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "manifests"


def load(dataset: str, preset: str | None = None, overrides: Mapping[str, Any] | None = None) -> Manifest:
    """Read a manifest, apply a preset, then single keys.

    Args:
        dataset: a name from `names()`, or a path to a TOML file.
        preset: a preset of that manifest; its `default_preset` if None.
        overrides: dotted keys (`"fit.steps"`) and their values, applied last.

    Raises:
        InrzooError: no such manifest or preset, malformed TOML, unknown key, wrong type or impossible value; one line
            that names the file, the key, the value and what is allowed.
    """
    path, tables = _read(dataset)
    presets = check_type(f"{path.name}: presets", tables.pop("presets", {}), dict[str, dict[str, Any]])
    check_type(f"{path.name}: default_preset", tables.get("default_preset"), str | None)
    preset = preset or tables.pop("default_preset", None)
    tables.pop("default_preset", None)
    if preset is not None and preset not in presets:
        raise InrzooError(f"{path.name}: no preset {preset!r}; there are: {', '.join(presets) or 'none'}")
    _merge(tables, presets.get(preset, {}))
    for key, value in (overrides or {}).items():
        *parents, last = key.split(".")
        table = tables
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise InrzooError(
                    f"{path.name}: unknown key {key!r} (given {value!r}); {parent} = {table!r} is no table"
                )
        table[last] = value
    return _from_tables({"name": path.stem, "preset": preset, **tables}, path.name)


def presets(dataset: str) -> list[str]:
    """Names of a manifest's presets, the default one first."""
    _, tables = _read(dataset)
    default = tables.get("default_preset")
    return sorted(tables.get("presets", {}), key=lambda name: (name != default, name))


def fingerprint(resolved: Mapping[str, Any], signals_sha256: str) -> str:
    """sha256 (hex) of what decides the bytes of one INR: the signals and every key not in `NOT_IN_FINGERPRINT`."""
    deciding = _without(resolved, NOT_IN_FINGERPRINT)
    return hashlib.sha256(json.dumps([deciding, signals_sha256], sort_keys=True).encode()).hexdigest()


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys in which two resolved manifests would make different INRs, as `key: ours → theirs`."""
    lines = []
    for key in sorted({*ours, *theirs}):
        if prefix + key in NOT_IN_FINGERPRINT:
            continue
        a, b = ours.get(key), theirs.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            lines += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key}: {a} → {b}")
    return lines


def _without(tables: Mapping[str, Any], keys: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    return {
        key: _without(value, keys, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in tables.items()
        if prefix + key not in keys
    }


def _read(dataset: str) -> tuple[Path, dict[str, Any]]:
    path = Path(dataset) if dataset.endswith(".toml") else folder() / f"{dataset}.toml"
    if not path.is_file():
        raise InrzooError(f"no dataset {dataset!r}; there are: {', '.join(names())}, or a path to a .toml file")
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InrzooError(f"{path.name} is not valid TOML: {error}") from None


def _from_tables(tables: dict[str, Any], where: str) -> Manifest:
    try:
        manifest: Manifest = _dataclass(Manifest, tables, "")
        manifest.to_json()  # makes both components once, so that their fields are checked now and not in a worker
    except InrzooError as error:
        raise InrzooError(f"{where}: {error}") from None
    return manifest


def _dataclass(cls: Any, tables: Mapping[str, Any], prefix: str) -> Any:
    hints = get_type_hints(cls)
    given = {}
    for key, value in tables.items():
        if key not in hints:
            raise InrzooError(f"unknown key {prefix + key!r} (given {value!r}); allowed: {', '.join(hints)}")
        nested = dataclasses.is_dataclass(hints[key]) and isinstance(value, Mapping)
        given[key] = (
            _dataclass(hints[key], value, f"{prefix}{key}.")
            if nested
            else check_type(prefix + key, value, dict[str, Any] if dataclasses.is_dataclass(hints[key]) else hints[key])
        )
    missing = [f.name for f in dataclasses.fields(cls) if f.default is f.default_factory and f.name not in given]
    if missing:
        raise InrzooError(f"missing key {', '.join(prefix + key for key in missing)}")
    return cls(**given)


def _merge(tables: dict[str, Any], patch: Mapping[str, Any]) -> None:
    for key, value in copy.deepcopy(dict(patch)).items():
        if isinstance(value, dict) and isinstance(tables.get(key), dict):
            _merge(tables[key], value)
        else:
            tables[key] = value


def _filled(component: Any) -> dict[str, Any]:
    return dataclasses.asdict(component)


def _require(key: str, value: Any, holds: bool, allowed: str) -> None:
    if not holds:
        raise InrzooError(f"{key} = {value!r} is not allowed; it must be {allowed}")
