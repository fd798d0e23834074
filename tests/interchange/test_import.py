"""Imports: of our own exports, where nothing is lost; of folders laid out as the public sets are; of bad folders."""

import json
import pickle
import re
import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from readers import READERS

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.interchange import export_state_dicts, import_state_dicts
from inrzoo.sources.digits import Digits
from inrzoo.store import open_store
from inrzoo.verify import verify

CONVENTIONS = list(READERS)


def splits_file(folder: Path) -> Path:
    return next(folder.glob("*splits.json"))


def first_file(folder: Path) -> Path:
    return folder / json.loads(splits_file(folder).read_text())["train"]["path"][0]


def state_dict(convention: str, seed: int, sizes=(2, 4, 4, 1)) -> OrderedDict:
    torch.manual_seed(seed)
    module = READERS[convention](list(sizes))
    return OrderedDict((key, torch.rand_like(value) - 0.5) for key, value in module.state_dict().items())


def flat(state: dict) -> np.ndarray:
    return torch.cat([tensor.ravel() for tensor in state.values()]).numpy()


# --- round trips -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("images", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_import_of_an_export_is_the_store(stores, exported, tmp_path, convention, images):
    store = stores(convention)
    given = {"dataset": "digits"} if images else {}
    made = open_store(import_state_dicts(exported(convention), tmp_path / "back.zarr", **given))
    assert made.complete
    assert np.array_equal(made.weights[:].view(np.uint32), store.weights[:].view(np.uint32))
    assert made.signal_ids == store.signal_ids
    assert np.array_equal(made.split, store.split)
    assert {key: codes.tolist() for key, codes in made.labels.items()} == {
        key: codes.tolist() for key, codes in store.labels.items()
    }
    for key in ("dataset", "inr", "layout", "grid", "label_columns", "label_names", "split_names", "snapshots"):
        assert getattr(made.info, key) == getattr(store.info, key), key
    for key in ("coords", "values", "title", "licence", "citation", "init"):
        assert getattr(made.info.manifest, key) == getattr(store.info.manifest, key), key
    for name, array in store.stats.items():
        if images or name != "count":  # without an image a fit cannot be called diverged
            assert made.stats[name].shape == array.shape
    if images:
        np.testing.assert_allclose(made.psnr, store.psnr, rtol=0, atol=1e-3)
        np.testing.assert_allclose(made.loss, store.loss, rtol=1e-4)
        diverged = store.info.status_names.index("diverged")
        assert np.array_equal(made.status == diverged, store.status == diverged)
        assert np.array_equal(made.signals(slice(None)), store.signals(slice(None)))
    else:
        assert np.isnan(made.psnr).all()
        assert np.isnan(made.loss).all()
        assert (made.status == 1).all()
        assert not made.has_signals


@pytest.mark.parametrize(
    "convention", ["dws", *(pytest.param(name, marks=pytest.mark.slow) for name in ("nfn", "sitzmann"))]
)
def test_functions_survive_two_journeys(stores, exported, tmp_path, convention):
    import_state_dicts(exported(convention), tmp_path / "back.zarr")
    export_state_dicts(tmp_path / "back.zarr", tmp_path / "second", convention, "all")
    made = open_store(import_state_dicts(tmp_path / "second", tmp_path / "again.zarr"))
    points = torch.rand(50, 2, generator=torch.Generator().manual_seed(0)) * 4 - 2
    there = stores(convention).render(slice(None), slice(None), 0, coords=points)
    torch.testing.assert_close(made.render(slice(None), slice(None), 0, coords=points), there, rtol=0, atol=1e-6)
    for file in exported(convention, 0).rglob("*splits.json"):
        first, second = (json.loads(path.read_text()) for path in (file, splits_file(tmp_path / "second")))
        assert {key: table["label"][: len(first[key]["label"])] for key, table in second.items()} == {
            key: table["label"] for key, table in first.items()
        }


def test_verify_accepts_an_import_with_images(exported, tmp_path):
    made = import_state_dicts(exported("dws"), tmp_path / "back.zarr", dataset="digits")
    findings = verify(made)
    assert findings.problems == []
    assert findings.num_inrs == 40


