"""Compares two tables of settings and states each difference in one line."""

from collections.abc import Collection, Mapping
from typing import Any


def differences(
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    *,
    ignored: Collection[str] = (),
    width: int | None = None,
    prefix: str = "",
) -> list[str]:
    """Every difference of two tables, as `key: ours → theirs`; a key of an inner table is dotted.

    Args:
        ours, theirs: tables of JSON types.
        ignored: dotted keys that are not compared.
        width: longer values are cut at so many characters; None for no limit.
        prefix: precedes every key.

    Example:
        >>> differences({"inr": {"omega_0": 30.0}}, {"inr": {"omega_0": 10.0}, "seed": 1})
        ['inr.omega_0: 30.0 → 10.0', 'seed: absent → 1']
    """
    lines = []
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        if prefix + key in ignored:
            continue
        a, b = ours.get(key, "absent"), theirs.get(key, "absent")
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            lines += differences(a, b, ignored=ignored, width=width, prefix=f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key}: {_cut(a, width)} → {_cut(b, width)}")
    return lines


def _cut(value: object, width: int | None) -> str:
    text = str(value)
    return text if width is None or len(text) <= width else f"{text[:width]}…"
