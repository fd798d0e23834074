"""Sets as other projects write them: every bit of the weights, the same functions as in plain numpy, who said what."""

import json
import math
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from foreign_writers import (
    IMAGENET,
    Functa,
    nef_folder,
    nef_values,
    shape_folder,
    shape_values,
    write_nefs,
    x_y_grid,
    zoo_folder,
    zoo_values,
)
from PIL import Image

from inrzoo.errors import InrzooError
from inrzoo.interchange import import_inrs
from inrzoo.interchange.arena_settings import DATASETS
from inrzoo.interchange.incoming import Standardised
from inrzoo.manifest import Values
from inrzoo.sources.digits import Digits
from inrzoo.store import Store, open_store
from inrzoo.targets import to_values
from inrzoo.verify import verify


def rendered(store: Store) -> np.ndarray:
    """Every INR of the first seed on the store's grid, (N, K, C)."""
    return store.inr(
        torch.from_numpy(store.weights[:, 0, 0]).double(), torch.from_numpy(store.coords()).double()
    ).numpy()


# --- fit-a-nef -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["SIREN", "MLP", "FourierNet"])
def test_fields_of_fit_a_nef_are_the_same_functions(tmp_path: Path, model: str) -> None:
    fields = nef_folder(tmp_path / "set", model, n=4)
    given = {"split_points": (3, 5), "coords": {"range": (-1.0, 2.0)}, "grid": (5, 6)}
    store = open_store(import_inrs(tmp_path / "set", tmp_path / "a.zarr", **given))
    assert store.complete
    expected = np.stack([nef_values(model, field, x_y_grid(5, 6)) for field in fields])
    np.testing.assert_allclose(rendered(store), expected, rtol=0, atol=1e-6)
    assert store.split.tolist() == [0, 0, 0, 1, 1, 2]
    assert store.labels["class"].tolist() == [0, 1, 2, 0, 1, 2]
    for weights_P, field in zip(store.weights[:, 0, 0], fields, strict=True):
        theirs = np.concatenate([tensor.reshape(-1) for tensor in field.values()])
        assert np.array_equal(np.sort(weights_P.view(np.uint32)), np.sort(theirs.view(np.uint32)))
    last = store.layout.split(store.weights[2, 0, 0])
    number = max(int(name.split("_")[1]) for name in last)
    output = "Dense_3" if model == "MLP" else "output_linear"
    assert np.array_equal(last[f"weight_{number}"], fields[2][f"{output}.kernel"].T)
    said = store.info.imported
    assert (said.format, said.convention, said.num_files) == ("HDF5", "fit_a_nef", 2)
    assert said.said_by["values.range"] == "--coords"
    if model == "SIREN":
        assert (store.inr.omega_0, said.said_by["inr.omega_0"]) == (8.0, "nef.json")


def test_cfg_json_says_set_grid_splits_seeds_and_how_images_were_standardised(tmp_path: Path) -> None:
    nef_folder(tmp_path / "set", counts=(3,))
    (tmp_path / "set" / "cfg.json").write_text(json.dumps({"task": "image", "dataset": {"name": "MNIST"}}))
    store = open_store(import_inrs(tmp_path / "set", tmp_path / "a.zarr"))
    assert store.info.grid == (28, 28)
    assert store.split.tolist() == [0, 0, 0] and store.info.split_names == ("train", "validation", "test")
    np.testing.assert_allclose(store.value_range, (-0.13066047 / 0.30810782, (1 - 0.13066047) / 0.30810782))
    assert store.info.imported.said_by["values.range"] == "cfg.json"


def test_several_seeds_of_fit_a_nef_are_seeds_of_the_store(tmp_path: Path) -> None:
    """A field's number is seed · signals + signal; a last seed may be unfinished."""
    home = tmp_path / "set"
    fields = nef_folder(home, counts=(3, 3, 2))
    for path, labels in zip(sorted(home.glob("*.hdf5")), ([0, 1, 2], [0, 1, 2], [0, 1]), strict=True):
        with h5py.File(path, "r+") as f:
            f["labels"][:] = labels
    given = {"split_points": (2, 2), "coords": {"range": (-1, 1)}, "grid": (4, 4)}
    store = open_store(import_inrs(home, tmp_path / "a.zarr", per_seed=3, **given))
    assert store.weights.shape[:2] == (3, 3)
    assert store.status.tolist() == [[1, 1, 1], [1, 1, 1], [1, 1, 0]]
    tensors = store.layout.split(store.weights[1, 2, 0])
    assert np.array_equal(tensors["bias_0"], fields[7]["kernel_net_0.linear.bias"])
    with pytest.raises(InrzooError, match="labels a signal other than another seed does; is --per-seed 4 right"):
        import_inrs(home, tmp_path / "b.zarr", per_seed=4, **given)