def test_an_import_says_where_it_comes_from_and_nothing_volatile(stores, exported, tmp_path):
    folder = exported("nfn")
    shutil.copytree(folder, tmp_path / "elsewhere")
    first = open_store(import_state_dicts(folder, tmp_path / "a.zarr"))
    second = open_store(import_state_dicts(tmp_path / "elsewhere", tmp_path / "b.zarr"))
    assert first.info == second.info
    said = first.info.imported
    assert (said.convention, said.num_files, said.copies) == ("nfn", 40, (0, 1))
    assert said.exported_from == stores("nfn").info.fingerprint
    other = tmp_path / "other"
    export_state_dicts(stores("nfn").path, other, "nfn", 1)
    third = open_store(import_state_dicts(other, tmp_path / "c.zarr"))
    assert third.info.imported.sha256 != said.sha256
    assert third.info.imported.copies == (1,)
    assert third.info.fingerprint != first.info.fingerprint


# --- folders as others made them -------------------------------------------------------------------------------


def dws_folder(home: Path, per_split: int = 3) -> dict[str, OrderedDict]:
    """A DWSNets MNIST folder in miniature: run folders, labels as text, splits beside them."""
    splits, states = {}, {}
    for code, split in enumerate(("test", "train", "val")):  # the public script writes val last
        listed = {"path": [], "label": []}
        for number in range(per_split):
            part, label = ("testing" if split == "test" else "training"), (number + code) % 3
            path = f"mnist-inrs/mnist_png_{part}_{label}_{10 * code + number}/checkpoints/model_final.pth"
            states[path] = state_dict("dws", 10 * code + number)
            (home / path).parent.mkdir(parents=True)
            torch.save(states[path], home / path)
            listed["path"].append(path)
            listed["label"].append(str(label))
        splits[split] = listed
    (home / "mnist_splits.json").write_text(json.dumps(splits))
    return states


def test_a_folder_of_dwsnets(tmp_path):
    states = dws_folder(tmp_path / "dataset")
    store = open_store(
        import_state_dicts(tmp_path / "dataset", tmp_path / "a.zarr", "dws", grid=(28, 28), name="mnist")
    )
    assert store.info.split_names == ("train", "validation", "test")
    assert store.split.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert store.labels["class"].tolist() == [1, 2, 0, 2, 0, 1, 0, 1, 2]
    assert [states[path] is not None for path in store.signal_ids] == [True] * 9
    for row, path in enumerate(store.signal_ids):
        assert np.array_equal(store.weights[row, 0, 0], flat(states[path]))
        module = READERS["dws"]([2, 4, 4, 1])
        module.load_state_dict(states[path], strict=True)
        points = module.grid(28, 28)
        np.testing.assert_allclose(store.coords(), points, rtol=0, atol=1e-6)
        with torch.no_grad():
            image = module.double()(points.double())
        ours = store.inr(torch.from_numpy(store.weights[row, 0, 0]).double(), points.double())
        torch.testing.assert_close(ours, image, rtol=0, atol=1e-6)
    assert store.info.inr["convention"] == "dws"
    assert store.info.manifest.coords.axis_order == "x_y"
    assert store.value_range == (0, 1)
    assert store.steps.tolist() == [[[0]]] * 9


def test_absolute_paths_inside_the_folder_are_read(tmp_path):
    home = tmp_path / "dataset"
    dws_folder(home)
    file = splits_file(home)
    file.write_text(file.read_text().replace("mnist-inrs/", f"{home}/mnist-inrs/"))
    assert open_store(import_state_dicts(home, tmp_path / "a.zarr", "dws", grid=(28, 28))).num_signals == 9


def nfn_folder(home: Path, count: int = 6, copies: int = 2, copied: int = 4) -> dict[tuple[int, int], OrderedDict]:
    """An nfn folder in miniature: no splits file, copies of the first `copied` signals alone."""
    states = {}
    for copy in range(copies + 1):
        for number in range(count if copy == 0 else copied):
            prefix = "randinit_smaller" + (f"_aug{copy - 1}" if copy else "")
            path = home / f"{prefix}_{number % 3}s" / f"net{number}.pth"
            path.parent.mkdir(parents=True, exist_ok=True)
            states[number, copy] = state_dict("nfn", 100 * copy + number, (2, 4, 4, 3))
            torch.save(states[number, copy], path)
    return states


