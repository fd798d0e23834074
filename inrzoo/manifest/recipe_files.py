"""Recipes: settings of ours for fits, laid over a dataset's, whichever preset they come from.

A preset is the settings of a paper or of a published set and never changes. A recipe says how to fit any dataset with
one purpose, for some INRs each.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inrzoo.errors import InrzooError

TITLE = "title"
"""Key of the sentence that says what a recipe is for."""


def names(folder: Path) -> dict[str, str]:
    """Return the names of the recipes in the folder of the manifests, and what each is for."""
    return {path.stem: str(_tables(path)[TITLE]) for path in sorted((folder / "recipes").glob("*.toml"))}


def recipe(name: str, inr: str, folder: Path) -> Mapping[str, Any]:
    """Return the tables `fit` and `inr` of a recipe for an INR.

    Raises:
        InrzooError: there is no such recipe, or it has no settings for that INR.
    """
    if name not in names(folder):
        raise InrzooError(f"no recipe {name!r}; there are: {', '.join(names(folder))}")
    tables = _tables(folder / "recipes" / f"{name}.toml")
    known = [key for key in tables if key != TITLE]
    if inr not in known:
        raise InrzooError(
            f"the recipe {name} has settings for {', '.join(known)}, not for {inr}; "
            f"inrzoo tune finds some for a dataset"
        )
    chosen: Mapping[str, Any] = tables[inr]
    return chosen


def serves(name: str, inr: str, folder: Path) -> bool:
    """Whether a recipe has settings for an INR."""
    return inr in _tables(folder / "recipes" / f"{name}.toml")


def _tables(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