def test_psnrs_are_computed_when_the_images_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers run through the training and then the test part."""
    read = Digits.read

    def parts(self: Digits, path: Path | None):
        signals = read(self, path).take(np.arange(6))
        ids = [f"test/{row:05d}" if row < 2 else f"train/{row - 2:05d}" for row in range(6)]
        return type(signals)(**{**vars(signals), "ids": ids})

    monkeypatch.setattr(Digits, "read", parts)
    images = dict(Digits().read(None).values(range(6)))
    order = [2, 3, 4, 5, 0, 1]
    labels = [int(Digits().read(None).labels["digit"][row]) for row in order]
    home = tmp_path / "set"
    fields = nef_folder(home, counts=(6,), labels=False)
    write_nefs(home / "nefs_0-6.hdf5", fields, labels)
    given = {"split_points": (4, 4), "coords": {"range": (-0.5, 2.0)}}
    store = open_store(import_inrs(home, tmp_path / "a.zarr", dataset="digits", **given))
    assert store.signal_ids == ["train/00000", "train/00001", "train/00002", "train/00003", "test/00000", "test/00001"]
    for row, field in enumerate(fields):
        target = images[order[row]].reshape(-1, 1) / 255 * 2.5 - 0.5
        error = np.square(nef_values("SIREN", field, x_y_grid(8, 8)) - target).mean()
        assert store.psnr[row, 0, 0] == pytest.approx(10 * math.log10(2.5**2 / error), abs=1e-3)
    assert verify(store.path).problems == []
    write_nefs(home / "nefs_0-6.hdf5", fields, [(code + 1) % 10 for code in labels])
    with pytest.raises(InrzooError, match="these are not its images, or their numbering differs"):
        import_inrs(home, tmp_path / "b.zarr", dataset="digits", **given)


def test_one_standardised_channel_is_a_range_of_values() -> None:
    """So MNIST's images stay 8-bit numbers; only channels that differ are stored as values."""
    mnist, numbers = DATASETS["MNIST"].standardised, np.arange(256, dtype=np.uint8).reshape(1, 256, 1)
    assert mnist is not None and mnist.uniform and not Standardised(*map(tuple, IMAGENET)).uniform
    values = to_values(numbers, Values(range=mnist.value_range))
    np.testing.assert_allclose(mnist.apply_to(numbers), values, rtol=0, atol=1e-6)


# --- Implicit-Zoo ----------------------------------------------------------------------------------------------


def test_checkpoints_of_implicit_zoo(tmp_path: Path) -> None:
    states = zoo_folder(tmp_path / "run", [3, 0, 3])
    store = open_store(import_inrs(tmp_path / "run", tmp_path / "a.zarr", grid=(6, 6)))
    expected = np.stack([zoo_values(states[index, 0], x_y_grid(6, 6)) for index in range(3)])
    np.testing.assert_allclose(rendered(store), expected, rtol=0, atol=1e-6)
    for row in range(3):
        theirs = torch.cat([tensor.ravel() for tensor in states[row, 0].values()]).numpy()
        assert np.array_equal(store.weights[row, 0, 0].view(np.uint32), theirs.view(np.uint32))
    assert store.labels["class"].tolist() == [3, 0, 3]
    assert store.signal_ids == ["train/000000", "train/000001", "train/000002"]
    assert np.asarray(store.numbers["published_psnr"]).tolist() == [30.0, 31.0, 32.0]
    mean, deviation = IMAGENET
    np.testing.assert_allclose(store.value_range, ((-mean / deviation).min(), ((1 - mean) / deviation).max()))
    assert np.isnan(store.psnr).all()
    assert store.info.imported.said_by["convention"] == "the folder ckpts"


