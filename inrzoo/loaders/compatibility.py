"""Checks that a weight vector has the same meaning in all stores that are loaded together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from inrzoo.differences import differences
from inrzoo.errors import InrzooError
from inrzoo.manifest import without_defaults
from inrzoo.store import Store

OF_WEIGHTS = ("inr", "layout", "order of the layout", "coords", "values", "init.mode")
"""Keys of `conventions` that define the meaning of the numbers of a weight vector."""
NOT_IN_WEIGHTS = ("engine", "products")
"""Keys of the table `fit` that change the weights by rounding alone."""


def require_alike(stores: Sequence[Store]) -> None:
    """Refuse stores whose weights or labels have different meanings.

    It compares the INR (class and fields: convention, ω₀, position of the bias, …), the layout, the spacing and axis
    order of the coordinates, the value range, the init mode, and the names of labels and splits.

    Raises:
        InrzooError: keys differ, which the message names, or two stores hold the same INRs.
    """
    first = stores[0]
    for index, other in enumerate(stores[1:], start=1):
        differing = differences(conventions(first), conventions(other), width=60)
        if differing:
            raise InrzooError(
                f"{first.location} and {other.location} cannot be loaded as one, they differ in {'; '.join(differing)}"
            )
        for earlier in stores[:index]:
            if earlier.info.fingerprint == other.info.fingerprint:
                raise InrzooError(f"{earlier.location} and {other.location} hold the same INRs; name one of them")


def conventions(store: Store) -> dict[str, Any]:
    """Return the settings that define the meaning of a store's weights and labels."""
    info, manifest, tensors = store.info, store.info.manifest, store.layout.tensors
    return {
        **without_defaults({"inr": info.inr, "coords": asdict(manifest.coords)}),
        "layout": {tensor.name: f"{list(tensor.shape)} {list(tensor.axes)}" for tensor in tensors},
        "order of the layout": [tensor.name for tensor in tensors],
        "values": {"range": list(manifest.values.range)},
        "init.mode": manifest.init_mode,
        "label_columns": list(info.label_columns),
        "label_names": {name: _short(names) for name, names in info.label_names.items()},
        "split_names": list(info.split_names),
    }


def weight_conventions(store: Store) -> dict[str, Any]:
    """Return what a store should share with the one that a network of weights was trained on.

    Labels and splits may differ; where a shared initialisation starts may not. `fit` are the settings of the fits: they
    change the distribution of weights and not their meaning.
    """
    start = None if store.init is None else hashlib.sha256(store.init.tobytes()).hexdigest()[:16]
    if store.info.fitter is not None:
        start = store.info.fitter.sha256[:16]
    means = conventions(store)
    manifest = store.info.manifest
    fit = {}  # imported INRs were fitted by others, who did not record how; generated ones were not fitted
    if store.info.imported is None and store.info.generated is None:
        fit = {key: value for key, value in manifest.fit.items() if key not in NOT_IN_WEIGHTS}
    settings = {**without_defaults({"fit": fit})["fit"], **({"antialias": manifest.antialias} if fit else {})}
    return {**{key: means[key] for key in OF_WEIGHTS}, "init.start": start, "fit": settings}


def _short(names: Sequence[str]) -> str:
    return f"{len(names)} names: {', '.join(map(str, names))}"
