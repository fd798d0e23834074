"""Exports, seen through modules that name and evaluate the tensors as the public readers do."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from readers import READERS
from tiny_store import small, store_bytes

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.interchange import export_state_dicts
from inrzoo.store import open_store

CONVENTIONS = list(READERS)
OMEGA = {"inr__omega_0": 30.0}
ONE_SEED = {**OMEGA, "seeds": 1}


def splits_of(folder: Path) -> dict:
    return json.loads((folder / "digits_splits.json").read_text())


def load(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)


def reader_of(store, convention):
    sizes = [2, *[store.inr.hidden_features] * (store.inr.hidden_layers + 1), 1]
    return READERS[convention](sizes)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_public_reader_sees_the_function_of_the_store_and_its_image(stores, exported, convention):
    store, folder = stores(convention), exported(convention, 1)
    module = reader_of(store, convention)
    low, high = store.value_range
    weights_NP = torch.from_numpy(store.weights[:, 1, 0]).double()
    points = module.grid(8, 8)
    np.testing.assert_allclose(store.coords(), points, rtol=0, atol=1e-6)
    rendered = store.inr(weights_NP, points.double()).numpy()  # in float64: two orders of the same products
    rows = iter(range(store.num_signals))  # a splits file lists the signals of a split in the order of the store
    for split in ("train", "val", "test"):
        for path in splits_of(folder)[split]["path"]:
            row = next(rows)
            module.load_state_dict(load(folder / path), strict=True)
            with torch.no_grad():
                image = module.double()(points.double()).numpy()
            np.testing.assert_allclose(image, rendered[row], rtol=0, atol=1e-6)
            # The grid, its order and the range are the reader's own: only the right ones give the stored error.
            target = store.signals(slice(row, row + 1))[0].astype(np.float64) / 255 * (high - low) + low
            assert np.square(image - target).mean() == pytest.approx(store.loss[row, 1, 0], rel=1e-3)
    assert next(rows, None) is None


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_keys_stand_in_reading_order_and_tensors_are_contiguous_float32(exported, convention):
    folder = exported(convention, 0)
    state = load(folder / splits_of(folder)["train"]["path"][0])
    assert list(state) == [
        key
        for pair in zip(*[[k for k in state if k.endswith(kind)] for kind in ("weight", "bias")], strict=True)
        for key in pair
    ]
    assert [state[key].ndim for key in state] == [2, 1] * (len(state) // 2)
    for tensor in state.values():
        assert tensor.dtype == torch.float32
        assert tensor.is_contiguous()
        assert tensor.untyped_storage().nbytes() == 4 * tensor.numel()  # no file drags along its neighbours


@pytest.mark.parametrize("convention", ["dws", "sitzmann"])
def test_split_script_of_dwsnets_finds_files_labels_and_parts(stores, exported, convention):
    store, folder = stores(convention), exported(convention, 0)
    found = {}
    for path in folder.glob("digits_png_*/**/*.pth"):
        relative = path.relative_to(folder)
        part = "train" if "train" in relative.as_posix() else "test"
        found[relative.as_posix()] = (part, path.parent.parent.stem.split("_")[-2])
    assert len(found) == store.num_signals
    for split, table in splits_of(folder).items():
        for path, label in zip(table["path"], table["label"], strict=True):
            assert found[path] == ("test" if split == "test" else "train", str(label))


def test_labels_and_splits_are_those_of_the_store(stores, exported):
    store, splits = stores("dws"), splits_of(exported("dws", 0))
    assert list(splits) == ["train", "val", "test"]
    for code, key in enumerate(splits):
        assert splits[key]["label"] == store.labels["digit"][store.split == code].tolist()
    assert len({path for table in splits.values() for path in table["path"]}) == store.num_signals


def test_nfn_names_files_as_its_reader_parses_them(stores, exported):
    """Base set and copies by prefix; numbers 0 … N-1 in the order of the splits; one digit of label."""
    store, folder = stores("nfn"), exported("nfn")
    for seed, prefix in enumerate(["randinit_smaller", "randinit_smaller_aug0"]):
        by_number = {}
        for path in folder.glob(f"{prefix}_[0-9]s/*.pth"):
            text = str(path.relative_to(folder))
            number = int(re.search(r"net(\d+)\.pth", text).group(1))
            by_number[number] = (int(re.search(r"_(\d)s", text).group(1)), path)
        assert sorted(by_number) == list(range(store.num_signals))
        assert [by_number[n][0] for n in sorted(by_number)] == store.labels["digit"].tolist()
        for number, (_, path) in by_number.items():
            assert torch.equal(
                torch.cat([tensor.ravel() for tensor in load(path).values()]),
                torch.from_numpy(store.weights[number, seed, 0]),
            )
    points = json.loads((folder / "inrzoo.json").read_text())["split_points"]
    assert (np.split(store.split, points)[0] == 0).all()
    assert (np.split(store.split, points)[1] == 1).all()
    assert (np.split(store.split, points)[2] == 2).all()


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_every_seed_is_listed_once(stores, exported, convention):
    store, folder = stores(convention), exported(convention)
    paths = [path for table in splits_of(folder).values() for path in table["path"]]
    assert len(paths) == len(set(paths)) == store.num_signals * store.num_seeds
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.pth")} == set(paths)


def test_two_exports_are_the_same_bytes(exported, stores, tmp_path):
    first = exported("dws")
    assert export_state_dicts(stores("dws").path, tmp_path / "again", "dws", None) == 40
    assert store_bytes(first) == store_bytes(tmp_path / "again")


@pytest.mark.parametrize(
    "convention, of, named",
    [
        (
            "dws",
            "nfn",
            [
                "inr.output_offset: 0.0 → 0.5",
                "coords.axis_order: row_col → x_y",
                "values.range: [-1.0, 1.0] → [0.0, 1.0]",
            ],
        ),
        (
            "nfn",
            "dws",
            [
                "inr.output_offset: 0.5 → 0.0",
                "coords.axis_order: x_y → row_col",
                "values.range: [0.0, 1.0] → [-1.0, 1.0]",
            ],
        ),
        ("sitzmann", "dws", ["inr.output_offset: 0.5 → 0.0", "coords.axis_order: x_y → row_col"]),
    ],
)
def test_what_a_reader_would_misinterpret_is_refused_by_name(stores, tmp_path, convention, of, named):
    with pytest.raises(InrzooError) as error:
        export_state_dicts(stores(of).path, tmp_path / "out", convention)
    assert all(key in str(error.value) for key in named)
    assert "inr.omega_0" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"inr__omega_0": 15.0}, "inr.omega_0: 15.0 → 30.0"),
        ({"inr__bias_inside": False}, "inr.bias_inside: False → True"),
        ({"inr__convention": "mwt"}, "inr.convention: mwt → sitzmann or dws"),
        ({"coords__spacing": "pixel_centres"}, "coords.spacing: pixel_centres → end_points"),
    ],
)
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_every_other_function_is_refused(tmp_path, convention, changes, named):
    build(
        small(**{**ONE_SEED, "limit": 2, "fit__steps": 1, **changes}), tmp_path / "a.zarr", in_process=True, quiet=True
    )
    with pytest.raises(InrzooError, match=re.escape(named)):
        export_state_dicts(tmp_path / "a.zarr", tmp_path / "out", convention)
    assert not (tmp_path / "out").exists()


def test_an_inr_that_is_no_siren_is_refused(tmp_path):
    build(
        manifest.load("digits", overrides={"limit": 2, "fit.steps": 1, "inr": {"name": "relu_mlp"}}),
        tmp_path / "a.zarr",
        in_process=True,
        quiet=True,
    )
    with pytest.raises(InrzooError, match="relu_mlp; nfn readers know only siren"):
        export_state_dicts(tmp_path / "a.zarr", tmp_path / "out", "nfn")


def test_one_view_must_be_chosen_and_is_the_one_written(tmp_path):
    store = tmp_path / "a.zarr"
    build(small(**ONE_SEED, fit__steps=6, fit__views=[2, 6]), store, in_process=True, quiet=True)
    with pytest.raises(InrzooError, match="has the views 2, 6"):
        export_state_dicts(store, tmp_path / "out", "nfn")
    with pytest.raises(InrzooError, match="no view of 3 steps"):
        export_state_dicts(store, tmp_path / "out", "nfn", step=3)
    assert export_state_dicts(store, tmp_path / "out", "nfn", step=2) == 6
    label = open_store(store).labels["digit"][4]
    state = load(tmp_path / "out" / f"randinit_smaller_{label}s" / "net4.pth")
    written = torch.cat([tensor.ravel() for tensor in state.values()]).numpy()
    assert np.array_equal(written, open_store(store).weights[4, 0, 0])
    assert not np.array_equal(written, open_store(store).weights[4, 0, 1])


def edit(store: Path, tmp_path: Path, change) -> Path:
    """A copy of a store with other attributes."""
    copy = tmp_path / "edited.zarr"
    shutil.copytree(store, copy)
    root = json.loads((copy / "zarr.json").read_text())
    change(root["attributes"])
    (copy / "zarr.json").write_text(json.dumps(root))
    return copy


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda a: a.update(grid=[4, 16]), "grid: .* → as many rows as columns"),
        (lambda a: a.update(grid=[64]), "grid: .* → 2 axes"),
        (lambda a: a.update(split_names=["test", "train", "validation"]), "in this order"),
        (lambda a: a.update(complete=False), "is not finished"),
        (lambda a: a.update(dataset="../digits"), "part of file names"),
    ],
)
def test_what_file_names_or_grids_cannot_hold_is_refused(stores, tmp_path, change, message):
    copy = edit(stores("nfn").path, tmp_path, change)
    with pytest.raises(InrzooError, match=message):
        export_state_dicts(copy, tmp_path / "out", "nfn")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("code, convention", [(10, "nfn"), (-1, "nfn"), (-1, "sitzmann")])
def test_class_codes_that_the_file_names_cannot_hold_are_refused(stores, tmp_path, code, convention):
    """nfn's reader takes one digit for the label: `randinit_smaller_10s` would have none."""
    copy = edit(stores(convention).path, tmp_path, lambda attributes: None)
    zarr.open_group(copy, mode="r+", use_consolidated=False)["label"][3] = code
    with pytest.raises(InrzooError, match=f"has class codes .*{code}"):
        export_state_dicts(copy, tmp_path / "out", convention)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"convention": "inr2vec"}, "no convention 'inr2vec'; there are: dws, nfn, sitzmann"),
        ({"seed": 2}, "no seed 2 in .*; there are 0 to 1, or all"),
        ({"seed": "both"}, "no seed both"),
        ({"store_path": Path("/nowhere.zarr")}, "no store at /nowhere.zarr"),
    ],
)
def test_bad_options_are_one_line(stores, tmp_path, given, message):
    arguments = {"store_path": stores("nfn").path, "out": tmp_path / "out", "convention": "nfn", **given}
    with pytest.raises(InrzooError, match=message) as error:
        export_state_dicts(**arguments)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_an_existing_out_is_left_alone(stores, tmp_path, kind):
    out = tmp_path / "out"
    {"folder": out.mkdir, "file": lambda: out.write_text("mine"), "dangling link": lambda: out.symlink_to("gone")}[
        kind
    ]()
    with pytest.raises(InrzooError, match="exists; give another --out"):
        export_state_dicts(stores("nfn").path, out, "nfn")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_export_leaves_nothing(stores, tmp_path, monkeypatch):
    written = []

    def full(*args, **kwargs):
        written.append(args)
        if len(written) > 10:
            raise OSError(28, "No space left on device")
        return save(*args, **kwargs)

    save = torch.save
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        export_state_dicts(stores("nfn").path, tmp_path / "out", "nfn")
    assert list(tmp_path.iterdir()) == []
