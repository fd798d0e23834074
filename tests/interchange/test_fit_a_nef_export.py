"""Exports for fit-a-nef and Neural Field Arena: what their readers see, and the way back."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from foreign_writers import nef_values, x_y_grid
from tiny_store import tiny

from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.interchange import export_fit_a_nef, import_inrs
from inrzoo.store import Store, open_store

MODELS = {
    "SIREN": {"inr__omega_0": 9.0, "inr__convention": "fit_a_nef", "inr__hidden_layers": 2},
    "MLP": {"inr__name": "relu_mlp"},
    "FourierNet": {"inr__name": "fourier_net"},
}


@pytest.fixture(scope="session")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Store]:
    """A finished store of each of fit-a-nef's models: 12 digits, two seeds."""
    home, made = tmp_path_factory.mktemp("fields"), {}

    def get(model: str) -> Store:
        if model not in made:
            made[model] = home / f"{model}.zarr"
            small = {"limit": 12, "source__num_validation": 200, "source__num_test": 200, "fit__steps": 4}
            settings = {**MODELS[model], "coords__axis_order": "x_y", "values__range": [-0.5, 2.0]}
            build(tiny(**small, **settings), made[model], in_process=True, quiet=True)
        return open_store(made[model])

    return get


def arena_params(path: Path, row: int) -> dict[str, np.ndarray]:
    """One field as neural_dataset reads it: param_vector_to_list of params by param_config."""
    with h5py.File(path, "r") as f:
        structure, vector = json.loads(f["param_config"][0].decode("utf-8")), f["params"][row]
    params, start = {}, 0
    for name, shape in structure:
        end = start + np.prod(shape)
        params[name] = vector[start:end].reshape(shape)
        start = end
    assert start == len(vector)
    return params


@pytest.mark.parametrize("model", MODELS)
def test_the_arena_reads_the_functions_of_the_store(fields, tmp_path: Path, model: str) -> None:
    store = fields(model)
    assert export_fit_a_nef(store.path, tmp_path / "out") == 24
    assert sorted(path.name for path in (tmp_path / "out").glob("*.hdf5")) == ["nefs_0-12.hdf5", "nefs_12-24.hdf5"]
    settings = json.loads((tmp_path / "out" / "nef.json").read_text())
    assert settings["name"] == model
    for row, seed in ((0, 0), (7, 1)):
        params = arena_params(tmp_path / "out" / f"nefs_{12 * seed}-{12 * seed + 12}.hdf5", row)
        rendered = store.inr(torch.from_numpy(store.weights[row, seed, 0]).double(), torch.from_numpy(x_y_grid(8, 8)))
        omega_0 = settings["params"].get("omega_0", 0.0)
        np.testing.assert_allclose(nef_values(model, params, x_y_grid(8, 8), omega_0), rendered, rtol=0, atol=1e-9)
        np.testing.assert_allclose(store.coords(), x_y_grid(8, 8), rtol=0, atol=1e-7)
    with h5py.File(tmp_path / "out" / "nefs_0-12.hdf5") as f:
        assert f["labels"][:].tolist() == next(iter(store.labels.values())).tolist()
        assert f["params"].dtype == np.float32
    counts = {"SIREN": ("num_layers", 4), "MLP": ("num_layers", 3), "FourierNet": ("num_filters", 3)}
    key, count = counts[model]
    assert settings["params"][key] == count


@pytest.mark.parametrize("model", MODELS)
def test_an_export_for_fit_a_nef_comes_back_as_the_store(fields, tmp_path: Path, inrzoo, model: str) -> None:
    store = fields(model)
    code, _, err = inrzoo("export", store.path, "--format", "fit-a-nef", "--out", tmp_path / "out")
    assert code == 0, err
    code, _, err = inrzoo("import", tmp_path / "out", "--out", tmp_path / "back.zarr", "--dataset", "digits")
    assert code == 0, err
    made = open_store(tmp_path / "back.zarr")
    assert np.array_equal(made.weights[:].view(np.uint32), store.weights[:].view(np.uint32))
    for key in ("dataset", "inr", "layout", "grid", "label_columns", "label_names", "split_names", "snapshots"):
        assert getattr(made.info, key) == getattr(store.info, key), key
    for key in ("coords", "values", "title", "licence", "citation", "init"):
        assert getattr(made.info.manifest, key) == getattr(store.info.manifest, key), key
    assert made.signal_ids == store.signal_ids and np.array_equal(made.split, store.split)
    assert {key: codes.tolist() for key, codes in made.labels.items()} == {
        key: codes.tolist() for key, codes in store.labels.items()
    }
    np.testing.assert_allclose(made.psnr, store.psnr, rtol=0, atol=1e-3)
    assert made.info.imported.exported_from == store.info.fingerprint


def test_one_seed_is_one_file_that_begins_with_the_first_field(fields, tmp_path: Path) -> None:
    store = fields("MLP")
    assert export_fit_a_nef(store.path, tmp_path / "out", 1) == 12
    made = open_store(import_inrs(tmp_path / "out", tmp_path / "a.zarr"))
    assert np.array_equal(made.weights[:, 0], store.weights[:, 1])
    assert made.info.imported.copies == (1,)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda said: said["inr"].update(omega_0=10.0), "its fields are .* inrzoo.json says"),
        (lambda said: said["labels"]["digit"].__setitem__(0, 77), "are not those of its inrzoo.json"),
        (lambda said: said.update(value_range=[1.0]), "value_range = .* is not allowed"),
        (lambda said: said.update(value_range=[2.0, 1.0]), "range"),
        (lambda said: said.update(split_points=[3]), "contradicts itself: split_points"),
        (lambda said: said.update(grid=[8]), "take 2 coordinates"),
    ],
)
def test_a_wrong_inrzoo_json_is_refused(fields, tmp_path: Path, change, message: str) -> None:
    export_fit_a_nef(fields("SIREN").path, tmp_path / "out")
    said = json.loads((tmp_path / "out" / "inrzoo.json").read_text())
    change(said)
    (tmp_path / "out" / "inrzoo.json").write_text(json.dumps(said))
    with pytest.raises(InrzooError, match=message) as error:
        import_inrs(tmp_path / "out", tmp_path / "a.zarr")
    assert "\n" not in str(error.value) and not (tmp_path / "a.zarr").exists()


def test_inrs_that_fit_a_nef_has_not_are_refused(fields, stores, tmp_path: Path, inrzoo) -> None:
    code, _, err = inrzoo("export", stores("dws").path, "--format", "fit-a-nef", "--out", tmp_path / "out")
    assert code == 2 and "inr.output_offset: 0.5 → 0" in err and err.count("\n") == 1
    with pytest.raises(InrzooError, match=r"coords.axis_order: row_col → x_y"):
        export_fit_a_nef(stores("nfn").path, tmp_path / "out")
    with pytest.raises(InrzooError, match="no seed 5"):
        export_fit_a_nef(fields("MLP").path, tmp_path / "out", 5)
    code, _, err = inrzoo(
        "export", fields("MLP").path, "--format", "parquet", "--prefix", "a", "--out", tmp_path / "out"
    )
    assert code == 2 and "takes no --prefix" in err
    assert list(tmp_path.iterdir()) == []
