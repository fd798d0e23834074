"""Recipes: settings of ours for fits, laid over a dataset's, whichever preset they come from.

A preset is the settings of a paper or of a published set and never changes. A recipe says how to fit any dataset with
one purpose, for some INRs each.
"""

import tomllib
from collections.abc import Mapping
from typing import Any

from inrzoo.errors import InrzooError
from inrzoo.nearest import among
from inrzoo.shipped import folder

TITLE = "title"
"""Key of the sentence that says what a recipe is for."""


def recipes() -> dict[str, str]:
    """Return the names of the recipes that come with inrzoo, and what each is for."""
    return {name: str(tables[TITLE]) for name, tables in _recipes().items()}


def recipe(name: str, inr: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the tables `fit` and `inr` of a recipe for an INR.

    Raises:
        InrzooError: there is no such recipe, or it has no settings for that INR.
    """
    all_recipes = _recipes()
    if name not in all_recipes:
        raise InrzooError(f"no recipe {name!r}{among(name, all_recipes)}")
    known = {key: tables for key, tables in all_recipes[name].items() if key != TITLE}
    if inr not in known:
        raise InrzooError(
            f"the recipe {name} has settings for {', '.join(known)}, not for {inr}; "
            f"inrzoo tune finds some for a dataset"
        )
    chosen: Mapping[str, Mapping[str, Any]] = known[inr]
    return chosen


def recipes_for(inr: str) -> dict[str, dict[str, Any]]:
    """Return the settings of every recipe for an INR, as dotted keys of a manifest."""
    return {
        name: {f"{table}.{key}": value for table, keys in tables[inr].items() for key, value in keys.items()}
        for name, tables in _recipes().items()
        if inr in tables
    }


def _recipes() -> dict[str, dict[str, Any]]:
    paths = sorted((folder() / "recipes").glob("*.toml"))
    return {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in paths}
