"""When are two resolved manifests about the same INRs?"""

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
    "redistributable",
    "preset",
    "source.url",
    "source.hashes",
)
"""Keys that do not decide the bytes of any one INR: how many there are, prose, and where the same files are fetched."""


def fingerprint(resolved: Mapping[str, Any], signals_sha256: str) -> str:
    """sha256 (hex) of what decides the bytes of one INR: the signals and every key not in `NOT_IN_FINGERPRINT`."""
    deciding = _without(resolved, NOT_IN_FINGERPRINT)
    return hashlib.sha256(json.dumps([deciding, signals_sha256], sort_keys=True).encode()).hexdigest()


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Dotted keys in which two resolved manifests would make different INRs, as `key: ours → theirs`."""
    return table_differences(ours, theirs, ignored=NOT_IN_FINGERPRINT)


def _without(tables: Mapping[str, Any], keys: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    return {
        key: _without(value, keys, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in tables.items()
        if prefix + key not in keys
    }
