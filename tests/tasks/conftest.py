"""A small store whose splits have different classes: made-up characters in the layout of Omniglot."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inrzoo import manifest
from inrzoo.builder import build

ALPHABETS, CHARACTERS, DRAWERS, SIZE = 6, 4, 8, 8
VIEWS = (20, 30, 40)
SETTINGS = {
    "source.size": SIZE,
    "source.num_alphabets": [4, 1, 1],
    "inr.hidden_features": 8,
    "fit.steps": 40,
    "fit.views": list(VIEWS),
    "fit.lr": 5e-3,
    "fit.engine": "reference",
    "init.mode": "fixed",
}


def draw(folder: Path) -> Path:
    """Characters are patterns of strokes; a drawing of one is the pattern, shifted a little, with noise."""
    for alphabet in range(ALPHABETS):
        for character in range(CHARACTERS):
            rng = np.random.default_rng(100 * alphabet + character)
            pattern = rng.random((7, 7)) < 0.4
            for drawer in range(DRAWERS):
                ink = np.kron(pattern, np.ones((15, 15), dtype=bool))
                ink = np.roll(ink, rng.integers(-4, 5, 2), axis=(0, 1)) ^ (rng.random(ink.shape) < 0.02)
                name = f"Alphabet{alphabet}/character{character + 1:02d}/{character + 1:04d}_{drawer + 1:02d}.png"
                path = folder / "images_background" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(~ink).save(path)
    return folder


@pytest.fixture(scope="session")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("drawings"))


@pytest.fixture(scope="session")
def settings_of_fits() -> dict[str, object]:
    """Settings of `characters` that are not of its source."""
    return {key: value for key, value in SETTINGS.items() if not key.startswith("source.")}


@pytest.fixture(scope="session")
def make_store(drawings: Path, tmp_path_factory: pytest.TempPathFactory):
    """A store of the drawings with other settings, `__` standing for the dot."""

    def make(name: str, **changes: object) -> Path:
        path = tmp_path_factory.mktemp(name) / "characters.zarr"
        settings = {**SETTINGS, **{key.replace("__", "."): value for key, value in changes.items()}}
        build(manifest.load("omniglot", overrides=settings), path, source=drawings, in_process=True, quiet=True)
        return path

    return make


@pytest.fixture(scope="session")
def characters(make_store) -> Path:
    """SIRENs with a fixed init, three views; alphabets 4 / 1 / 1 for training, validation, test."""
    return make_store("characters")
