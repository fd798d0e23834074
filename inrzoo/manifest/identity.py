"""Decides whether two resolved manifests describe the same INRs."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from inrzoo.differences import differences as table_differences

NOT_IN_FINGERPRINT = (
    "seeds",
    "title",
    "licence",
    "citation",
    "bibtex",
    "redistributable",
    "preset",
    "recipe",
    "source.url",
    "source.hashes",
    "compress",
)
"""Keys that do not affect the numbers of an INR: how many there are, prose, addresses of files, and compression."""

ADDED_LATER = {
    "fit.schedule": "constant",
    "fit.final_lr_factor": 0.0,
    "fit.warm_up": 0,
    "fit.weight_decay": 0.0,
    "fit.max_grad_norm": None,
    "fit.lr_per_tensor": "equal",
    "fit.num_coords": None,
    "fit.evaluate_every": 10,
    "coords.extent": 1.0,
    "values.dtype": "uint8",
    "values.scale": "dtype",
    "values.limits": None,
    "values.symmetric": False,
    "values.unit": "",
    "source.exif": "ignore",
    "source.alpha": "drop",
    "source.bit_depth": 8,
    "source.order": None,
    "observation": {"name": "grid", "measures": []},
    "inr.omega_hidden": None,
    "inr.init_scale": 1.0,
    "inr.divisions": None,
    "inr.extent": 1.0,
    "bibtex": "",
    "earlier_limits": [],
    "weights": "float32",
    "compress": False,
}
"""Keys that are younger than the first stores, and the values that make the INRs that were made without them: with such
a value a key is left out of fingerprints and comparisons, so that old stores are continued."""


def fingerprint(resolved: Mapping[str, Any], signals_sha256: str) -> str:
    """Return the sha256 (hex) of the signals and of every key that affects the bytes of an INR."""
    tables = _without(without_defaults(resolved), NOT_IN_FINGERPRINT)
    return hashlib.sha256(json.dumps([tables, signals_sha256], sort_keys=True).encode()).hexdigest()


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Return the dotted keys in which two resolved manifests make different INRs, as `key: ours → theirs`."""
    return table_differences(without_defaults(ours), without_defaults(theirs), ignored=NOT_IN_FINGERPRINT)


def without_defaults(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the tables without the keys of `ADDED_LATER` that have the values there."""
    return {
        key: without_defaults(value, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in tables.items()
        if prefix + key not in ADDED_LATER or value != ADDED_LATER[prefix + key]
    }


def _without(tables: Mapping[str, Any], keys: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    return {
        key: _without(value, keys, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in tables.items()
        if prefix + key not in keys
    }