def test_parts_and_random_seeds_of_implicit_zoo(tmp_path: Path) -> None:
    states = {part: zoo_folder(tmp_path / "zoo" / part, [0, 1], seeds=2, start=10) for part in ("test", "train")}
    store = open_store(import_inrs(tmp_path / "zoo", tmp_path / "a.zarr", grid=(6, 6)))
    assert store.signal_ids == ["train/000010", "train/000011", "test/000010", "test/000011"]
    assert store.info.split_names == ("train", "test") and store.split.tolist() == [0, 0, 1, 1]
    assert store.weights.shape[1] == 2
    tensors = store.layout.split(store.weights[3, 1, 0])
    assert np.array_equal(tensors["weight_1"], states["test"][1, 1]["seq.1.weight"].numpy())


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path, np.ndarray]:
    """A manifest of three pictures in colour, numbered as training images, their file, and their numbers."""
    numbers = np.random.default_rng(5).integers(0, 256, (3, 6, 6, 3), dtype=np.uint8)
    folder = tmp_path / "pictures"
    folder.mkdir()
    cells = []
    for row, picture in enumerate(numbers):
        Image.fromarray(picture).save(folder / f"{row}.png")
        cells.append({"bytes": (folder / f"{row}.png").read_bytes(), "path": None})
        (folder / f"{row}.png").unlink()
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(cells, kind), "label": pa.array([1, 0, 1])})
    features = {"image": {"_type": "Image"}, "label": {"dtype": "int64", "_type": "Value"}}
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(meta), folder / "train-00000-of-00001.parquet")
    manifest = tmp_path / "pictures.toml"
    manifest.write_text(
        'title = "pictures"\nlicence = "CC0-1.0"\ncitation = "nobody"\nredistributable = true\n'
        '[source]\nname = "hub_images"\nrepo = "a/b"\nsplits = { train = "train" }\n[inr]\nname = "siren"\n'
    )
    return manifest, folder, numbers


def test_channels_are_standardised_each_by_its_own_before_they_are_compared(
    tmp_path: Path, pictures: tuple[Path, Path, np.ndarray]
) -> None:
    manifest, folder, numbers = pictures
    states = zoo_folder(tmp_path / "run", [1, 0, 1])
    made = import_inrs(tmp_path / "run", tmp_path / "a.zarr", dataset=str(manifest), images=folder)
    store, (mean, deviation) = open_store(made), IMAGENET
    low, high = store.value_range
    for row in range(3):
        target = (numbers[row].reshape(-1, 3) / 255 - mean) / deviation
        error = np.square(zoo_values(states[row, 0], x_y_grid(6, 6)) - target).mean()
        assert store.psnr[row, 0, 0] == pytest.approx(10 * math.log10((high - low) ** 2 / error), abs=1e-3)
        np.testing.assert_allclose(store.signals(slice(row, row + 1))[0], target, rtol=0, atol=1e-6)
    assert np.isnan(store.exact).all()
    assert verify(made).problems == []


# --- inr2vec ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mesh, convention", [(True, None), (False, "inr2vec_udf"), (False, "inr2vec_occupancy")])
def test_shapes_of_inr2vec(tmp_path: Path, mesh: bool, convention: str | None) -> None:
    made = shape_folder(tmp_path / "set", mesh)
    store = open_store(import_inrs(tmp_path / "set", tmp_path / "a.zarr", convention, grid=(3, 4, 5)))
    assert store.signal_ids == list(made), "files are in the order of their numbers"
    lines = [np.linspace(-1, 1, size) for size in (3, 4, 5)]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)
    expected = np.stack([shape_values(params, points) for params in made.values()])
    np.testing.assert_allclose(rendered(store), expected, rtol=0, atol=1e-6)
    for weights_P, params in zip(store.weights[:, 0, 0], made.values(), strict=True):
        assert np.array_equal(weights_P, np.concatenate([array.reshape(-1) for array in params]))
    assert (store.inr.hidden_features, store.inr.hidden_layers) == (5, 2)
    assert store.info.imported.convention == (convention or "inr2vec_sdf")
    assert store.info.split_names == ("train", "validation", "test")
    assert np.bincount(store.split).tolist() == [11, 2, 2]
    assert store.labels["class"].tolist()[:4] == [0, 1, 2, 0]


