"""Reads manifests from TOML: those that come with inrzoo, and yours."""

import copy
import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from inrzoo.errors import InrzooError
from inrzoo.manifest.settings import Manifest, from_tables
from inrzoo.trust import trust_tables
from inrzoo.typecheck import check_type


def names() -> list[str]:
    """Names of the manifests that come with inrzoo."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def folder() -> Path:
    """Where the manifests lie: inside the installed package, or at the top of a source checkout."""
    package = Path(__file__).parents[1]
    inside = package / "manifests"
    return inside if inside.is_dir() else package.parent / "manifests"


def load(
    dataset: str | Path | Manifest,
    preset: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    trusted: bool = False,
) -> Manifest:
    """Read a manifest, apply a preset, then single keys.

    Args:
        dataset: a name from `names()`, a path to a TOML file, or a manifest, which takes no preset any more.
        preset: a preset of that manifest; its `default_preset` if None. A preset's table `alternatives` holds settings
            for other INRs, which apply when `overrides` names that INR.
        overrides: dotted keys (`"fit.steps"`) and their values, applied last.
        trusted: whether the file and the overrides are the user's own words, so that a source or an INR called
            `package.module:Class` is imported. Leave it out if any of them was read from a store or a card.

    Raises:
        InrzooError: no such manifest or preset, malformed TOML, unknown key, wrong type or impossible value; one line
            that names the file, the key, the value and what is allowed.
    """
    if isinstance(dataset, Manifest):
        if preset is not None:
            raise InrzooError(f"preset {preset!r} comes too late: the manifest of {dataset.name} was read before")
        tables = dataclasses.asdict(dataset)
        _override(tables, overrides or {}, dataset.name)
        return from_tables(tables, dataset.name)
    path, tables = _read(str(dataset))
    presets = check_type(f"{path.name}: presets", tables.pop("presets", {}), dict[str, dict[str, Any]])
    check_type(f"{path.name}: default_preset", tables.get("default_preset"), str | None)
    preset = preset or tables.pop("default_preset", None)
    tables.pop("default_preset", None)
    if preset is not None and preset not in presets:
        raise InrzooError(f"{path.name}: no preset {preset!r}; there are: {', '.join(presets) or 'none'}")
    patch = dict(presets.get(preset, {}))
    alternatives = check_type(f"{path.name}: alternatives", patch.pop("alternatives", {}), dict[str, dict[str, Any]])
    _merge(tables, patch)
    _override(tables, overrides or {}, path.name, alternatives)
    tables = {"name": path.stem, "preset": preset, **tables}
    return from_tables(trust_tables(tables) if trusted else tables, path.name)


def presets(dataset: str) -> list[str]:
    """Names of a manifest's presets, the default one first."""
    path, tables = _read(dataset)
    default = tables.get("default_preset")
    found = check_type(f"{path.name}: presets", tables.get("presets", {}), dict[str, dict[str, Any]])
    return sorted(found, key=lambda name: (name != default, name))


def default_preset(dataset: str) -> str | None:
    """Name of the preset that a manifest applies unless another one is named; None where it applies none."""
    name: str | None = _read(dataset)[1].get("default_preset")
    return name


def _override(
    tables: dict[str, Any],
    overrides: Mapping[str, Any],
    where: str,
    alternatives: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> None:
    """Set dotted keys in nested tables; an error names `where` those come from."""
    _use_inr(tables, overrides.get("inr.name"), alternatives)
    for key, value in overrides.items():
        *parents, last = key.split(".")
        table = tables
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise InrzooError(f"{where}: unknown key {key!r} (given {value!r}); {parent} = {table!r} is no table")
        table[last] = value


def _use_inr(tables: dict[str, Any], name: str | None, alternatives: Mapping[str, Mapping[str, Any]]) -> None:
    """Another architecture than the manifest's takes none of its fields, but what the preset has for it."""
    inr = tables.get("inr", {})
    if check_type("inr.name", name, str | None) is not None and not (isinstance(inr, dict) and inr.get("name") == name):
        tables["inr"] = {"name": name}
        _merge(tables, alternatives.get(str(name), {}))


def _read(dataset: str) -> tuple[Path, dict[str, Any]]:
    path = Path(dataset) if dataset.endswith(".toml") else folder() / f"{dataset}.toml"
    if not path.is_file():
        raise InrzooError(f"no dataset {dataset!r}; there are: {', '.join(names())}, or a path to a .toml file")
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InrzooError(f"{path.name} is not valid TOML: {error}") from None


def _merge(tables: dict[str, Any], patch: Mapping[str, Any]) -> None:
    for key, value in copy.deepcopy(dict(patch)).items():
        if isinstance(value, dict) and isinstance(tables.get(key), dict):
            _merge(tables[key], value)
        else:
            tables[key] = value
