"""A store is read back the same by our reader, zarr, dask and xarray, finished or not."""

import math
from collections.abc import Callable
from pathlib import Path

import dask.array
import numpy as np
import pytest
import torch
import xarray
import zarr
from tiny_store import SEEDS, SIGNALS, SMALL, TINY, small

from inrzoo import registry
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.store import Store, open_store

PARAMS = 3 * 8 + 9 * 8 + 9


def test_all_readers_agree(finished: Path, store: Store) -> None:
    ours = store.weights[:]
    assert ours.shape == (SIGNALS, SEEDS, 1, PARAMS) and ours.dtype == np.float32
    np.testing.assert_array_equal(ours, zarr.open_group(finished)["weights"][:])
    np.testing.assert_array_equal(ours, dask.array.from_zarr(str(finished), component="weights").compute())
    dataset = xarray.open_zarr(finished)
    assert dataset["weights"].dims == ("signal", "seed", "step", "param")
    np.testing.assert_array_equal(ours, dataset["weights"].values)
    np.testing.assert_array_equal(store.psnr, store.to_xarray()["psnr"].values)


def test_rendering_gives_the_recorded_psnr(store: Store) -> None:
    values = store.render(slice(None), 1)
    targets = torch.from_numpy(store.signals(slice(None))).float() / 127.5 - 1
    mse = (values - targets).square().mean(dim=(1, 2)).numpy()
    np.testing.assert_allclose(10 * np.log10(4 / mse), store.psnr[:, 1, 0], atol=1e-3)


def test_rendering_elsewhere_is_the_same_function(store: Store) -> None:
    corner = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    grid = store.render(3, 0)
    torch.testing.assert_close(store.render(3, 0, coords=corner), grid[[0, -1]])
    assert store.render([1, 2], [0, 1], coords=store.coords(finer=4)).shape == (2, 2, 32 * 32, 1)


def test_what_a_store_knows(store: Store) -> None:
    assert store.layout.num_params == PARAMS == store.inr.layout.num_params
    assert store.complete and store.snapshots == [TINY["fit.steps"]]
    assert store.inr == registry.make("inrs", store.info.inr)
    assert (np.diff(store.split.astype(int)) >= 0).all()  # a split is a range
    assert set(np.unique(store.split)) == {0, 1, 2}
    assert list(store.labels) == ["digit"] and np.bincount(store.labels["digit"]).max() <= math.ceil(SIGNALS / 10)
    assert len(set(store.signal_ids)) == SIGNALS
    assert (store.steps[store.status == 2] <= TINY["fit.steps"]).all()
    assert (store.psnr[:, :, 0][store.status == 2] >= TINY["fit.stop_psnr"]).all()
    assert {1, 2} == set(np.unique(store.status)), "the tiny store should hold stopped and unstopped INRs"


def test_statistics_are_those_of_good_training_inrs(store: Store) -> None:
    train = np.flatnonzero(store.split == 0)
    rows = store.weights[train][np.isin(store.status[train], [1, 2])].astype(np.float64)[:, 0]
    np.testing.assert_allclose(store.stats["mean"][0], rows.mean(0), atol=1e-12)
    np.testing.assert_allclose(store.stats["std"][0], rows.std(0), rtol=1e-10)
    assert (store.stats["count"] == len(rows)).all()
    for column, tensor in enumerate(store.layout.tensors):
        part = store.layout.split(rows)[tensor.name]
        np.testing.assert_allclose(store.stats["tensor_mean"][0, column], part.mean(), atol=1e-12)
        np.testing.assert_allclose(store.stats["tensor_std"][0, column], part.std(), rtol=1e-10)


def test_views_are_a_dimension(tmp_path: Path) -> None:
    build(small(fit__steps=9, fit__views=[2, 5, 9]), tmp_path / "views.zarr", in_process=True, quiet=True)
    build(small(fit__steps=5, fit__stop_psnr=None), tmp_path / "short.zarr", in_process=True, quiet=True)
    views = open_store(tmp_path / "views.zarr")
    assert views.weights.shape == (SMALL["limit"], SEEDS, 3, PARAMS) and views.snapshots == [2, 5, 9]
    np.testing.assert_array_equal(views.weights[:, :, 1], open_store(tmp_path / "short.zarr").weights[:, :, 0])
    assert (views.steps == [2, 5, 9]).all()  # views switch early stopping off
    assert views.stats["mean"].shape == (3, PARAMS)


def test_a_half_built_store_shows_what_is_there(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, inrzoo: Callable[..., tuple[int, str, str]]
) -> None:
    from test_verify import half_built

    half_built(tmp_path / "half.zarr", monkeypatch, blocks=1)
    half, whole = open_store(tmp_path / "half.zarr"), open_store(finished)
    rows = half.partition.block_rows
    np.testing.assert_array_equal(half.weights[:rows, 0], whole.weights[:rows, 0])
    assert np.isnan(half.weights[rows:, 0]).all() and np.isnan(half.weights[:, 1]).all()
    np.testing.assert_array_equal(half.psnr[:rows, 0], whole.psnr[:rows, 0])
    assert (half.status[rows:] == 0).all() and not half.complete and half.stats == {}
    code, out, _ = inrzoo("info", tmp_path / "half.zarr")
    assert code == 0 and f"being built: {rows} of 96 INRs; the same build command continues" in out
    code, out, _ = inrzoo("preview", tmp_path / "half.zarr")
    assert code == 0 and f"{rows} of 10 requested INRs" in out
    code, _, err = inrzoo("stats", tmp_path / "half.zarr")
    assert code == 2 and "run the same build again" in err


def test_wrong_indices(store: Store) -> None:
    with pytest.raises(IndexError, match="signal 48 is out of range; there are 48"):
        store.weights[48]
    with pytest.raises(InrzooError, match="4 indices"):
        store.weights[0, 0, 0, 0]


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "new.zarr", attributes={"format": 4})
    with pytest.raises(InrzooError, match="format 4; this version of inrzoo reads 1, 2 and 3"):
        open_store(tmp_path / "new.zarr")
