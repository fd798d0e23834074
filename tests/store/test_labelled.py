"""Labels, units and coordinates of a store in xarray."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray
from tiny_store import set_attributes, store_bytes, tiny

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.store import Store, open_store

GOLDEN = Path(__file__).parents[1] / "golden" / "views-0.1.0.zip"


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of two snapshots."""
    path = tmp_path_factory.mktemp("views") / "tiny.zarr"
    build(tiny(fit__views=[5, 10], limit=24), path, in_process=True, quiet=True)
    return open_store(path)


def test_the_mean_of_each_class_at_a_step_is_one_line(views: Store) -> None:
    ds = views.to_xarray()
    means = ds.sel(step=10).psnr.groupby("label").mean()
    assert means.dims == ("label", "seed") and means.label.values.tolist() == sorted({*views.labels["digit"].tolist()})
    for code in means.label.values.tolist():
        expected = views.psnr[views.labels["digit"] == code, :, 1].mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(means.sel(label=code).values, expected, rtol=1e-6)
    train = ds.psnr.where(ds.split == 0, drop=True)
    assert train.sizes["signal"] == (views.split == 0).sum()


def test_coordinates_and_attributes_are_those_of_the_store(views: Store) -> None:
    ds = views.to_xarray()
    assert ds.step.values.tolist() == views.snapshots and ds.seed.values.tolist() == [0, 1]
    assert ds.signal_id.values.tolist() == views.signal_ids
    np.testing.assert_array_equal(ds.label, views.labels["digit"])
    np.testing.assert_array_equal(ds.split, views.split)
    assert {*ds.psnr.coords} == {"step", "seed", "signal_id", "label", "split"}
    assert ds.psnr.units == "dB" and ds.psnr.long_name and "units" not in ds.status.attrs
    meanings = dict(zip(ds.status.flag_values.tolist(), ds.status.flag_meanings.split(), strict=True))
    assert [meanings[code].replace("_", " ") for code in range(4)] == list(views.info.status_names)
    assert ds.status.flag_values.dtype == ds.status.dtype
    assert ds.label.long_name == "digit" and ds.label.flag_meanings.split() == list(views.info.label_names["digit"])


def test_a_reader_of_zarr_alone_sees_units_and_coordinates(views: Store) -> None:
    plain = xarray.open_zarr(views.path)
    assert {*plain.coords} == {"signal_id", "label", "split"}
    assert plain.psnr.units == "dB" and plain.status.flag_meanings == "pending ok early_stop diverged"


def test_a_store_of_an_earlier_version_is_labelled_and_keeps_its_bytes(tmp_path: Path) -> None:
    with zipfile.ZipFile(GOLDEN) as archive:
        archive.extractall(tmp_path)
    path = shutil.move(tmp_path / "views.zarr", tmp_path / "old.zarr")
    before, store = store_bytes(path), open_store(path)
    ds = store.to_xarray()
    assert ds.psnr.units == "dB" and ds.step.values.tolist() == store.snapshots
    assert "exact" not in ds and ds.sel(step=store.snapshots[0]).psnr.groupby("label").mean().ndim == 2
    assert store_bytes(path) == before


def test_a_measure_has_the_unit_of_the_numbers(tmp_path: Path) -> None:
    keys = {"source.num_points": 64, "source.num_held_out": 32, "fit.num_coords": 20, "fit.steps": 2, "limit": 8}
    made = manifest.load("solids", None, {**keys, "fit.engine": "reference", "values.unit": "m"})
    build(made, tmp_path / "solids.zarr", in_process=True, quiet=True)
    ds = open_store(tmp_path / "solids.zarr").to_xarray()
    assert ds["quality.mae"].units == "m" and ds["quality.iou"].units == "1"


def test_arrays_that_contradict_each_other_are_one_line(views: Store, tmp_path: Path) -> None:
    path = Path(shutil.copytree(views.path, tmp_path / "odd.zarr"))
    set_attributes(path)  # metadata are not gathered
    described = json.loads((path / "psnr" / "zarr.json").read_text())
    (path / "psnr" / "zarr.json").write_text(json.dumps(described | {"dimension_names": ["seed", "signal", "step"]}))
    with pytest.raises(InrzooError, match=r"its arrays as one dataset") as caught:
        open_store(path).to_xarray()
    assert "\n" not in str(caught.value)
