"""The share of a signal's values that an INR gives back, in the store from the fit to the selection."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_store import tiny

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.fit.metrics import exact_share
from inrzoo.loaders import load
from inrzoo.store import open_store
from inrzoo.summary import of_store


def by_hand(store, seed: int, step: int) -> np.ndarray:
    """In float64 and for one signal after the other."""
    low, high = store.value_range
    drawn = store.render(slice(None), seed, step).numpy().astype(np.float64)
    bytes_ = np.clip(np.rint((drawn - low) / (high - low) * 255), 0, 255)
    return np.array([np.mean(a == b) for a, b in zip(bytes_, store.signals(slice(None)), strict=True)])


@pytest.mark.parametrize("engine", ["reference", "fused"])
def test_a_store_records_the_share_of_exact_values(engine: str, tmp_path: Path) -> None:
    changes = {"fit__engine": engine, "fit__views": [20, 40], "values__range": [0.0, 1.0]}
    build(tiny(**changes), tmp_path / "store.zarr", in_process=True, quiet=True)
    store = open_store(tmp_path / "store.zarr")
    assert store.exact.shape == (48, 2, 2) and 0 < store.exact.mean() < 1
    for seed in (0, 1):
        for step in (0, 1):
            # A value may lie on the edge between two bytes: one in 64 of an image may then round otherwise.
            assert np.abs(store.exact[:, seed, step] - by_hand(store, seed, step)).max() <= 1 / 64 + 1e-6
    floor = float(np.median(store.exact[:, :, 1]))
    assert np.array_equal(store.select(min_exact=floor), store.exact[:, :, 1] >= floor)
    assert len(load(store.path, split=None, min_exact=floor)) == (store.exact[:, :, 1] >= floor).sum()


def test_the_lossless_recipe_is_lossless(tmp_path: Path) -> None:
    recipe = manifest.load("digits", None, {"limit": 16}, recipe="lossless")
    build(recipe, tmp_path / "store.zarr", in_process=True, quiet=True)
    store = open_store(tmp_path / "store.zarr")
    assert (store.exact == 1).all() and store.select(min_exact=1.0).all()
    assert by_hand(store, 0, 0).min() == 1
    assert of_store(store)["lossless"] == [{"step": 1000, "share": 1.0}]


@given(
    st.lists(st.integers(0, 255), min_size=1, max_size=20),
    st.floats(-0.49, 0.49),
    st.sampled_from([(-1.0, 1.0), (0.0, 1.0), (-3.5, 0.25)]),
)
def test_less_than_half_a_step_is_exact_and_more_is_not(
    values: list[int], off: float, value_range: tuple[float, float]
) -> None:
    low, high = value_range
    signal = torch.tensor(values, dtype=torch.uint8)[None, :, None]
    step = (high - low) / 255
    rendered = signal.double() * step + low
    assert exact_share(rendered + off * step, signal, value_range) == 1
    inside = ((signal > 0) & (signal < 255)).double().mean()
    for sign in (-1, 1):
        other = exact_share(rendered + sign * (abs(off) + 0.51) * step, signal, value_range)
        assert other <= 1 - inside + 1e-6  # 0 and 255 are clamped to, from one side
    assert exact_share(torch.full_like(rendered, torch.nan), signal, value_range) == 0
