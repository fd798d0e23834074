"""`inrzoo train --config` reads what `--save-config` writes, and the command line goes before the file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inrzoo import registry
from inrzoo.tasks.training.options import make_task
from inrzoo.tasks.training.run_file import read_run_file, write_run_file
from inrzoo.typecheck import to_toml, toml_value

CommandLine = Callable[..., tuple[int, str, str]]
WORDS = (
    "--encoder",
    "flat_mlp",
    "--set",
    "encoder.dropout=0.1",
    "--batch-size",
    8,
    "--steps",
    4,
    "--validate-every",
    2,
)


def test_a_saved_file_trains_the_same_run(finished: Path, tmp_path: Path, inrzoo: CommandLine) -> None:
    file, run = tmp_path / "run.toml", tmp_path / "run"
    words = (*WORDS, "--augment", "rotate=15", "--augment", "noise=0.01", "--lr", "2e-3", "--device", "cpu")
    code, _, err = inrzoo("train", "classify", finished, *words, "--out", run, "--save-config", file)
    assert code == 0, err
    again, saved = tmp_path / "again", tmp_path / "again.toml"
    code, _, err = inrzoo("train", "classify", "--config", file, "--out", again, "--save-config", saved)
    assert code == 0, err
    assert (run / "best.safetensors").read_bytes() == (again / "best.safetensors").read_bytes()
    assert saved.read_text() == file.read_text().replace(str(run), str(again))
    before = (run / "last.safetensors").read_bytes()
    code, out, err = inrzoo("train", "classify", "--config", file)  # the file names the store and the run
    assert code == 0 and f"run      {run}: 4 steps" in out, err
    assert (run / "last.safetensors").read_bytes() == before


def test_the_command_line_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inrzoo: CommandLine
) -> None:
    trained: list[tuple[Any, ...]] = []
    monkeypatch.setattr("inrzoo.api.train", lambda *args, **words: trained.append((*args, words)) or 1 / 0)
    file = tmp_path / "run.toml"
    file.write_text(
        'store = "a.zarr"\nout = "of_file"\ndevice = "cuda"\nsteps = 7\nbatch_size = 3\n'
        'augment = ["rotate=15"]\n[encoder]\nname = "flat_mlp"\ndropout = 0.5\n'
    )
    words = ("--steps", 9, "--device", "auto", "--set", "encoder.hidden_features=16")
    with pytest.raises(ZeroDivisionError):
        inrzoo("train", "classify", "b.zarr", "--config", file, *words)
    task, store, run = trained[0]
    assert store == "b.zarr" and run["out"] == "of_file" and run["device"] == "auto"
    assert task.steps == 9 and task.batch_size == 3 and task.augment == ({"name": "rotate", "degrees": 15},)
    assert task.encoder == {"name": "flat_mlp", "dropout": 0.5, "hidden_features": 16}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("stesp = 3", "--config FILE has no keyword 'stesp' (did you mean 'steps'?); there are: task, store, out, "),
        ("steps = 'x'", "steps = 'x' is not allowed; expected a whole number"),
        ("steps = ", "--config FILE is not valid TOML: "),
        ("task = 'few_shot'", "--config FILE has the options of the task few_shot, not of classify"),
        ("out = 3", "out = 3 is not allowed; expected a string"),
        ("steps = 3", "STORE is missing: "),
        (None, "--config FILE cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_does_not_fit_is_one_line(
    content: str | None, message: str, tmp_path: Path, inrzoo: CommandLine
) -> None:
    file = tmp_path / "run.toml"
    if content is not None:
        file.write_text(content)
    store = () if content == "steps = 3" else ("none.zarr",)
    code, out, err = inrzoo("train", "classify", *store, "--config", file)
    assert (code, out) == (2, "") and len(err.splitlines()) == 1
    assert message.replace("FILE", str(file)) in err


def test_a_run_that_cannot_be_leaves_the_file_as_it_was(tmp_path: Path, inrzoo: CommandLine) -> None:
    file = tmp_path / "run.toml"
    file.write_text("old")
    assert inrzoo("train", "classify", "a.zarr", "--steps", -1, "--save-config", file)[0] == 2
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]
    missing = tmp_path / "no" / "run.toml"
    code, _, err = inrzoo("train", "classify", "a.zarr", "--save-config", missing)
    assert code == 2 and f"--save-config {missing}: there is no folder {missing.parent}" in err


@pytest.mark.parametrize("name", registry.names("tasks"))
def test_every_task_can_be_saved(name: str, tmp_path: Path) -> None:
    task = make_task(name, {}, {})
    write_run_file(tmp_path / "run.toml", task, {"store": 'a"\\\x7f\n.zarr', "out": None})
    table = read_run_file(tmp_path / "run.toml", name)
    assert table.pop("store") == 'a"\\\x7f\n.zarr' and make_task(name, table, {}) == task


@pytest.mark.parametrize("value", [{"a b": [1, 2.5e-7, {"c": "é\n"}], "d": {}}, float("inf"), [], True, "ω₀"])
def test_toml_that_is_written_is_read(value: object) -> None:
    assert toml_value(to_toml(value)) == value
