"""The INRs of Omniglot that the scripts of the few-shot paper share."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from few_shot import OUT
from script import SCALE, source

from inrzoo import manifest
from inrzoo.builder import build

COMPLEXITY = os.environ.get("INRZOO_COMPLEXITY", "high")  # the paper's ablations are of high-complexity INRs
DATA = f"all of Omniglot, {COMPLEXITY}-complexity INRs"
FITS: dict[str, dict[str, Any]] = {
    "tiny": {"low": {"fit.steps": 100}, "high": {"fit.steps": 100}},
    "small": {"low": {"fit.lr": 2e-3, "fit.steps": 100, "fit.stop_psnr": 35.0}, "high": {"fit.lr": 2e-3}},
    "full": {"low": {}, "high": {}},
}[SCALE]
"""Settings of the fits by complexity. For two cores the steps are four times the paper's, and low-complexity INRs stop
at 35 dB: from one start, short fits are no worse to read (docs/few_shot.md)."""
VIEWS = {"tiny": [80, 85, 90, 95, 100], "small": [80, 90, 100, 110, 120], "full": [800, 900, 1000, 1100, 1200]}[SCALE]
"""Step counts of Figure 3; for `small` in the proportion of the paper's."""


def fitted(complexity: str, name: str = "fixed", settings: Mapping[str, Any] | None = None) -> Path:
    """The store of INRs of a complexity, `low` or `high`, which is built unless it is there."""
    store = OUT / f"omniglot-{complexity}-{name}.zarr"
    wanted = {"init.mode": "fixed", **FITS[complexity], **(settings or {})}
    build(manifest.load("omniglot", complexity, wanted), store, source=source("omniglot"))
    return store