def test_a_folder_of_nfn_with_copies_of_the_training_part(tmp_path):
    states = nfn_folder(tmp_path / "siren_wts")
    store = open_store(
        import_state_dicts(tmp_path / "siren_wts", tmp_path / "a.zarr", "nfn", grid=(32, 32), split_points=(4, 5))
    )
    assert store.weights.shape == (6, 3, 1, 2 * 4 + 4 + 4 * 4 + 4 + 4 * 3 + 3)
    assert store.split.tolist() == [0, 0, 0, 0, 1, 2]
    assert store.labels["class"].tolist() == [0, 1, 2, 0, 1, 2]
    for number in range(6):
        for seed in range(3):
            if (number, seed) in states:
                assert np.array_equal(store.weights[number, seed, 0], flat(states[number, seed]))
                assert store.status[number, seed] == 1
            else:  # the copy does not exist: pending, as in a store that is being built
                assert np.isnan(store.weights[number, seed]).all()
                assert store.status[number, seed] == 0
    assert (store.stats["count"] == 12).all()
    # What is not there is not exported either, and its absence survives the journey.
    assert export_state_dicts(store.path, tmp_path / "out", "nfn", "all") == 14
    again = open_store(import_state_dicts(tmp_path / "out", tmp_path / "b.zarr"))
    assert np.array_equal(again.weights[:], store.weights[:], equal_nan=True)
    assert np.array_equal(again.status, store.status)
    with pytest.raises(InrzooError, match="lacks the INRs of 2 signals"):
        export_state_dicts(store.path, tmp_path / "none", "nfn", 1)


def test_numbers_find_the_images_and_labels_are_compared(tmp_path, monkeypatch):
    """Without inrzoo.json an image is found by its number: within the part for dws, through both parts for nfn."""
    monkeypatch.setattr(Digits, "read", numbered(Digits.read))
    states = nfn_folder(tmp_path / "siren_wts", copies=0)
    labels = Digits().read(None).labels["digit"]
    home = tmp_path / "ours"
    for number in range(6):
        code = labels[THROUGH[number]]
        (home / f"randinit_smaller_{code}s").mkdir(parents=True, exist_ok=True)
        state = state_dict("nfn", number)
        torch.save(state, home / f"randinit_smaller_{code}s" / f"net{number}.pth")
        states[number, 0] = state
    store = open_store(import_state_dicts(home, tmp_path / "a.zarr", dataset="digits", split_points=(4, 5)))
    assert store.signal_ids == [f"train/{row:05d}" for row in range(5)] + ["test/00000"]
    images = dict(Digits().read(None).values(range(10)))
    for number in range(6):
        assert np.array_equal(store.signals(slice(number, number + 1))[0], images[THROUGH[number]].reshape(64, 1))
    assert verify(store.path).problems == []
    wrong = next(home.glob("*s/net3.pth"))
    label = int(wrong.parent.name[-2])
    moved = home / f"randinit_smaller_{(label + 1) % 10}s"
    moved.mkdir(exist_ok=True)
    shutil.move(wrong, moved / "net3.pth")
    with pytest.raises(InrzooError, match=r"net3.pth has label .* image train/00003 of dataset digits has"):
        import_state_dicts(home, tmp_path / "b.zarr", dataset="digits", split_points=(4, 5))
    assert not (tmp_path / "b.zarr").exists()


THROUGH = [1, 3, 5, 7, 9, 0]
"""In the source below the odd digits are the training part, the even ones the test part."""


def numbered(read):
    """Digits as a source of two parts, test images first and every other one."""

    def wrapped(self, path):
        signals = read(self, path).take(np.arange(10))
        ids = [f"{'train' if row % 2 else 'test'}/{row // 2:05d}" for row in range(10)]
        return type(signals)(**{**vars(signals), "ids": ids})

    return wrapped


def test_an_inr_that_is_not_finite_has_diverged(exported, tmp_path):
    """One that is worse than its signal's mean has a low PSNR: where it began, nobody knows."""
    folder = exported("nfn", 0)
    path = first_file(folder)
    state = torch.load(path, weights_only=True)
    last = [key for key in state if key.endswith("bias")][-1]
    state[last] += 5
    torch.save(state, path)
    store = open_store(import_state_dicts(folder, tmp_path / "a.zarr", dataset="digits"))
    assert store.status[0, 0] == store.info.status_names.index("ok") and store.psnr[0, 0, -1] < 0
    state[last][:] = torch.inf
    torch.save(state, path)
    store = open_store(import_state_dicts(folder, tmp_path / "b.zarr"))
    assert store.status[0, 0] == store.info.status_names.index("diverged")
    assert (store.status[1:, 0] == 1).all()
    assert np.isfinite(store.stats["mean"]).all()
    with pytest.raises(InrzooError, match=r"signal 0 of seed 0 .* not finite"):
        export_state_dicts(store.path, tmp_path / "out", "nfn")


