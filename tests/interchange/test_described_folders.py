"""Plain folders by the user's own description, pattern and list of splits; paths of another machine."""

import json
import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_writers import drawn, nef_values, x_y_grid
from safetensors.torch import save_file

from inrzoo.errors import InrzooError
from inrzoo.interchange import export_state_dicts, import_inrs
from inrzoo.store import Store, open_store

TOML = """
grid = [5, 5]
[inr]
name = "siren"
in_features = 2
out_features = 1
hidden_features = 4
hidden_layers = 1
omega_0 = 8.0
[tensors]
"weight_{i}" = "body.{i}.w"
"bias_{i}" = "body.{i}.b"
weight_2 = "head.w"
bias_2 = "head.b"
[files]
inside = "model"
transposed = true
ignored = ["epoch"]
[coords]
axis_order = "x_y"
[values]
range = [0.0, 1.0]
"""
PATTERN = "{label}/fit_{id}_{seed}.pth"
NAMES = ("kernel_net_0.linear", "kernel_net_1.linear", "output_linear")


def tensors(seed: int) -> OrderedDict[str, torch.Tensor]:
    rng, sizes = np.random.default_rng(seed), [2, 4, 4, 1]
    made = OrderedDict()
    for i, name in enumerate(("body.0", "body.1", "head")):
        made[f"{name}.b"] = torch.from_numpy(drawn(rng, sizes[i + 1]))
        made[f"{name}.w"] = torch.from_numpy(drawn(rng, sizes[i], sizes[i + 1]))
    return made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Six signals of two classes, two fits each but for one, a description and a list of splits beside them."""
    for number in range(6):
        folder = tmp_path / "set" / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        for seed in range(1 if number == 5 else 2):
            state = {"model": {**tensors(10 * number + seed), "epoch": 3}}
            torch.save(state, folder / f"fit_{number}_{seed}.pth")
    (tmp_path / "mine.toml").write_text(TOML)
    splits = {"train": ["3", "0", "1"], "val": ["2"], "test": ["4", "5"]}
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    return tmp_path


def imported(home: Path, **changes: object) -> Store:
    given = {"description": home / "mine.toml", "pattern": PATTERN, "splits": home / "splits.json", **changes}
    return open_store(import_inrs(home / "set", home / "a.zarr", **given))  # type: ignore[arg-type]


def test_a_described_folder_is_read_to_the_bit(home: Path) -> None:
    store = imported(home)
    assert store.signal_ids == ["1", "3", "0", "2", "5", "4"], "by split, and inside of it by name"
    assert store.info.split_names == ("train", "validation", "test") and store.split.tolist() == [0, 0, 0, 1, 2, 2]
    assert store.info.label_names["class"] == ("cat", "dog")
    assert store.labels["class"].tolist() == [0, 0, 1, 1, 0, 1]
    assert store.status.tolist() == [[1, 1]] * 4 + [[1, 0]] + [[1, 1]]
    for row, number in enumerate((1, 3, 0, 2, 5, 4)):
        theirs = tensors(10 * number)
        parts = store.layout.split(store.weights[row, 0, 0])
        for i, name in enumerate(("body.0", "body.1", "head")):
            assert np.array_equal(parts[f"weight_{i}"], theirs[f"{name}.w"].numpy().T)
            assert np.array_equal(parts[f"bias_{i}"], theirs[f"{name}.b"].numpy())
        field = {
            f"{ours}.{kind}": theirs[f"{name}.{short}"].numpy()
            for ours, name in zip(NAMES, ("body.0", "body.1", "head"), strict=True)
            for kind, short in (("kernel", "w"), ("bias", "b"))
        }
        rendered = store.inr(torch.from_numpy(store.weights[row, 0, 0]).double(), torch.from_numpy(x_y_grid(5, 5)))
        np.testing.assert_allclose(rendered.numpy(), nef_values("SIREN", field, x_y_grid(5, 5)), rtol=0, atol=1e-6)
    said = store.info.imported
    assert said.said_by["inr.omega_0"] == said.said_by["values.range"] == said.said_by["convention"] == "mine.toml"
    assert {*said.lists} == {"mine.toml", "splits.json"}


def test_safetensors_and_csv_with_labels(home: Path) -> None:
    shutil.rmtree(home / "set")
    (home / "set").mkdir()
    for number in range(3):
        save_file(tensors(number), home / "set" / f"{number}.safetensors")
    (home / "splits.csv").write_text("id,split,label\n2,test,7\n0,train,1\n1,train,0\n")
    store = imported(home, pattern="{id}.safetensors", splits=home / "splits.csv")
    assert store.signal_ids == ["0", "1", "2"] and store.labels["class"].tolist() == [1, 0, 7]
    assert np.array_equal(store.layout.split(store.weights[2, 0, 0])["bias_2"], tensors(2)["head.b"].numpy())


def test_a_split_in_the_pattern_needs_no_list(home: Path) -> None:
    (home / "set" / "cat").rename(home / "set" / "test")
    (home / "set" / "dog").rename(home / "set" / "train")
    store = imported(home, pattern="{split}/fit_{id}_{seed}.pth", splits=None)
    assert store.info.split_names == ("train", "test") and store.split.tolist() == [0, 0, 0, 1, 1, 1]
    assert store.info.label_names["class"] == ("unlabelled",)


@pytest.mark.parametrize(
    "change, message",
    [
        (('hidden_features = 4', 'hidden_features = 5'), r"body.0.w is float32 of shape \[2, 4\], not .* \[2, 5\]"),
        (('transposed = true', 'transposed = false'), r"body.0.w is float32 of shape \[2, 4\], not .* \[4, 2\]"),
        (('"head.w"', '"tail.w"'), "it has head.w, which .tensors. does not name"),
        (('"weight_{i}" = "body.{i}.w"\n', ''), r'does not name weight_0; add "weight_\{i\}"'),
        (('weight_2 =', 'weight_3 ='), "names weight_3, which this INR has not"),
        (('bias_2 = "head.b"', 'bias_2 = "head.w"'), "gives the key head.w to several tensors"),
        (('ignored = ["epoch"]', ''), "epoch is a int; expected a dense float32 tensor"),
        (('inside = "model"', 'inside = "nets"'), "has no table nets, which files.inside names"),
        (('inside = "model"', ''), "model is a dict; expected a dense float32 tensor"),
        (('name = "siren"', 'name = "sirene"'), "no inrs 'sirene'|sirene"),
        (('omega_0 = 8.0', 'omega = 8.0'), "omega"),
        (('in_features = 2\n', ''), "lacks in_features"),
        (('[values]\nrange = [0.0, 1.0]', ''), r"lacks the table \[values\]"),
        (('range = [0.0, 1.0]', 'range = [1.0, 0.0]'), "range"),
        (('grid = [5, 5]', 'size = [5, 5]'), "has no key 'size'"),
        (('grid = [5, 5]', ''), "pass --grid 28x28"),
        (('grid = [5, 5]', 'grid = [5]'), "take 2 coordinates"),
        (('[files]', '[files'), "is not valid TOML"),
    ],
)  # fmt: skip
def test_a_description_that_does_not_fit_is_one_line(home: Path, change: tuple[str, str], message: str) -> None:
    assert change[0] in TOML
    (home / "mine.toml").write_text(TOML.replace(*change))
    refused(home, message)


def refused(home: Path, message: str, **changes: object) -> None:
    before = sorted(home.iterdir())
    with pytest.raises(InrzooError, match=message) as error:
        imported(home, **changes)
    assert "\n" not in str(error.value)
    assert sorted(home.iterdir()) == before


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"pattern": "{id}.pth"}, "matches no file in"),
        ({"pattern": "{label}/fit.pth"}, "has no {id}"),
        ({"pattern": "{class}/fit_{id}.pth"}, "has {class}; expected {label}, {id}, {split}, {seed}"),
        ({"pattern": "{label}/fit_{id}_*.pth"}, "takes cat/fit_1_1.pth and cat/fit_1_0.pth for one fit"),
        ({"pattern": None}, "needs both --inr FILE.toml and --pattern"),
        ({"description": None}, "needs both --inr FILE.toml and --pattern"),
        ({"splits": None}, r"pass --splits FILE, or put \{split\} into --pattern"),
        ({"splits": None, "root": "a"}, "pass the list with --splits"),
        ({"convention": "dws"}, "leave one of them out"),
        ({"base": Path("a.npz")}, "--base is not for"),
        ({"split_points": (1, 2)}, "--split-points is not for"),
    ],
)
def test_options_that_do_not_fit_are_one_line(home: Path, changes: dict, message: str) -> None:
    refused(home, message, **changes)


@pytest.mark.parametrize(
    "splits, message",
    [
        ('{"train": ["0", "1", "2", "3"], "test": ["4"]}', "1 signals are in no split of .*, the first is 5"),
        ('{"train": ["0", "9"]}', "lists 9, no id or path that --pattern matches"),
        ('{"train": {"path": ["0"], "label": []}}', "does not have as many labels as paths"),
        ('{"train": {"path": ["0"], "label": ["cat"]}}', "gives 0 the label cat, its name says dog"),
        ('{"train": ["0"], "test": ["0"]}', "has 0 in test, it is in train as well"),
        ('{"train": 3}', "is no list of ids or paths"),
        ('{"train"', "is not valid JSON"),
        ("id;split\n0;train\n", "neither JSON nor CSV"),
        ("id,split\n0,\n", "line 2, has no id or no split"),
    ],
)
def test_wrong_lists_of_splits_are_one_line(home: Path, splits: str, message: str) -> None:
    (home / "splits.json").write_text(splits)
    refused(home, message)


# --- paths of another machine ----------------------------------------------------------------------------------


def test_absolute_paths_of_another_machine_are_brought_home_by_root(home: Path, inrzoo) -> None:
    theirs = "/home/somebody/data/set"
    listed = {"train": [f"{theirs}/dog/fit_0_0.pth", f"{theirs}/cat/fit_1_0.pth"], "test": []}
    listed["test"] = [f"{theirs}/{'cat' if n % 2 else 'dog'}/fit_{n}_0.pth" for n in range(2, 6)]
    (home / "splits.json").write_text(json.dumps(listed))
    refused(home, rf"the folder has dog/fit_0_0.pth: pass --root {theirs}")
    refused(home, "does not begin with --root /home/nobody", root="/home/nobody")
    words = ("import", home / "set", "--inr", home / "mine.toml", "--pattern", PATTERN, "--out", home / "a.zarr")
    code, _, err = inrzoo(*words, "--splits", home / "splits.json", "--root", theirs)
    assert code == 0, err
    assert open_store(home / "a.zarr").split.tolist() == [0, 0, 1, 1, 1, 1]


def test_an_export_with_a_prefix_is_opened_as_scalegmn_does_and_comes_back_with_root(
    stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inrzoo
) -> None:
    """ScaleGMN's LabeledINRDataset opens the listed paths from where it runs, the folder above data/."""
    store = stores("dws")
    code, _, err = inrzoo(
        *("export", store.path, "--convention", "dws", "--out", tmp_path / "data" / "mnist-inrs"),
        *("--prefix", "data/mnist-inrs", "--seed", "all"),
    )
    assert code == 0, err
    monkeypatch.chdir(tmp_path)
    splits = json.loads(next((tmp_path / "data" / "mnist-inrs").glob("*splits.json")).read_text())
    for table in splits.values():
        for path, label in zip(table["path"], table["label"], strict=True):
            state = torch.load(path, weights_only=True)
            assert next(iter(state)) == "seq.0.weight"
            assert int(Path(path).parts[-3].split("_")[-2]) == int(label)
    words = ("import", "data/mnist-inrs", "--out", "back.zarr")
    code, _, err = inrzoo(*words)
    assert code == 2 and "pass --root data/mnist-inrs" in err and err.count("\n") == 1
    assert inrzoo(*words, "--root", "./data/mnist-inrs/")[0] == 0
    made = open_store("back.zarr")
    assert np.array_equal(made.weights[:].view(np.uint32), store.weights[:].view(np.uint32))
    assert made.signal_ids == store.signal_ids
    with pytest.raises(InrzooError, match="is not allowed; expected a path such as data/mnist-inrs"):
        export_state_dicts(store.path, tmp_path / "b", "dws", prefix="../up")


def test_root_cannot_lead_out_of_the_folder(stores, tmp_path: Path) -> None:
    export_state_dicts(stores("nfn").path, tmp_path / "set", "nfn", prefix="theirs")
    file = next((tmp_path / "set").glob("*splits.json"))
    splits = json.loads(file.read_text())
    splits["train"]["path"][0] = "theirs/../../secret.pth"
    file.write_text(json.dumps(splits))
    with pytest.raises(InrzooError, match=r"names theirs/\.\./\.\./secret.pth, outside"):
        import_inrs(tmp_path / "set", tmp_path / "a.zarr", root="theirs")
    file.unlink()
    with pytest.raises(InrzooError, match="whose paths --root theirs could begin"):
        import_inrs(tmp_path / "set", tmp_path / "a.zarr", root="theirs")
