"""Reads manifests from TOML: those that come with inrzoo, and the user's."""

import copy
import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inrzoo.errors import InrzooError
from inrzoo.manifest.recipe_files import recipe as recipe_tables
from inrzoo.manifest.settings import Manifest, from_tables
from inrzoo.nearest import among
from inrzoo.shipped import folder
from inrzoo.trust import trust_tables
from inrzoo.typecheck import check_type


def names() -> list[str]:
    """Return the names of the manifests that come with inrzoo."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def load(
    dataset: str | Path | Manifest,
    preset: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    recipe: str | None = None,
    trusted: bool = False,
) -> Manifest:
    """Read a manifest, apply a preset, then a recipe, then single keys.

    Args:
        dataset: a name from `names()`, a path to a TOML file, or a manifest, which takes no preset.
        preset: a preset of that manifest; its `default_preset` if None. A preset's table `alternatives` holds settings
            for other INRs, which apply when `overrides` names that INR.
        overrides: dotted keys (`"fit.steps"`) and their values, applied last.
        recipe: name of a recipe for fits, see `recipes`.
        trusted: whether the user wrote the file and the overrides; then a source or an INR called
            `package.module:Class` is imported. Leave it out if any of them comes from a store or a card.

    Raises:
        InrzooError: no such manifest or preset, malformed TOML, unknown key, wrong type or impossible value; one line
            names the file, the key, the value and the allowed values.
    """
    if isinstance(dataset, Manifest):
        if preset is not None:
            raise InrzooError(f"preset {preset!r} cannot be applied: the manifest of {dataset.name} is already read")
        tables = dataclasses.asdict(dataset)
        _use_inr(tables, (overrides or {}).get("inr.name"), {})
        _apply_recipe(tables, recipe)
        _override(tables, overrides or {}, dataset.name)
        return from_tables(tables, dataset.name)
    path, tables = _read(str(dataset))
    presets = check_type(f"{path.name}: presets", tables.pop("presets", {}), dict[str, dict[str, Any]])
    check_type(f"{path.name}: default_preset", tables.get("default_preset"), str | None)
    preset = preset or tables.pop("default_preset", None)
    tables.pop("default_preset", None)
    if preset is not None and preset not in presets:
        raise InrzooError(f"{path.name}: no preset {preset!r}{among(preset, presets)}")
    patch = dict(presets.get(preset, {}))
    alternatives = check_type(f"{path.name}: alternatives", patch.pop("alternatives", {}), dict[str, dict[str, Any]])
    _merge(tables, patch)
    _use_inr(tables, (overrides or {}).get("inr.name"), alternatives)
    _apply_recipe(tables, recipe)
    _override(tables, overrides or {}, path.name)
    tables = {"name": path.stem, "preset": preset, **tables}
    return from_tables(trust_tables(tables) if trusted else tables, path.name)


def presets(dataset: str) -> list[str]:
    """Return the names of a manifest's presets, the default one first."""
    path, tables = _read(dataset)
    default = tables.get("default_preset")
    known = check_type(f"{path.name}: presets", tables.get("presets", {}), dict[str, dict[str, Any]])
    return sorted(known, key=lambda name: (name != default, name))


def tables(dataset: str) -> dict[str, Any]:
    """Return the tables of a manifest as its file has them, presets included."""
    return _read(dataset)[1]


def title(dataset: str) -> str:
    """Return the title of a manifest."""
    path, tables = _read(dataset)
    text: str = check_type(f"{path.name}: title", tables.get("title", ""), str)
    return text


def default_preset(dataset: str) -> str | None:
    """Return the preset that a manifest applies by default; None if it applies none."""
    name: str | None = _read(dataset)[1].get("default_preset")
    return name


def _override(
    tables: dict[str, Any],
    overrides: Mapping[str, Any],
    where: str,
) -> None:
    """Set dotted keys in nested tables; `where` names the file in errors."""
    for key, value in overrides.items():
        *parents, last = key.split(".")
        table = tables
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise InrzooError(
                    f"{where}: unknown key {key!r} (given {value!r}); {parent} = {table!r} is not a table"
                )
        table[last] = value


def _use_inr(tables: dict[str, Any], name: str | None, alternatives: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace the table of the INR, if the name changes, by the settings that the preset has for the new one."""
    inr = tables.get("inr", {})
    if check_type("inr.name", name, str | None) is not None and not (isinstance(inr, dict) and inr.get("name") == name):
        tables["inr"] = {"name": name}
        _merge(tables, alternatives.get(str(name), {}))


def _apply_recipe(tables: dict[str, Any], name: str | None) -> None:
    """Lay a recipe over the tables and record its name."""
    if name is None:
        return
    table = tables.get("inr", {})
    inr = table.get("name") if isinstance(table, dict) else None
    _merge(tables, recipe_tables(name, str(inr)))
    tables["recipe"] = name


def _read(dataset: str) -> tuple[Path, dict[str, Any]]:
    path = Path(dataset) if dataset.endswith(".toml") else folder() / f"{dataset}.toml"
    if not path.is_file():
        raise InrzooError(f"no dataset {dataset!r}{among(dataset, names())}, or a path to a .toml file")
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