def test_a_label_inside_a_file_is_compared(tmp_path):
    """As in DWSNets' Fashion-MNIST set, whose files hold their label beside the tensors."""
    home = tmp_path / "dataset"
    (home / "fmnist_inrs" / "train").mkdir(parents=True)
    path = home / "fmnist_inrs" / "train" / "model_20814.pth"
    (home / "fmnist_splits.json").write_text(
        json.dumps({"train": {"path": ["fmnist_inrs/train/model_20814.pth"], "label": [4]}})
    )
    torch.save({**state_dict("dws", 0), "label": 4}, path)
    store = open_store(import_state_dicts(home, tmp_path / "a.zarr", "dws", grid=(28, 28)))
    assert store.labels["class"].tolist() == [4]
    torch.save({**state_dict("dws", 0), "label": 5}, path)
    with pytest.raises(InrzooError, match=r"model_20814.pth has label 5 inside, 4 in the splits"):
        import_state_dicts(home, tmp_path / "b.zarr", "dws", grid=(28, 28))


# --- bad folders -----------------------------------------------------------------------------------------------


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.write_text, (self.target, "boom")


def refused(folder: Path, tmp_path: Path, message: str, **given) -> None:
    """The import fails with one line that matches, and leaves nothing behind."""
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InrzooError, match=message) as error:
        import_state_dicts(folder, tmp_path / "bad.zarr", **given)
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("protocol", ["zip", "legacy", "bare pickle"])
def test_nothing_is_unpickled(exported, tmp_path, protocol):
    folder = exported("nfn", 0)
    victim, bomb = sorted(folder.rglob("*.pth"))[7], Bomb(tmp_path / "boom")
    if protocol == "bare pickle":
        victim.write_bytes(pickle.dumps({"net.0.linear.weight": bomb}))
    else:
        torch.save({"net.0.linear.weight": bomb}, victim, _use_new_zipfile_serialization=protocol == "zip")
    refused(folder, tmp_path, f"{victim.relative_to(folder)} is not a plain state dict and was not unpickled")
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "cannot be read as a state dict"),
        (b"PK\x03\x04 no zip", "cannot be read as a state dict|not a plain state dict"),
        ([1, 2], "holds a list, not a state dict"),
        ({0: torch.zeros(1)}, "holds a dict, not a state dict"),
        ({"net.0.linear.weight": 3.0}, "is a float; expected a dense float32 tensor"),
        (
            {"net.0.linear.weight": torch.zeros(2, dtype=torch.float64)},
            "is a torch.float64 .* expected a dense float32",
        ),
        ({"a": torch.zeros(1).expand(10**9)}, "declares more numbers than it holds"),
        ({}, "its keys are of no convention|has shape none"),
    ],
)
@pytest.mark.parametrize("which", ["first", "a later one"])
def test_a_file_that_is_no_state_dict_is_named(exported, tmp_path, content, message, which):
    folder = exported("nfn", 0)
    paths = json.loads(splits_file(folder).read_text())["train"]["path"]
    victim = paths[0 if which == "first" else 9]
    if isinstance(content, bytes):
        (folder / victim).write_bytes(content)
    else:
        torch.save(content, folder / victim)
    refused(folder, tmp_path, f"^{victim}.*({message})")


def test_a_truncated_file_is_named(exported, tmp_path):
    folder = exported("nfn", 0)
    victim = sorted(folder.rglob("*.pth"))[5]
    victim.write_bytes(victim.read_bytes()[:-200])
    refused(folder, tmp_path, f"^{victim.relative_to(folder)} cannot be read")


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda state: state.update({"net.1.linear.bias": torch.zeros(9)}),
            r"net.1.linear.bias has shape \[9\], in the first file \[8\]",
        ),
        (lambda state: state.pop("net.1.linear.bias"), r"net.1.linear.bias has shape none"),
        (
            lambda state: state.update({"net.3.bias": torch.zeros(1)}),
            r"net.3.bias has shape \[1\], in the first file none",
        ),
    ],
)
def test_the_first_file_of_another_shape_is_named(exported, tmp_path, change, message):
    folder = exported("nfn", 0)
    paths = json.loads(splits_file(folder).read_text())["train"]["path"]
    for victim in (paths[6], paths[11]):
        state = torch.load(folder / victim, weights_only=True)
        change(state)
        torch.save(state, folder / victim)
    refused(folder, tmp_path, f"^{paths[6]}: {message}")


