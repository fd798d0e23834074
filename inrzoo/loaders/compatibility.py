"""The conventions of stores: stores are loaded as one only if their weights mean the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from inrzoo.differences import differences
from inrzoo.errors import InrzooError
from inrzoo.store import Store

OF_WEIGHTS = ("inr", "layout", "order of the layout", "coords", "values", "init.mode")
"""Keys of `conventions` that say what the numbers of a weight vector mean."""


def require_alike(stores: Sequence[Store]) -> None:
    """Refuse to mix stores whose weights, or labels, mean different things.

    Compared are the INR (class and fields: convention, ω₀, where the bias stands, …), the layout, the spacing and axis
    order of the coordinates, the value range, whether starts are shared, and the names of labels and splits.

    Raises:
        InrzooError: naming the keys that differ; or two stores hold the same INRs.
    """
    first = stores[0]
    for index, other in enumerate(stores[1:], start=1):
        differing = differences(conventions(first), conventions(other), width=60)
        if differing:
            raise InrzooError(
                f"{first.location} and {other.location} cannot be loaded as one, they differ in {'; '.join(differing)}"
            )
        for earlier in stores[:index]:
            if earlier.attributes["fingerprint"] == other.attributes["fingerprint"]:
                raise InrzooError(f"{earlier.location} and {other.location} hold the same INRs; name one of them")


def conventions(store: Store) -> dict[str, Any]:
    """What the numbers, labels and splits of a store mean."""
    attributes, manifest = store.attributes, store.attributes["manifest"]
    return {
        "inr": attributes["inr"],
        "layout": {table["name"]: f"{table['shape']} {table['axes']}" for table in attributes["layout"]},
        "order of the layout": [table["name"] for table in attributes["layout"]],
        "coords": manifest["coords"],
        "values": manifest["values"],
        "init.mode": manifest.get("init", {}).get("mode", "random"),
        "label_columns": attributes["label_columns"],
        "label_names": {name: _short(names) for name, names in attributes["label_names"].items()},
        "split_names": attributes["split_names"],
    }


def weight_conventions(store: Store) -> dict[str, Any]:
    """What a store must share with the one that a network of weights was trained on.

    Labels and splits may differ; where a shared initialisation starts may not.
    """
    start = None if store.init is None else hashlib.sha256(store.init.tobytes()).hexdigest()[:16]
    means = conventions(store)
    if means["init.mode"] == "hypernet":
        start = store.attributes["fitter"]["sha256"][:16]
    return {**{key: means[key] for key in OF_WEIGHTS}, "init.start": start}


def _short(names: Sequence[str]) -> str:
    return f"{len(names)} names: {', '.join(map(str, names))}"
