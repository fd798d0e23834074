"""A row is the same in pandas, in Parquet, in `datasets` and in Ray Data; what the columns are is said once."""

import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest
from tiny_store import set_attributes, tiny

from inrzoo import load
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.interchange import export_parquet
from inrzoo.store import Store, grow, open_store, row

NAMES = ["signal", "signal_id", "label", "split", "seed", "step", "psnr", "steps", "status", "weights"]


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of two seeds and two snapshots, several shards a seed."""
    path = tmp_path_factory.mktemp("views") / "tiny.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inrzoo.store.blocks.SHARD_BYTES", 6720)
        build(tiny(fit__views=[5, 10]), path, in_process=True, quiet=True)
    return open_store(path)


def same(ours: pandas.DataFrame, theirs: pandas.DataFrame) -> None:
    """Compare rows, whatever their order; categories as the values that they stand for."""
    assert [*ours] == [*theirs] == NAMES

    def plain(frame: pandas.DataFrame) -> pandas.DataFrame:
        codes = frame.label.cat.codes.astype("int64") if frame.label.dtype == "category" else frame.label
        texts = {name: frame[name].astype("str") for name in ("signal_id", "split", "status")}
        ordered = frame.assign(label=codes, **texts).sort_values(["seed", "signal", "step"], ignore_index=True)
        return ordered.drop(columns="weights")

    pandas.testing.assert_frame_equal(plain(ours), plain(theirs))
    by_row = [np.stack(frame.sort_values(["seed", "signal", "step"]).weights) for frame in (ours, theirs)]
    np.testing.assert_array_equal(*by_row)


def test_pandas_parquet_and_datasets_have_the_same_rows(views: Store, tmp_path: Path) -> None:
    frame = views.to_pandas()
    export_parquet(Path(views.path), tmp_path / "out", images=False)
    same(frame, pandas.concat([pandas.read_parquet(path) for path in sorted((tmp_path / "out").iterdir())]))
    every = load(views.path, views=[5, 10], status=["ok", "early stop", "diverged"])
    same(frame, every.to_pandas())
    rows = every.to_datasets()
    assert rows.column_names == NAMES and rows.features["label"].names == list(views.info.label_names["digit"])
    same(frame, rows.with_format("pandas")[:])


def test_rows_are_in_the_order_of_the_shards(views: Store) -> None:
    frame = views.to_pandas()
    assert len(frame) == 48 * 2 * 2
    assert all(frame[name].dtype == "category" for name in ("label", "split", "status"))
    where = frame.signal, frame.seed, np.searchsorted(views.snapshots, frame.step)
    assert np.lexsort((frame.step, frame.signal, frame.seed)).tolist() == [*range(len(frame))]
    np.testing.assert_array_equal(np.stack(frame.weights), views.weights[:][where])
    np.testing.assert_array_equal(frame.psnr, views.psnr[where])
    np.testing.assert_array_equal(frame.label.cat.codes, views.labels["digit"][where[0]])
    means = frame[frame.step == 10].groupby("label", observed=True).psnr.mean()
    third = (views.labels["digit"] == 3)[:, None] & np.ones((1, 2), bool)
    assert means["3"] == pytest.approx(views.psnr[third][:, 1].mean())


def test_normalised_weights_are_those_of_the_loader(views: Store) -> None:
    for kind in ("auto", "per_parameter", "per_tensor"):
        options = {"views": [5, 10], "status": ["ok", "early stop", "diverged"]}
        expected = load(views.path, normalise=kind, **options)[:].weights.numpy()
        np.testing.assert_array_equal(np.stack(views.to_pandas(normalise=kind).weights), expected)
        raw = load(views.path, **options)
        for rows in (raw.to_pandas(normalise=kind), raw.to_datasets(normalise=kind).with_format("numpy")[:]):
            np.testing.assert_array_equal(np.stack(rows["weights"]), expected)
    with pytest.raises(InrzooError, match="normalise = 'mean' is not known; there are: auto"):
        views.to_pandas(normalise="mean")


def test_without_weights_none_are_read(views: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(views.weights), "gather", None)
    assert [*views.to_pandas(weights=False)] == NAMES[:-1]


def test_pending_inrs_are_no_rows(views: Store, tmp_path: Path) -> None:
    shutil.copytree(views.path, tmp_path / "half.zarr")
    grow(tmp_path / "half.zarr", 3, None)
    frame = open_store(tmp_path / "half.zarr").to_pandas(weights=False)
    assert {*frame.seed} == {0, 1} and "pending" not in {*frame.status}


def test_codes_without_a_name_of_their_own_are_numbers(views: Store, tmp_path: Path) -> None:
    shutil.copytree(views.path, tmp_path / "twice.zarr")
    set_attributes(tmp_path / "twice.zarr", label_names={"digit": ["0"] * 10})
    store = open_store(tmp_path / "twice.zarr")
    assert {column.name: column.kind for column in row.columns([store])}["label"] == "int64"
    np.testing.assert_array_equal(store.to_pandas(weights=False).label[:24], store.labels["digit"].repeat(2)[:24])
