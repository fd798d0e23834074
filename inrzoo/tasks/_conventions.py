"""What a store must share with the one that a network of weights was trained on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from inrzoo.loaders import load
from inrzoo.loaders.compatibility import conventions

COMPARED = ("inr", "layout", "order of the layout", "coords", "values", "init.mode")


def conventions_of(path: str | Path) -> dict[str, Any]:
    """What the numbers of a store mean; labels and splits may differ, where a fixed start began may not."""
    store = load(path, normalise="none").stores[0]
    start = None if store.init is None else hashlib.sha256(store.init.tobytes()).hexdigest()[:16]
    found = conventions(store)
    if store.info.fitter is not None:
        start = store.info.fitter.sha256[:16]
    return {**{key: found[key] for key in COMPARED}, "init.start": start}