def test_a_cloud_of_points_and_a_size_that_fits_twice_are_asked_about(tmp_path: Path, inrzoo) -> None:
    shape_folder(tmp_path / "set", False, h=4, hidden=1)
    words = ("import", tmp_path / "set", "--out", tmp_path / "a.zarr", "--grid", "4x4x4")
    code, _, err = inrzoo(*words, "--convention", "inr2vec_udf")
    assert code == 2 and err.count("\n") == 1
    assert "41 numbers, which fit several SIRENs; pass --inr hidden_features=4 (3 matrices) or hidden_features=2" in err
    code, _, err = inrzoo(*words, "--inr", "hidden_features=4")
    assert code == 2 and err.count("\n") == 1
    assert "--convention inr2vec_udf" in err and "--convention inr2vec_occupancy" in err
    assert not (tmp_path / "a.zarr").exists()
    assert inrzoo(*words, "--inr", "hidden_features=4", "--convention", "inr2vec_udf")[0] == 0
    assert open_store(tmp_path / "a.zarr").inr.hidden_layers == 1


# --- functa ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "network",
    [
        {"depth": 3, "scale": False},
        {"depth": 3, "scale": False, "layers": (7,)},
        {"depth": 12, "scale": True, "layers": (7, 4)},  # layer_10 comes after layer_9, not after layer_1
        {"depth": 4, "scale": True, "shift": False},
    ],
)
def test_modulations_of_functa_become_latents_or_sirens_of_their_own(tmp_path: Path, network: dict) -> None:
    functa = Functa(**network)
    modulations, base, latents = functa.write(tmp_path)
    store = open_store(import_inrs(modulations, tmp_path / "a.zarr", base=base))
    expected = np.stack([functa.values(latent, 8) for latent in latents])
    np.testing.assert_allclose(rendered(store), expected, rtol=0, atol=1e-6)
    published = network == {"depth": 3, "scale": False}
    assert store.info.inr["name"] == ("latent_siren" if published else "siren")
    if published:  # by shifts of one linear map, as in every set of theirs: to the bit, and verified with their base
        np.testing.assert_array_equal(store.weights[:, 0, 0], latents)
        assert store.info.format == 3 and store.base is not None and verify(store.path).problems == []
    assert store.info.grid == (8, 8)
    assert store.signal_ids == ["train/00000", "train/00001", "train/00002", "test/00000", "test/00001"]
    assert np.asarray(store.numbers["published_psnr"]).tolist() == [30.0, 31.0, 32.0, 33.0, 34.0]
    assert store.info.label_names["class"] == ("unlabelled",)


def test_a_base_of_jax_and_ml_collections_is_read_without_either(tmp_path: Path) -> None:
    jax = pytest.importorskip("jax")
    import dill

    functa = Functa(depth=3, scale=False)
    modulations, base, latents = functa.write(tmp_path)
    params = {key: {n: jax.numpy.asarray(a) for n, a in tensors.items()} for key, tensors in functa.params.items()}
    config = dill.loads(base.read_bytes())["config"]
    base.write_bytes(dill.dumps({"params": params, "config": config}))
    assert b"_reconstruct_array" in base.read_bytes()
    store = open_store(import_inrs(modulations, tmp_path / "a.zarr", base=base))
    np.testing.assert_allclose(rendered(store)[4], functa.values(latents[4], 8), rtol=0, atol=1e-6)


def test_without_its_base_a_modulation_says_what_is_missing(tmp_path: Path) -> None:
    modulations, base, _ = Functa(depth=3, scale=False).write(tmp_path)
    with pytest.raises(InrzooError, match=r"pass it with --base, such as celeba_params_5_latents.npz"):
        import_inrs(modulations, tmp_path / "a.zarr")
    with pytest.raises(InrzooError, match="has functa's shared weights: pass it with --base"):
        import_inrs(base, tmp_path / "a.zarr")
    (tmp_path / "six").mkdir()
    other = Functa(depth=3, scale=False, dim=6).write(tmp_path / "six")[1]
    with pytest.raises(InrzooError, match=r"modulations of 5 numbers, the network in .* takes 6"):
        import_inrs(modulations, tmp_path / "a.zarr", base=other)
    assert not (tmp_path / "a.zarr").exists()
