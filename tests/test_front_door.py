"""`import inrzoo` offers the functions behind the command line, with its names and defaults."""

import dataclasses
import inspect
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import inrzoo
from inrzoo import api, cli, loaders, registry
from inrzoo.addresses import open_store
from inrzoo.errors import InrzooError
from inrzoo.loaders.options import StreamKeywords
from inrzoo.manifest import load as read_manifest
from inrzoo.store import Store
from inrzoo.store.store_cache import StoreCache
from inrzoo.tasks.training.options import options

ROOT = Path(__file__).parents[1]
ONLY_FOR_THE_TERMINAL = {"planned", "nodes", "as_json", "help", "config", "save_config"}
ONLY_FOR_PYTHON = {"quiet", "fields"}


def signature(function):
    """Parameter -> default; parameters without one -> None, as click says it."""
    parameters = inspect.signature(function).parameters
    return {
        name: None if parameter.default is parameter.empty else parameter.default
        for name, parameter in parameters.items()
        if name not in ONLY_FOR_PYTHON
    }


def click_options(command, leave_out=frozenset()):
    """Parameter -> default, as the function gets it that is called for a command; nothing twice is the empty table."""
    found = {}
    for parameter in command.params:
        if parameter.name in ONLY_FOR_THE_TERMINAL | leave_out:
            continue
        default = parameter.get_default(click.Context(command))
        unset = default is None or parameter.multiple or not isinstance(default, bool | int | float | str)
        found[parameter.name] = None if unset else default
    return found


def test_build_has_the_names_and_defaults_of_its_command():
    assert signature(inrzoo.build) == click_options(cli.cli.commands["build"])
    for name in ("merge", "subset", "convert"):
        assert signature(getattr(inrzoo, name)).keys() == click_options(cli.cli.commands[name]).keys()


def test_evaluate_has_the_names_and_defaults_of_its_command():
    assert signature(inrzoo.evaluate) == click_options(cli.cli.commands["evaluate"])


@pytest.mark.parametrize("task", registry.names("tasks"))
def test_train_has_the_names_and_defaults_of_its_commands(task):
    fields = {option.field for option in options(registry.find("tasks", task))}
    command = cli.cli.commands["train"].get_command(click.Context(cli.cli), task)
    ours = signature(inrzoo.train)
    del ours["task"]
    theirs = click_options(command, fields)
    assert {**theirs, "source": None} == ours
    assert fields <= {parameter.name for parameter in command.params}


def test_load_is_one_function_and_its_types_name_its_keywords():
    assert inrzoo.load is loaders.load and inrzoo.open_store is open_store and inrzoo.build is api.build
    named = set(inspect.signature(inrzoo.load).parameters) - {"path", "streaming"}
    assert named == set(StreamKeywords.__annotations__)
    assert not any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(inrzoo.load).parameters.values()
    )


def test_load_has_the_defaults_of_what_it_calls():
    ours = inspect.signature(inrzoo.load).parameters
    for function, differing in (
        (loaders.WeightDataset.__init__, set()),
        (open_store, set()),
        (Store.select, {"status", "split", "step"}),
        (loaders.WeightStream.__init__, {"batch_size", "shards_at_once", "drop_uneven", "prefetch"}),
    ):
        for name, parameter in inspect.signature(function).parameters.items():
            if name in ours and name not in differing | {"path"}:
                assert parameter.default == ours[name].default, (function, name)
    assert {name: p.default for name, p in inspect.signature(open_store).parameters.items() if name != "path"} == {
        name: p.default for name, p in inspect.signature(StoreCache).parameters.items() if name != "url"
    }


@pytest.mark.parametrize(
    "call, nearest, among",
    [
        (lambda path: inrzoo.load(path, slit="train"), "did you mean 'split'?", "min_psnr"),
        (lambda path: inrzoo.load(path, batchsize=3), "did you mean 'batch_size'?", "world"),
        (lambda path: inrzoo.open_store(path, retry=3), "did you mean 'retries'?", "storage_options"),
        (lambda path: open_store(path).select(min_psn=3), "did you mean 'min_psnr'?", "max_out_of_band"),
        (lambda path: api.build("digits", sed=3), "did you mean 'seeds'?", "anti_alias"),
        (lambda path: inrzoo.evaluate("run", path, splt="test"), "did you mean 'split'?", "device"),
        (lambda path: inrzoo.train("few-shot", path, shot_s=3), "did you mean 'shot", "patience"),
        (lambda path: inrzoo.load(path, zzz=1), "'zzz'; there are:", "split"),
        (
            lambda path: loaders.WeightDataset([open_store(path)], conditions={"min_snr": 3}),
            "did you mean 'min_psnr'?",
            "status",
        ),
    ],
)
def test_an_unknown_keyword_is_answered_with_the_nearest_and_with_all(finished, call, nearest, among):
    with pytest.raises(InrzooError) as caught:
        call(finished)
    assert isinstance(caught.value, TypeError) and "\n" not in str(caught.value)
    assert nearest in str(caught.value) and among in str(caught.value)


