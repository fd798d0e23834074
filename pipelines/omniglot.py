"""The INRs of Omniglot that the scripts of the few-shot paper share, and how encoders are trained on them."""

import os
from pathlib import Path
from typing import Any

from script import SCALE, folders, source

from inrzoo import manifest
from inrzoo.builder import build

FEW = {"steps": 2, "query": 5, "test_query": 5, "validation_episodes": 20, "test_episodes": 20}
TRAINING: dict[str, Any] = {"tiny": FEW, "small": {"steps": 1000}, "full": {"steps": 20_000}}[SCALE]
COMPLEXITY = os.environ.get("INRZOO_COMPLEXITY", "high")  # the paper's ablations are of high-complexity INRs
OUT, DOCUMENT = folders("out/few_shot", "docs/few_shot.md")
VIEWS = {"tiny": [80, 85, 90, 95, 100]}.get(SCALE, [800, 900, 1000, 1100, 1200])
FIT = {"init.mode": "fixed", "fit.views": VIEWS, "fit.steps": max(VIEWS)}


def fitted(complexity: str, name: str = "fixed", settings: dict[str, Any] | None = None) -> Path:
    """The store of INRs of a complexity, `low` or `high`, which is built unless it is there."""
    store = OUT / f"omniglot-{complexity}-{name}.zarr"
    build(manifest.load("omniglot", complexity, {**FIT, **(settings or {})}), store, source=source("omniglot"))
    return store