def test_first_files_that_are_no_siren_of_one_width_are_refused(tmp_path):
    home = tmp_path / "set"
    for sizes in [(2, 4, 5, 1), (2, 4, 1)]:
        shutil.rmtree(home, ignore_errors=True)
        dws_folder(home)
        state = state_dict("dws", 0, sizes)
        if len(sizes) == 3:
            state["seq.1.weight"] = torch.zeros(1, 7)
        torch.save(state, first_file(home))
        refused(home, tmp_path, "its tensors are not those of a SIREN", grid=(28, 28))


def test_a_file_that_the_splits_name_must_be_there(exported, tmp_path):
    folder = exported("dws", 0)
    victim = sorted(folder.rglob("*.pth"))[3]
    victim.unlink()
    refused(folder, tmp_path, f"the splits name {victim.relative_to(folder)}, which is not in")


def edit_splits(folder: Path, change) -> None:
    splits = json.loads(splits_file(folder).read_text())
    changed = change(splits)
    splits_file(folder).write_text(json.dumps(changed if isinstance(changed, dict | list) else splits))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s["train"]["path"].__setitem__(0, "../../secret.pth"), "names ../../secret.pth, outside"),
        (lambda s: s["train"]["path"].__setitem__(0, "/etc/passwd"), "names /etc/passwd, outside"),
        (
            lambda s: s["train"]["path"].__setitem__(0, s["train"]["path"][1]),
            "another file of that signal",
        ),
        (
            lambda s: s["test"]["path"].__setitem__(0, s["train"]["path"][1]),
            "is in train with label 2, another file .* in test",
        ),
        (lambda s: [each.__setitem__(0, each[1]) for each in s["train"].values()] and None, "lists .* twice"),
        (lambda s: s["train"]["label"].pop(), "train is not .* with lists of one length"),
        (lambda s: s["train"]["label"].__setitem__(0, -1), "with the label -1; expected a path and a class code"),
        (lambda s: s["train"]["label"].__setitem__(0, True), "with the label True"),
        (lambda s: {"train": ["a.pth"]}, "train is not"),
        (lambda s: ["a.pth"], "holds a list; expected a table of splits"),
        (lambda s: {}, "lists no files"),
    ],
)
def test_contradictory_splits_are_refused(tmp_path, change, message):
    dws_folder(tmp_path / "set")
    edit_splits(tmp_path / "set", change)
    refused(tmp_path / "set", tmp_path, message, grid=(28, 28))


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    dws_folder(tmp_path / "set")
    victim = first_file(tmp_path / "set")
    victim.rename(tmp_path / "outside.pth")
    victim.symlink_to(tmp_path / "outside.pth")
    refused(tmp_path / "set", tmp_path, "is a link to outside", grid=(28, 28))


@pytest.mark.parametrize(
    "given, message",
    [
        ({"convention": "inr2vec"}, "no convention 'inr2vec'; there are: dws, nfn, sitzmann"),
        ({"convention": "nfn"}, "its keys are those of dws or implicit_zoo, not of nfn"),
        ({"grid": None}, "do not contain the size of an image; pass --grid 28x28"),
        ({"grid": (28,)}, "take 2 coordinates and return 1 channels; the images are 28 with 1"),
        ({"dataset": "digits"}, "the grid is contradictory|has no image|number its images"),
        ({"dataset": "no_such"}, "no dataset 'no_such'"),
        ({"images": Path("somewhere")}, "--images somewhere needs --dataset"),
        ({"split_points": (1, 2)}, "defines the splits; leave --split-points out"),
    ],
)
def test_bad_options_are_one_line(tmp_path, given, message):
    dws_folder(tmp_path / "set")
    refused(tmp_path / "set", tmp_path, message, **{"grid": (28, 28), "convention": "dws", **given})


