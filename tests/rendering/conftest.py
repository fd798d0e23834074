"""Small stores of each kind of signals."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from constructed import BLOCK, EXTENT

from inrzoo import manifest, registry
from inrzoo.builder import build
from inrzoo.store import Store, open_store

FIT = {"fit.engine": "reference", "inr.hidden_features": 8, "fit.steps": 30}
FLOATS = {"values.dtype": "float32", "values.scale": "dataset", "values.unit": "m/s"}
SHIPPED: dict[str, dict[str, Any]] = {
    "tones": {"source.num_samples": 64, "limit": 3, "source.num_validation": 0, "source.num_test": 0},
    "solids": {
        "source.num_points": 64,
        "source.num_held_out": 32,
        "fit.num_coords": 20,
        "limit": 3,
        "coords.extent": EXTENT,
    },
}
SHIPPED["balls"] = {
    "source.size": 8,
    "source.num_views": 4,
    "source.num_held_out": 3,
    "fit.num_coords": 20,
    "observation.samples": 4,
    "limit": 3,
}
OTHERS: dict[str, dict[str, Any]] = {
    "wind": {**FLOATS, "source.name": "made_fields:Wind"},
    "wind_levels": {**FLOATS, "source.name": "made_fields:Wind", "source.levels": 3},
    "scattered": {**FLOATS, "source.name": "made_fields:Scattered", "observation.name": "points"},
    "voxels": {"source.name": "voxels", "coords.spacing": "pixel_centres", "fit.lr": 5e-3},
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """The place of a finished store by its name, built when it is first asked for."""
    folder = tmp_path_factory.mktemp("made")

    def make(name: str) -> Path:
        if (place := folder / f"{name}.zarr").exists():
            return place
        if name in SHIPPED:
            loaded = manifest.load(name, None, {**FIT, **SHIPPED[name]})
        else:
            (folder / f"{name}.toml").write_text("redistributable = true\n[inr]\nname = 'siren'\n")
            loaded = manifest.load(folder / f"{name}.toml", None, {**FIT, **OTHERS[name]}, trusted=True)
        occupied = np.zeros((2, 6, 7, 8), bool)
        occupied[0][BLOCK] = occupied[1, :, :, 0] = True
        np.savez(folder / "voxels.npz", voxels=occupied)
        source = folder / "voxels.npz" if name == "voxels" else None
        build(loaded, place, source=source, in_process=True, quiet=True)
        return place

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "trusted", dict(registry.trusted))
        patch.syspath_prepend(str(Path(__file__).parent))
        yield make
        sys.modules.pop("made_fields", None)


@pytest.fixture
def stores(made: Callable[[str], Path]) -> Callable[[str], Store]:
    """A finished store by its name."""
    return lambda name: open_store(made(name))
