"""Finished stores that each convention can express, and the exports of them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_store import tiny

from inrzoo.builder import build
from inrzoo.interchange import export_state_dicts
from inrzoo.store import Store, open_store

SETTINGS = {
    "dws": {
        "coords__axis_order": "x_y",
        "values__range": [0.0, 1.0],
        "inr__output_offset": 0.5,
        "inr__convention": "dws",
    },
    "nfn": {},
    "sitzmann": {"inr__hidden_layers": 2},
}
OMEGA = {"inr__omega_0": 30.0}
"""The ω₀ in the code of every reader; digits are fitted with less."""
TWENTY = {"limit": 20, "source__num_validation": 200, "source__num_test": 200, "fit__steps": 10}


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Store]:
    """The finished store of a convention's settings: 20 digits, two seeds."""
    home, made = tmp_path_factory.mktemp("stores"), {}

    def get(convention: str) -> Store:
        if convention not in made:
            made[convention] = home / f"{convention}.zarr"
            build(tiny(**OMEGA, **TWENTY, **SETTINGS[convention]), made[convention], in_process=True, quiet=True)
        return open_store(made[convention])

    return get


@pytest.fixture
def exported(stores, tmp_path: Path) -> Callable[..., Path]:
    """A fresh export of the store of a convention, all seeds unless told."""

    def get(convention: str, seed: object = "all") -> Path:
        out = tmp_path / f"{convention}-{seed}"
        export_state_dicts(stores(convention).path, out, convention, seed)
        return out

    return get
