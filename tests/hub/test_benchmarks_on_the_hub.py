"""Benchmarks on the Hub: a pinned store declares one, a run of the leaderboard scores in it, and neither by mistake."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from client import Client
from huggingface_hub import parse_eval_result_entries
from server import Fault, Hub

import inrzoo
from inrzoo.leaderboard import RESULT, Result, content_sha256, read_results, run
from inrzoo.store import open_store
from inrzoo.tasks.trained_encoders import TENSORS

MODEL = "models/ada/encoder"
FIELDS: dict[str, Any] = {"steps": 2, "validate_every": 1, "batch_size": 2, "warmup": 0, "encoder.hidden_features": 8}
COMMIT = "ab" * 20


@pytest.fixture(scope="session")
def task(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark task of a user's own."""
    path = tmp_path_factory.mktemp("tasks") / "tiny_digits.toml"
    lines = ['title = "Digits"', f'content_sha256 = "{content_sha256(open_store(finished))}"', 'train = "classify"']
    lines += ['measure = "accuracy"', 'rule = "Training split alone."', '[build]\ndataset = "digits"']
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def made(task: Path, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the leaderboard with two seeds."""
    folder = tmp_path_factory.mktemp("leaderboard") / "run"
    run(task, "flat_mlp", finished, folder, seeds=2, settings=FIELDS, quiet=True)
    return folder


@pytest.fixture
def scored(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "scored")


def entries(content: bytes) -> list[Any]:
    return parse_eval_result_entries(yaml.safe_load(content))


def test_a_run_of_the_leaderboard_brings_its_row(
    hub: Hub, client: Client, scored: Path, finished: Path, task: Path, tmp_path: Path
) -> None:
    done = client.inrzoo("push", scored, "ada/encoder", "--dataset", f"ada/digits@{COMMIT}")
    assert done.code == 0 and "row      .eval_results/tiny_digits.yaml" in done.out, done.err
    row, tree = Result.read(scored / RESULT), hub.tree(MODEL)
    [entry] = entries(tree[".eval_results/tiny_digits.yaml"])
    assert (entry.dataset_id, entry.dataset_revision, entry.task_id) == ("ada/digits", COMMIT, "tiny_digits")
    assert entry.value == round(row.mean, 2) and "mean of 2 training seeds" in entry.notes
    assert tree[TENSORS] == inrzoo.load_encoder(scored / "seed-0").files()[TENSORS]
    card = tree["README.md"].decode()
    section = card.partition("## Leaderboard\n")[2].partition("\n## ")[0]
    assert f"{row.mean:.2f}" in section and row.content_sha256 in section and "first seed" in section
    assert all(f"{score:.2f}" in section for score in row.scores)
    # The row names the model from then on, on the board, too.
    assert row.model == "ada/encoder"
    board = tmp_path / "board"
    words = ["leaderboard", "submit", scored, "--task", task, "--store", finished, "--board", board]
    assert client.inrzoo(*words).code == 0
    assert read_results(board) == [row]
    commits = len(hub.repos[MODEL].commits)
    again = json.loads(client.inrzoo("push", scored, "ada/encoder", "--dataset", f"ada/digits@{COMMIT}", "--json").out)
    assert again["changed"] is False and again["eval_results"] == ".eval_results/tiny_digits.yaml"
    assert len(hub.repos[MODEL].commits) == commits


@pytest.mark.slow
def test_the_dataset_of_a_run_that_read_the_hub_is_known(
    pushed: Hub, client: Client, task: Path, tmp_path: Path
) -> None:
    words = ["leaderboard", "run", task, "--store", "ada/tiny", "--encoder", "flat_mlp", "--seeds", 1]
    settings = [word for key, value in FIELDS.items() for word in ("--set", f"{key}={value}")]
    done = client.inrzoo(*words, *settings, "--out", tmp_path / "run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert client.inrzoo("push", tmp_path / "run", "ada/encoder").code == 0
    [entry] = entries(pushed.tree(MODEL)[".eval_results/tiny_digits.yaml"])
    assert (entry.dataset_id, entry.dataset_revision) == ("ada/tiny", pushed.repos["ada/tiny"].refs["main"])


def test_a_row_without_a_dataset_on_the_hub_stands_in_the_card_alone(hub: Hub, client: Client, scored: Path) -> None:
    done = client.inrzoo("push", scored, "ada/encoder")
    assert done.code == 0 and "row      only in the card" in done.out, done.err
    assert not [path for path in hub.tree(MODEL) if path.startswith(".eval_results")]
    assert "## Leaderboard" in hub.tree(MODEL)["README.md"].decode()


def test_a_push_that_fails_changes_no_row(hub: Hub, client: Client, scored: Path) -> None:
    before = (scored / RESULT).read_bytes()
    hub.faults = [Fault("POST /api/models/ada/encoder/commit", times=10**6, status=403)]
    done = client.inrzoo("push", scored, "ada/encoder", "--dataset", "ada/digits")
    assert done.code == 2 and len(done.err.splitlines()) == 1 and (scored / RESULT).read_bytes() == before


def test_a_pinned_store_declares_its_benchmark_beside_the_version(
    hub: Hub, client: Client, finished: Path, task: Path
) -> None:
    done = client.inrzoo("push", finished, "ada/tiny", "--benchmark", task)
    assert done.code == 0 and f"{hub.endpoint}/datasets/ada/tiny/blob/main/eval.yaml: a benchmark" in done.out, done.err
    table = yaml.safe_load(hub.tree("ada/tiny")["eval.yaml"])
    assert table["name"] == "Digits" and table["evaluation_framework"] == "inrzoo"
    assert table["tasks"] == [{"id": "tiny_digits", "config": "default", "split": "test"}]
    # The configuration and the split are those of the card, which `datasets` reads.
    header = yaml.safe_load(hub.tree("ada/tiny")["README.md"].decode().split("---\n")[1])
    assert header["configs"][0]["config_name"] == "default"
    assert "test" in {files["split"] for files in header["configs"][0]["data_files"]}
    assert "eval.yaml" not in hub.tree("ada/tiny", "v1")
    commits = len(hub.repos["ada/tiny"].commits)
    again = json.loads(client.inrzoo("push", finished, "ada/tiny", "--benchmark", task, "--json").out)
    assert again["changed"] is False and again["benchmark"].endswith("blob/main/eval.yaml")
    assert len(hub.repos["ada/tiny"].commits) == commits
    assert client.inrzoo("push", finished, "ada/tiny").code == 0 and "eval.yaml" in hub.tree("ada/tiny")


def test_a_benchmark_that_the_hub_refuses_leaves_the_version(
    hub: Hub, client: Client, finished: Path, task: Path
) -> None:
    hub.frameworks -= {"inrzoo"}
    done = client.inrzoo("push", finished, "ada/tiny", "--benchmark", task)
    assert done.code == 2 and len(done.err.splitlines()) == 1
    assert "the data of ada/tiny are published, and the Hub refused eval.yaml" in done.err
    assert "framework inrzoo" in done.err
    assert "v1" in hub.repos["ada/tiny"].tags and "eval.yaml" not in hub.tree("ada/tiny")


def test_what_does_not_fit_is_refused_before_anything_is_sent(
    hub: Hub, client: Client, finished: Path, scored: Path, task: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(task.read_text().replace(content_sha256(open_store(finished)), "0" * 64))
    training, name = scored / "seed-0", "ada/tiny"
    said = {
        ("push", finished, name, "--benchmark", other): "is not the store of other: its content has sha256",
        ("push", finished, name, "--benchmark", "mnist_randm"): "did you mean 'mnist_random'",
        ("push", finished, name, "--benchmark", task, "--create-pr"): "--benchmark is of a version",
        ("push", finished, name, "--dataset", "ada/x"): "--dataset ada/x is for a run of the leaderboard",
        ("push", training, name, "--dataset", "ada/x"): f"is for a run of the leaderboard; {training} has no",
        ("push", scored, name, "--benchmark", task): "--benchmark cannot be used with the run",
        ("push", scored, name, "--dataset", "x"): "x is not a dataset on the Hub; expected USER/NAME",
    }
    for words, line in said.items():
        done = client.inrzoo(*words)
        assert done.code == 2 and line in done.err and len(done.err.splitlines()) == 1, done
    assert hub.repos == {}