def test_dir_shows_the_public_names_before_anything_is_imported():
    program = (
        "import sys, inrzoo; print(set(inrzoo.__all__) <= set(dir(inrzoo)), set(inrzoo.__all__) <= set(vars(inrzoo)),"
        " 'numpy' in sys.modules, 'inrzoo.api' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["True", "False", "False", "False"]
    for name in inrzoo.__all__:
        assert hasattr(inrzoo, name)
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        inrzoo.fly  # noqa: B018


def test_a_dataset_is_a_name_a_file_or_a_manifest(tmp_path, monkeypatch):
    """All three ask for the same manifest, with the same overrides."""
    monkeypatch.chdir(tmp_path)
    shipped = next(
        path for folder in (ROOT / "manifests", ROOT / "inrzoo" / "manifests") for path in folder.glob("digits.toml")
    )
    (tmp_path / "digits.toml").write_text(shipped.read_text())
    asked = dict.fromkeys(
        (
            "preset",
            "recipe",
            "seeds",
            "views",
            "inr",
            "engine",
            "products",
            "steps",
            "lr",
            "stop_psnr",
            "init",
            "weights",
        )
    )
    asked |= {"compress": None, "fitter": None, "tto": None, "anti_alias": 0.5, "limit": 9, "out": None}
    asked |= {"views": (10, 20), "settings": {"inr.omega_0": 12.0}}
    requests = [
        api.build_request(dataset, **asked)
        for dataset in ("digits", tmp_path / "digits.toml", "digits.toml", read_manifest("digits"))
    ]
    assert requests.count(requests[0]) == 4
    made = requests[0].manifest
    assert (made.limit, made.fit.views, made.fit.steps, made.antialias.weight) == (9, (10, 20), 20, 0.5)
    assert made.inr["omega_0"] == 12.0 and requests[0].out == Path("digits.zarr")
    with pytest.raises(InrzooError, match="cannot be applied"):
        api.build_request(read_manifest("digits"), **{**asked, "preset": "dws"})


def test_build_train_and_evaluate_are_what_the_commands_do(tmp_path, monkeypatch, inrzoo):
    """One store and one run by function, one by command: the same files."""
    from tiny_store import store_bytes

    monkeypatch.chdir(tmp_path)
    settings = {"fit.engine": "reference", "inr.hidden_features": 8}
    report = api.build("digits", limit=200, steps=20, settings=settings, out="a.zarr", in_process=True, quiet=True)
    words = ["--limit", 200, "--steps", 20, "--out", "b.zarr", "--in-process", "--set", "inr.hidden_features=8"]
    assert inrzoo("build", "digits", *words, "--set", "fit.engine=reference")[0] == 0
    assert report.num_inrs == 200 and store_bytes(Path("a.zarr")) == store_bytes(Path("b.zarr"))

    run = api.train("classify", "a.zarr", out="run", quiet=True, encoder="flat_mlp", batch_size=8, steps=4)
    words = ["--encoder", "flat_mlp", "--batch-size", 8, "--steps", 4, "--out", "other"]
    assert inrzoo("train", "classify", "a.zarr", *words)[0] == 0
    assert Path("run/best.safetensors").read_bytes() == Path("other/best.safetensors").read_bytes()
    measured = api.evaluate(run.folder, "a.zarr")
    code, out, _ = inrzoo("evaluate", "other", "a.zarr", "--json")
    import json

    assert code == 0 and json.loads(out) == [dataclasses.asdict(one) for one in measured]


SCRIPT = """
from pathlib import Path
from typing import assert_type

import inrzoo
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from inrzoo.loaders import WeightBatch, WeightDataset, WeightStream
from inrzoo.store import Store
from inrzoo.weights import WeightLayout

stream = inrzoo.load("a.zarr", split="train", streaming=True, shuffle=True, batch_size=16, min_psnr=30.0)
assert_type(stream, WeightStream[WeightBatch])
for batch in stream:
    assert_type(batch, WeightBatch)
    assert_type(batch.weights, Tensor)
    assert_type(batch.labels, dict[str, Tensor])
    assert_type(batch.to("cpu"), WeightBatch)
dataset = inrzoo.load(["a.zarr", Path("b.zarr")], seeds=[0, 1], views=40, normalise="per_tensor")
assert_type(dataset, WeightDataset)
assert_type(dataset[[0, 1]], WeightBatch)
assert_type(dataset.layout, WeightLayout)

def either(streaming: bool) -> WeightDataset | WeightStream[WeightBatch]:
    return inrzoo.load("a.zarr", streaming=streaming)

store = inrzoo.open_store("https://example.org/a.zarr", retries=2)
assert_type(store, Store)
assert_type(store.psnr, NDArray[np.float32])
assert_type(store.num_signals, int)
assert_type(store.labels, dict[str, NDArray[np.int64]])
report = inrzoo.build("digits", views=[10, 20], anti_alias="projection", out=Path("a.zarr"), workers="auto")
assert_type(report.num_inrs, int)
run = inrzoo.train("classify", "a.zarr", steps=5)
assert_type(run.score, float)
for measurement in inrzoo.evaluate(run.folder, "a.zarr", settings={"test_ways": (5,)}):
    assert_type(measurement.mean, float)

inrzoo.load("a.zarr", slit="train")  # type: ignore[call-overload]
inrzoo.load("a.zarr", batch_size=3)  # type: ignore[call-overload]
inrzoo.load("a.zarr", streaming=True, batch_size="3")  # type: ignore[call-overload]
inrzoo.open_store("a.zarr", retries="2")  # type: ignore[arg-type]
inrzoo.build("digits", sed=3)  # type: ignore[call-arg]
"""


@pytest.mark.slow
def test_a_users_script_is_strictly_typed(tmp_path):
    """Every `type: ignore` in it must be needed: strict mypy reports those that are not."""
    assert (ROOT / "inrzoo" / "py.typed").is_file()
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--follow-imports=silent",
            "--cache-dir",
            ROOT / ".mypy_cache",
            "script.py",
        ],
        env={**os.environ, "MYPYPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
