"""A tiny dataset, and what two stores are compared by."""

import hashlib
import json
from pathlib import Path

from inrzoo import manifest
from inrzoo.store import blocks
from inrzoo.store.root import ROOT_DIGEST, root_digest

SIGNALS, SEEDS, STEPS = 48, 2, 40
TINY = {
    "limit": SIGNALS,
    "seeds": SEEDS,
    "fit.steps": STEPS,
    "fit.engine": "reference",
    "fit.lr": 5e-3,
    "fit.stop_psnr": 18.0,
    "inr.hidden_features": 8,
}
"""Small enough to fit in a second, large enough for several blocks; some INRs stop early, some do not."""
SMALL = {"source__num_validation": 400, "source__num_test": 400, "limit": 6, "fit__steps": 10}
"""For tests to which the INRs do not matter: six blocks a seed of one INR each, three splits; no INR stops early."""
REAL_MIN_BLOCKS, blocks.MIN_BLOCKS = blocks.MIN_BLOCKS, 8
"""The number that cuts small datasets; half of it halves the time of tiny builds, whose blocks are small."""


def tiny(**changes: object) -> manifest.Manifest:
    """The tiny manifest with other keys, `__` standing for the dot."""
    return manifest.load(
        "digits", overrides={**TINY, **{key.replace("__", "."): value for key, value in changes.items()}}
    )


def small(**changes: object) -> manifest.Manifest:
    """The small manifest with other keys."""
    return tiny(**{**SMALL, **changes})


def set_attributes(path: Path, **attributes: object) -> None:
    """Write attributes into the root of a store, sensible or not; the root is whole and its metadata not gathered."""
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"] |= attributes
    root.pop("consolidated_metadata", None)
    root["attributes"][ROOT_DIGEST] = root_digest(root)
    (path / "zarr.json").write_text(json.dumps(root, indent=2, sort_keys=True, ensure_ascii=False))


def store_bytes(path: Path) -> dict[str, str]:
    """sha256 of every file below a store: two stores are byte-identical exactly if these are equal."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
