"""What the page is told of a store in `gallery.json`: how its INRs are evaluated and drawn, and where arrays are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from inrzoo.errors import InrzooError
from inrzoo.rendering.kinds import kind_of
from inrzoo.store import Store, label_arrays
from inrzoo.store.blocks import MEASURE_PREFIX
from inrzoo.store.description import description
from inrzoo.targets import limits_or_own

FORMAT = 2
"""The format of `gallery.json`; the page reads no other."""
SAMPLE_RATE = 8000.0
"""Samples a second at which signals of one axis are played where the store does not say in which unit it is."""


def require_finished(store: Store) -> None:
    """Raise InrzooError unless all INRs of a store, or of the splits that were pulled, are there and can be read."""
    if not store.complete and not store.partial:
        raise InrzooError(f"{store.location} is not finished; run the same build again, then show it")
    kept = store.info.weight_format
    if kept is not None and kept.compression != "none":
        raise InrzooError(
            f"the weights of {store.location} are compressed, which the page does not read; inrzoo convert "
            f"{store.location} OUT --weights {kept.dtype} unpacks them"
        )


def page_settings(store: Store, address: str) -> dict[str, Any]:
    """The content of `gallery.json`.

    Args:
        store: a finished store.
        address: URL of the store, absolute or relative to the page.
    """
    info, recorded = store.info, store.info.manifest
    shared = recorded.values.scale == "dtype"
    labels = zip(info.label_columns, label_arrays(info.label_columns), strict=True)
    return {
        "format": FORMAT,
        "store": address,
        "title": recorded.title or info.dataset,
        "summary": _summary(store),
        "kind": kind_of(store),
        "formula": None if store.formula is None else store.formula.to_json(),
        "in_features": store.inr.in_features,
        "grid": list(info.grid),
        "channels": store.channels,
        "sample_rate": _sample_rate(store),
        "coords": dataclasses.asdict(recorded.coords),
        "values": {
            "dtype": recorded.values.dtype,
            "range": list(recorded.values.range),
            "limits": limits_or_own(recorded.values, None, 1)[0].tolist() if shared else None,
            "unit": recorded.values.unit,
        },
        "observation": dataclasses.asdict(store.observation),
        "labels": [{"column": name, "array": array, "names": list(info.label_names[name])} for name, array in labels],
        "splits": list(info.split_names),
        "statuses": list(info.status_names),
        "measures": [{"name": name, "array": array} for name, array in _measures(store).items()],
        "snapshots": list(info.snapshots),
        "seeds": sorted(info.published_seeds),
        # While signals may not be published they lie in the build folder, and a finished store has none.
        "has_signals": store.has_signals,
        "about": [list(row) for row in _about(store).items()],
    }


def _sample_rate(store: Store) -> float:
    axes = store.info.axes
    return 1 / abs(axes[0].step) if len(axes) == 1 and axes[0].unit == "s" else SAMPLE_RATE


def _summary(store: Store) -> str:
    seeds = len(store.info.published_seeds)
    fits = f" in {seeds} fits each" if seeds > 1 else ""
    name, count = store.info.inr.get("name"), store.layout.num_params
    return (
        f"{store.num_signals:,} signals{fits}, each a function ({name}) of {count:,} weights, "
        "which this page reads and evaluates as you look"
    )


def _measures(store: Store) -> dict[str, str]:
    """Return what is shown of each INR beside its PSNR: names, and the arrays that hold the numbers.

    The share above Nyquist tells an INR that is aliased: right at the pixels, and something else between them.
    """
    known = {"loss": store.loss, "energy above Nyquist": store.out_of_band}
    arrays = {"loss": "loss", "energy above Nyquist": "out_of_band"}
    finite = {name: arrays[name] for name, values in known.items() if np.isfinite(values).any()}
    return finite | {name: f"{MEASURE_PREFIX}{name}" for name in store.info.measures}


def _about(store: Store) -> dict[str, str]:
    """Everything that the store records of the set, as texts."""
    info, recorded = store.info, store.info.manifest
    _, rows = description(store)
    rows.pop("location", None)  # a folder of whoever writes the page
    rows |= {"title": recorded.title, "licence": recorded.licence, "citation": recorded.citation}
    for key, value in recorded.tables.items():
        if isinstance(value, Mapping):
            rows[key] = _listed(value)
        elif key not in rows:
            rows[key] = _text(value)
    for name in ("imported", "fitter", "generated"):
        if (origin := getattr(info, name)) is not None:
            rows[name] = _listed(dataclasses.asdict(origin))
    rows["gathered from"] = "" if info.gathered is None else str(info.gathered)
    rows["tensors"] = ", ".join(f"{tensor.name} {' × '.join(map(str, tensor.shape))}" for tensor in info.layout.tensors)
    rows["environment"] = _listed(info.environment)
    rows["source files (sha256)"] = _listed(info.source_checksums)
    rows["files left out"] = _listed(info.skipped)
    rows |= {
        "fingerprint": info.fingerprint,
        "signals (sha256)": info.signals_sha256,
        "made by": f"inrzoo {info.version}, store format {info.format}",
    }
    return {name: text for name, text in rows.items() if text}


def _listed(table: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_text(value)}" for key, value in table.items() if value not in (None, "", [], {}))


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({_listed(value)})"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    return "" if value is None else str(value)
