"""The board as the Hub reads it: its own parser gives back every row, and no row is written to a wrong place."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

from inrzoo.errors import InrzooError
from inrzoo.leaderboard import BenchmarkTask, Result, benchmark_file, hub_files, read_results, results_file
from inrzoo.leaderboard.running import file_name

COMMIT = "0123456789" * 4
TASK = BenchmarkTask(
    name="tiny",
    title="Digits: weights of tiny INRs",
    build={"dataset": "digits"},
    content_sha256="7" * 64,
    train="classify",
    measure="accuracy",
    rule="Training split alone: nothing else.",
)
ROW = Result(
    task="tiny",
    content_sha256="7" * 64,
    measure="accuracy",
    encoder={"name": "flat_mlp", "hidden_features": 8},
    reads="weights",
    code_sha256="1" * 64,
    command="inrzoo leaderboard run tiny --encoder flat_mlp --set 'steps=4'",
    seeds=[0, 1, 2],
    scores=[50.0, 51.0, 52.504],
    mean=51.168,
    interval=3.12,
    inrs=2,
    training_inrs=3,
    steps=4,
    parameters=5,
    multiply_adds=6,
    cpu_seconds=[1.0],
    environment={"torch": "2"},
)


def parsed(content: bytes) -> list:
    return parse_eval_result_entries(yaml.safe_load(content))


def test_a_row_comes_back_from_the_parser_of_the_hub():
    one = replace(ROW, seeds=[0], interval=None, reads="function")
    first, second = parsed(results_file([ROW, one], f"ada/digits@{COMMIT}"))
    assert (first.dataset_id, first.dataset_revision, first.task_id) == ("ada/digits", COMMIT, "tiny")
    assert first.value == 51.17
    assert first.notes == f"accuracy, mean of 3 training seeds ± 3.12; reads the weights; {ROW.command}"
    assert second.notes == f"accuracy, one training seed; reads the function; {ROW.command}"
    assert parsed(results_file([ROW], "ada/digits"))[0].dataset_revision is None


def test_a_benchmark_declares_its_tasks_and_their_splits():
    other = replace(TASK, name="tiny_probe", measure="linear probe", split="held out")
    table = yaml.safe_load(benchmark_file([TASK, other]))
    assert table.keys() == {"name", "description", "evaluation_framework", "tasks"}
    assert table["name"] == TASK.title and table["evaluation_framework"] == "inrzoo"
    assert table["tasks"] == [
        {"id": "tiny", "config": "default", "split": "test"},
        {"id": "tiny_probe", "config": "default", "split": "held_out"},
    ]
    assert "tiny: Digits: weights of tiny INRs; accuracy of test. Training split alone" in table["description"]
    assert "tiny_probe: " in table["description"] and "linear probe of held out" in table["description"]


def test_every_row_has_a_file_of_its_model_and_every_dataset_one():
    pushed = replace(ROW, model="bob/reader", encoder={"name": "flat_mlp"})
    elsewhere = replace(TASK, name="other", content_sha256="8" * 64)
    rows = [ROW, pushed, replace(ROW, task="other", content_sha256="8" * 64), replace(ROW, task="third")]
    files = hub_files(rows, [(TASK, "ada/digits"), (elsewhere, f"ada/letters@{COMMIT}")])
    assert files.keys() == {
        "datasets/ada/digits/eval.yaml",
        "datasets/ada/letters/eval.yaml",
        "models/bob/reader/.eval_results/tiny.yaml",
        f"models/{file_name(ROW)}/.eval_results/tiny.yaml",
        f"models/{file_name(ROW)}/.eval_results/other.yaml",
    }
    entries = {path: parsed(content) for path, content in files.items() if path.startswith("models")}
    assert {path: (len(each), each[0].dataset_id) for path, each in entries.items()} == {
        path: (1, "ada/letters" if "other" in path else "ada/digits") for path in entries
    }
    together = hub_files([ROW], [(TASK, "ada/digits"), (elsewhere, "ada/digits")])
    assert [task["id"] for task in yaml.safe_load(together["datasets/ada/digits/eval.yaml"])["tasks"]] == [
        "tiny",
        "other",
    ]


def test_a_row_of_another_store_is_refused():
    with pytest.raises(InrzooError, match=r"the row flat_mlp, hidden_features=8 of tiny was measured on another store"):
        hub_files([replace(ROW, content_sha256="8" * 64)], [(TASK, "ada/digits")])


@pytest.mark.parametrize("dataset", ["digits", "../digits", "ada/digits@v1", "ada/digits@abc", "ada/../x", "hf://a/b"])
def test_a_dataset_that_cannot_be_one_is_refused(dataset):
    with pytest.raises(InrzooError, match="is not a dataset on the Hub; expected USER/NAME"):
        hub_files([], [(TASK, dataset)])


@pytest.mark.parametrize("model", ["../../etc/x", "x", "/etc/passwd", "a/b/c", "a/..", 3])
def test_a_model_that_cannot_be_one_is_refused(tmp_path, model):
    path = tmp_path / "row.json"
    ROW.write(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "model": model}))
    with pytest.raises(InrzooError, match=r"row\.json: model"):
        Result.read(path)


def test_no_row_leaves_the_folder():
    for name in ("..", "../../x", "/x"):
        files = hub_files([replace(ROW, encoder={"name": name})], [(TASK, "ada/digits")])
        assert len(files) == 2 and all(".." not in Path(path).parts for path in files)
        assert not any(Path(path).is_absolute() for path in files)


def test_rows_of_before_models_were_recorded_are_read(tmp_path):
    path = tmp_path / "row.json"
    replace(ROW, model="ada/reader").write(path)
    assert Result.read(path).model == "ada/reader"
    table = json.loads(path.read_text())
    del table["model"]
    path.write_text(json.dumps(table))
    assert Result.read(path) == ROW


def test_the_command_writes_the_board_of_this_repository(inrzoo, tmp_path):
    """The rows are committed, so every one of a named task has its file, and others are named."""
    board = Path(__file__).parents[2] / "benchmarks" / "leaderboard"
    words = ["leaderboard", "show", "--board", board, "--format", "hub", "--out", tmp_path / "hub"]
    code, out, _ = inrzoo(*words, "--dataset", "mnist_random=ada/mnist")
    rows = [row for row in read_results(board) if row.task == "mnist_random"]
    written = sorted((tmp_path / "hub" / "models").rglob("*.yaml"))
    assert len(written) == len(rows) > 3 and all(path.parent.name == ".eval_results" for path in written)
    values = sorted(parsed(path.read_bytes())[0].value for path in written)
    assert values == sorted(round(row.mean, 2) for row in rows)
    assert (tmp_path / "hub" / "datasets" / "ada" / "mnist" / "eval.yaml").is_file()
    assert "left out, without a --dataset: rows of " in out and "mnist_shared" in out
    assert code == 0


@pytest.mark.parametrize(
    "words, message",
    [
        (["--format", "hub", "--dataset", "mnist_random=a/b"], "--out FOLDER must name a folder"),
        (["--format", "hub", "--out", "x"], "--dataset tiny=USER/NAME"),
        (["--format", "hub", "--out", "x", "--dataset", "mnist_random"], "--dataset mnist_random is not allowed"),
        (["--format", "hub", "--out", "x", "--dataset", "mnist_randm=a/b"], "did you mean 'mnist_random'"),
        (["--format", "hub", "--out", "x", "--dataset", "mnist_random=b"], "b is not a dataset on the Hub"),
        (["--dataset", "mnist_random=a/b"], "--dataset mnist_random=a/b is for --format hub"),
    ],
)
def test_words_that_do_not_fit_are_refused_in_one_line(inrzoo, tmp_path, monkeypatch, words, message):
    ROW.write(tmp_path / "leaderboard" / "tiny" / "flat_mlp.json")
    monkeypatch.chdir(tmp_path)
    code, out, error = inrzoo("leaderboard", "show", *words)
    assert (code, out) == (2, "") and message in error and len(error.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["leaderboard"]
