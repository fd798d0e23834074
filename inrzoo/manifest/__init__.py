"""Manifests define datasets. They are read from TOML into frozen dataclasses, checked, resolved and fingerprinted."""

from inrzoo.manifest.files import default_preset, load, names, presets, tables, title
from inrzoo.manifest.identity import NOT_IN_FINGERPRINT, differences, fingerprint, without_defaults
from inrzoo.manifest.recipe_files import recipes, recipes_for
from inrzoo.manifest.settings import (
    RUNTIME_FIELDS,
    AntiAlias,
    DatasetSettings,
    Fit,
    FitSettings,
    Init,
    Manifest,
    make_inr,
)
from inrzoo.manifest.signal_settings import Coords, Values
from inrzoo.shipped import folder

__all__ = [
    "NOT_IN_FINGERPRINT",
    "RUNTIME_FIELDS",
    "AntiAlias",
    "Coords",
    "DatasetSettings",
    "Fit",
    "FitSettings",
    "Init",
    "Manifest",
    "Values",
    "default_preset",
    "differences",
    "fingerprint",
    "folder",
    "load",
    "make_inr",
    "names",
    "presets",
    "recipes",
    "recipes_for",
    "tables",
    "title",
    "without_defaults",
]