@pytest.mark.parametrize("points", [None, (4,), (5, 4)])
def test_nfn_folders_need_split_points(tmp_path, points):
    nfn_folder(tmp_path / "set")
    refused(tmp_path / "set", tmp_path, "with --split-points", grid=(32, 32), split_points=points)


def test_folders_that_are_none_are_refused(tmp_path):
    refused(tmp_path / "gone", tmp_path, "no folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", tmp_path, r"has neither a \*splits.json nor folders like")
    dws_folder(tmp_path / "set")
    shutil.copy(splits_file(tmp_path / "set"), tmp_path / "set" / "other_splits.json")
    refused(tmp_path / "set", tmp_path, "several splits: mnist_splits.json, other_splits.json", grid=(28, 28))
    nfn_folder(tmp_path / "nfn")
    shutil.copytree(tmp_path / "nfn" / "randinit_smaller_1s", tmp_path / "nfn" / "other_1s")
    refused(tmp_path / "nfn", tmp_path, "several sets: other, randinit_smaller", grid=(32, 32), split_points=(4, 5))


def test_an_existing_store_is_left_alone(exported, tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "mine").write_text("kept")
    with pytest.raises(InrzooError, match="exists; give another --out"):
        import_state_dicts(exported("nfn", 0), tmp_path / "a.zarr")
    assert (tmp_path / "a.zarr" / "mine").read_text() == "kept"


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.update(format=2), "not a description of format 1"),
        (lambda s: s.pop("grid"), "not a description of format 1"),
        (lambda s: s.update(grid="8x8"), "grid = '8x8' is not allowed"),
        (lambda s: s.update(grid=[8]), r"contradictory: inrzoo.json \[8\], --dataset \[8, 8\]"),
        (lambda s: s["signal_ids"].pop(), "contradicts itself"),
        (lambda s: s.update(convention="dws"), "says dws, the files are nfn"),
        (lambda s: s["inr"].update(hidden_features=9), "another INR than the files .hidden_features: 8 → 9"),
        (lambda s: s["inr"].update(omega_0=15.0), "omega_0: 30.0 → 15.0"),
        (lambda s: s["labels"]["digit"].__setitem__(0, 77), "has label .*, .* says 77"),
        (lambda s: s["paths"].__setitem__(0, "gone.pth"), "does not know it"),
        (lambda s: s.update(split_names=["train", "test"]), "does not know the split"),
        (lambda s: s["signal_ids"].__setitem__(0, "digits/9999"), "has no image with the id digits/9999"),
    ],
)
def test_a_wrong_inrzoo_json_is_refused(exported, tmp_path, change, message):
    folder = exported("nfn", 0)
    said = json.loads((folder / "inrzoo.json").read_text())
    change(said)
    (folder / "inrzoo.json").write_text(json.dumps(said))
    refused(folder, tmp_path, message, dataset="digits")


def test_a_full_disk_is_said_before_anything_is_read(exported, tmp_path, monkeypatch):
    monkeypatch.setattr("inrzoo.interchange.ingest.free_bytes", lambda path: 1000)
    refused(exported("nfn", 0), tmp_path, r"needs .*, the disk has 1.0 kB free")


def test_two_imports_do_not_write_into_each_other(exported, tmp_path):
    """The first one's files under way, beside the new store, stay as they are."""
    out, folder, other = tmp_path / "b.zarr", exported("dws", 0), exported("nfn", 0)

    def second(done, total):
        with pytest.raises(InrzooError, match="another process is writing to"):
            import_state_dicts(other, out)

    made = open_store(import_state_dicts(folder, out, on_file=second))
    alone = open_store(import_state_dicts(folder, tmp_path / "alone.zarr"))
    assert np.array_equal(made.weights[:], alone.weights[:])


def test_an_interrupted_import_leaves_nothing(exported, tmp_path):
    folder = exported("nfn", 0)

    def stop(done, total):
        if done == 10:
            raise KeyboardInterrupt

    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        import_state_dicts(folder, tmp_path / "a.zarr", on_file=stop)
    assert sorted(tmp_path.iterdir()) == before


def test_the_inr_of_an_import_is_made_by_the_registry(exported, tmp_path):
    made = open_store(import_state_dicts(exported("sitzmann", 0), tmp_path / "a.zarr"))
    assert made.inr == registry.make("inrs", made.info.inr)
    assert re.fullmatch(r"[0-9a-f]{64}", made.info.imported.sha256)
