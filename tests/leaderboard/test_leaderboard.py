"""The board: runs repeat to the bit, honest answers count, and planted leaks are refused in one line.

Encoders are planted in `planted_encoders`, as a user's own would be.
"""

import inspect
import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from planted_encoders import FEW, Mean, Thief
from tiny_store import tiny
from torch import nn

from inrzoo import manifest, open_store, registry
from inrzoo.coords import grid
from inrzoo.encoders import Domain
from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import Siren
from inrzoo.leaderboard import (
    Evaluator,
    Result,
    as_html,
    as_markdown,
    content_sha256,
    find,
    names,
    plan,
    read_results,
    run,
    submit,
)
from inrzoo.leaderboard.answering import SECOND_PASS
from inrzoo.leaderboard.result import multiply_adds
from inrzoo.leaderboard.running import RESULT
from inrzoo.loaders import load


def test_a_run_is_the_same_again_and_its_row_says_what_was_done(finished, definition, tmp_path):
    settings = {**FEW, "encoder.hidden_features": 8}
    first = run(definition, "layer_statistics", finished, tmp_path / "a", seeds=2, settings=settings, quiet=True)
    second = run(definition, "layer_statistics", finished, tmp_path / "b", seeds=2, settings=settings, quiet=True)
    assert replace(first, cpu_seconds=[]) == replace(second, cpu_seconds=[])
    again = run(definition, "layer_statistics", finished, tmp_path / "a", seeds=2, settings=settings, quiet=True)
    assert again == first == Result.read(tmp_path / "a" / RESULT)
    assert first.mean == pytest.approx(np.mean(first.scores))
    assert first.encoder == {"name": "layer_statistics", "hidden_features": 8}
    assert first.steps == 4 and first.seeds == [0, 1] and first.reads == "weights"
    assert first.training_inrs == len(load(finished, split="train"))
    assert first.parameters > 0 and first.multiply_adds > 0
    assert "--set encoder.hidden_features=8" in first.command


def test_multiply_adds_are_those_of_the_matrix_products(finished, definition, tmp_path):
    result = run(definition, "planted_encoders:Mean", finished, tmp_path / "run", seeds=1, settings=FEW, quiet=True)
    assert result.multiply_adds == 2 * 4 and result.parameters == 3 * 4
    assert result.interval is None


class Attends(Mean):
    """Attention between four vectors of three numbers."""

    def forward(self, weights):
        vectors = weights[:, :12].unflatten(1, (1, 4, 3))
        return nn.functional.scaled_dot_product_attention(vectors, vectors, vectors).flatten(1)


def test_attention_is_counted():
    layout = Siren(in_features=2, out_features=1, hidden_features=4).layout
    assert multiply_adds(Attends(layout=layout)) == 2 * 4 * 4 * 3


OF_WEIGHTS = [name for name in registry.names("encoders") if registry.find("encoders", name).reads != "signals"]
PROBED = [{"name": name, "num_probes": 4} for name in ("neural_graph", "relational_transformer")]


@pytest.mark.parametrize(
    "table", [*({"name": name} for name in OF_WEIGHTS), *PROBED], ids=lambda table: "-".join(map(str, table.values()))
)
def test_every_encoder_states_its_multiply_adds(table):
    """Whether or not its parameters are trained, and those of one INR."""
    inr = Siren(in_features=2, out_features=1, hidden_features=4)
    place = Domain(extent=1.0, sizes=(16, 16), coords=torch.from_numpy(grid((16, 16))))
    small = {"nfn": {"hidden_features": 8}, "nft": {"hidden_features": 8, "num_layers": 1}}.get(table["name"], {})
    encoder = registry.make("encoders", {**table, **small}, layout=inr.layout, inr=inr, domain=place).eval()
    trained = multiply_adds(encoder)
    assert multiply_adds(encoder.requires_grad_(False)) == trained
    assert (trained > 0) == (table["name"] != "raw")


def test_an_encoder_with_probes_is_of_those_that_read_the_function(finished, definition, tmp_path):
    small = {"encoder.hidden_features": 4, "encoder.num_layers": 1, "encoder.num_frequencies": 2}
    settings = {**FEW, **small, "inputs": "canonical"}
    for probes, reads in ((0, "weights"), (3, "function")):
        table = {**settings, "encoder.num_probes": probes}
        result = run(definition, "neural_graph", finished, tmp_path / reads, seeds=1, settings=table, quiet=True)
        assert result.reads == reads


def test_the_score_is_that_of_the_evaluation_of_the_task(finished, definition, tmp_path):
    from inrzoo.tasks import evaluate

    result = run(definition, "layer_statistics", finished, tmp_path / "run", seeds=1, settings=FEW, quiet=True)
    assert result.scores == [evaluate(tmp_path / "run" / "seed-0", finished)[0].mean]


def test_the_evaluator_shows_weights_in_another_order_and_no_labels(finished, definition):
    evaluator = Evaluator(definition, finished)
    asked, whole = evaluator.questions()["test"], load(finished, split="test", normalise="none")[:]
    assert list(evaluator.questions()) == ["test"]
    where = [int((whole.weights == row).all(1).nonzero()) for row in asked]
    assert sorted(where) == list(range(len(whole.weights)))
    right = whole.label[torch.tensor(where)]
    assert evaluator.score({"test": right}).mean == 100
    assert evaluator.score({"test": (right + 1) % len(evaluator.classes)}).mean == 0
    assert torch.equal(evaluator.questions()["test"], asked)
    with pytest.raises(InrzooError, match="labels of test are not for training"):
        evaluator.training("test")


def test_a_row_begins_with_no_encoder_of_another_run(finished, definition, tmp_path):
    with pytest.raises(InrzooError, match="pretrained is not allowed: a row is trained on the training split"):
        run(definition, "layer_statistics", finished, tmp_path / "run", settings={**FEW, "pretrained": "elsewhere"})


@pytest.mark.parametrize(
    "answers, message",
    [
        ({}, "answers of the split test are missing"),
        ({"test": [0]}, "expected .* integers, classes"),
        ({"test": "floats"}, "expected .* integers, classes"),
        ({"test": "beyond"}, "is no class; expected 0 to"),
    ],
)
def test_answers_that_are_none_are_refused_in_one_line(finished, definition, answers, message):
    evaluator = Evaluator(definition, finished)
    count = len(evaluator.questions()["test"])
    shapes = {"floats": torch.zeros(count), "beyond": torch.full((count,), len(evaluator.classes))}
    given = {key: shapes.get(value, value) if isinstance(value, str) else value for key, value in answers.items()}
    with pytest.raises(InrzooError, match=message) as caught:
        evaluator.score(given)
    assert "\n" not in str(caught.value)


def test_features_are_probed_by_the_evaluator(finished, definition):
    evaluator = Evaluator(replace(definition, measure="linear probe", train="contrastive"), finished)
    answers = {}
    for split, weights in evaluator.questions().items():
        whole = load(finished, split=split, normalise="none")[:]
        where = [int((whole.weights == row).all(1).nonzero()) for row in weights]
        answers[split] = nn.functional.one_hot(whole.label[torch.tensor(where)], 10).float()
    assert set(answers) == {"train", "validation", "test"}
    told = evaluator.score(answers).mean
    noise = {split: torch.randn(len(rows), 3) for split, rows in answers.items()}
    assert told > evaluator.score(noise).mean
    with pytest.raises(InrzooError, match="finite features"):
        evaluator.score({**answers, "test": answers["test"] * torch.nan})


def test_episodes_are_those_of_the_few_shot_task(definition, tmp_path, monkeypatch):
    from inrzoo.builder import build
    from inrzoo.leaderboard import evaluator
    from inrzoo.tasks import evaluate

    store = tmp_path / "digits.zarr"
    build(
        tiny(limit=360, seeds=1, source__num_validation=500, source__num_test=800, fit__steps=15),
        store,
        in_process=True,
        quiet=True,
    )
    monkeypatch.setattr(evaluator, "EPISODES", 20)
    monkeypatch.setattr(evaluator, "QUERIES", 2)
    few = {"steps": 2, "validate_every": 2, "way": 2, "shot": 1, "query": 1, "validation_episodes": 4}
    pinned = {"content_sha256": content_sha256(open_store(store)), "measure": "5-way 1-shot", "train": "few_shot"}
    task = replace(definition, **pinned, defaults={**few, "inputs": "canonical"})
    result = run(task, "flat_mlp", store, tmp_path / "run", settings={"encoder.tensors": "all"}, seeds=1, quiet=True)
    changes = {"test_ways": (5,), "test_shots": (1,), "test_query": 2, "test_episodes": 20}
    assert result.scores == [evaluate(tmp_path / "run" / "seed-0", store, **changes)[0].mean]
    assert 0 < result.scores[0] < 100


@pytest.mark.parametrize(
    "encoder, message",
    [
        ("Batch", "answers depend on the order or the batch of the INRs"),
        ("Position", "answers depend on the order or the batch of the INRs"),
        ("Thief", "the encoder opened .*label.* while it answered"),
    ],
)
@pytest.mark.parametrize("again", [6, SECOND_PASS])
def test_an_encoder_that_answers_from_more_than_the_weights_is_refused(
    finished, definition, tmp_path, monkeypatch, encoder, message, again
):
    """Whether all INRs are asked about again or some."""
    monkeypatch.setattr("inrzoo.leaderboard.answering.SECOND_PASS", again)
    Thief.store = finished
    # Validation reads the labels, too: the thief is told to keep quiet until it answers.
    settings = {**FEW, "validate_every": 4}
    with pytest.raises(InrzooError, match=message) as caught:
        run(definition, f"planted_encoders:{encoder}", finished, tmp_path / "run", settings=settings, quiet=True)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / RESULT).exists()
    open_store(finished)  # files can be opened again


def test_another_store_is_refused(finished, finished_small, definition, tmp_path):
    with pytest.raises(InrzooError, match=r"is not the store of tiny.*make it by: inrzoo build digits --limit 20"):
        run(definition, "layer_statistics", finished_small, tmp_path / "run", settings=FEW, quiet=True)


def test_test_signals_in_the_training_split_make_another_store(finished, definition, tmp_path):
    """The split column, whose checksum is recorded anew, is part of what a task pins."""
    import zarr

    moved = shutil.copytree(finished, tmp_path / "moved.zarr")
    codes = zarr.open_group(moved, mode="r+")["split"]
    codes[:] = 0
    root = json.loads((moved / "zarr.json").read_text())
    import hashlib

    for path in (moved / "split").rglob("*"):
        name = str(path.relative_to(moved))
        if name in root["attributes"]["checksums"]:
            root["attributes"]["checksums"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    from inrzoo.store.root import root_digest

    root["attributes"]["root_sha256"] = root_digest(root)
    (moved / "zarr.json").write_text(json.dumps(root, indent=2, sort_keys=True, ensure_ascii=False))
    with pytest.raises(InrzooError, match=r"is not the store of tiny|no INR"):
        run(definition, "layer_statistics", moved, tmp_path / "run", settings=FEW, quiet=True)


@pytest.mark.parametrize("array", ["weights", "label", "split", "status"])
def test_a_store_whose_files_are_not_what_it_records_is_refused(finished, definition, tmp_path, array):
    """The digest alone would pass: the root says of the file what it was."""
    edited = shutil.copytree(finished, tmp_path / "edited.zarr")
    chunk = next(path for path in sorted((edited / array / "c").rglob("*")) if path.is_file())
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(content)
    assert content_sha256(open_store(edited)) == definition.content_sha256
    with pytest.raises(InrzooError, match=f"is not the store of tiny: {array}/c/.* is not what the store records"):
        definition.require_store(open_store(edited))
    chunk.unlink()
    with pytest.raises(InrzooError, match=f"is not the store of tiny: {array}/c/"):
        definition.require_store(open_store(edited))


def test_a_network_trained_elsewhere_is_not_scored(finished, finished_small, definition, tmp_path):
    from inrzoo.leaderboard.answering import score
    from inrzoo.tasks import train
    from inrzoo.tasks.training.options import make_task

    task = make_task("classify", {**FEW, "encoder": "layer_statistics"}, {})
    train(task, finished_small, tmp_path / "elsewhere", quiet=True)
    with pytest.raises(InrzooError, match="was trained on another store"):
        score(Evaluator(definition, finished), tmp_path / "elsewhere")


def test_only_true_results_reach_the_board(finished, definition, tmp_path):
    folder, board = tmp_path / "run", tmp_path / "board"
    result = run(definition, "layer_statistics", finished, folder, seeds=2, settings=FEW, quiet=True)
    path = submit(folder, finished, board, task=definition)
    assert path == board / "tiny" / "layer_statistics.json" and read_results(board) == [result]
    replace(result, scores=[99.0, 99.0], mean=99.0).write(folder / RESULT)
    with pytest.raises(InrzooError, match=r"records 99.00 for seed-0; it reaches"):
        submit(folder, finished, board, task=definition)
    replace(result, code_sha256="0" * 64).write(folder / RESULT)
    with pytest.raises(InrzooError, match="the code of layer_statistics is not that of"):
        submit(folder, finished, board, task=definition)
    forgeries = {
        "encoder": {**result.encoder, "hidden_features": 3},
        "mean": result.mean + 1,
        "interval": None,
        "reads": "function",
        "inrs": result.inrs + 1,
        "training_inrs": 7,
        "steps": result.steps - 1,
        "parameters": result.parameters // 2,
        "multiply_adds": 1,
        "cpu_seconds": [seconds + 9 for seconds in result.cpu_seconds],
        "mse": [0.1, 0.1],
    }
    for name, value in forgeries.items():
        replace(result, **{name: value}).write(folder / RESULT)
        with pytest.raises(InrzooError, match=f"records {name} = .*; it is"):
            submit(folder, finished, board, task=definition)
    assert read_results(board) == [result]


def test_the_board_has_two_groups_and_the_command_of_each_row(finished, definition, tmp_path):
    for name in ("layer_statistics", "function_probe"):
        run(definition, name, finished, tmp_path / name, seeds=2, settings=FEW, quiet=True)
        submit(tmp_path / name, finished, tmp_path / "board", task=definition)
    results = read_results(tmp_path / "board")
    for text in (as_markdown(results), as_html(results)):
        assert text.index("Reads the weights") < text.index("layer_statistics")
        assert text.index("Reads the function") < text.index("function_probe")
        for result in results:
            assert result.command in text
    shown = [replace(results[0], model="ada/<encoder>"), results[1]]
    assert f"[{results[0].name}](https://huggingface.co/ada/<encoder>) |" in as_markdown(shown)
    linked = f'<td><a href="https://huggingface.co/ada/&lt;encoder&gt;">{results[0].name}</a><td>'.partition("<td>")
    assert linked[2].removesuffix("<td>") in as_html(shown) and as_html(shown).count("<a ") == 1


def test_a_plan_trains_nothing_that_stays(finished, definition, tmp_path):
    settings = {**FEW, "steps": 50}
    costs = plan(Evaluator(definition, finished), "layer_statistics", tmp_path / "run", seeds=3, settings=settings)
    assert costs.steps == 50 and costs.seeds == 3 and costs.seconds > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", names())
def test_tasks_of_the_board_name_a_store_that_can_be_built_and_a_training(name):
    from inrzoo import build, registry
    from inrzoo.tasks.training.options import make_task, options

    task = find(name)
    for arguments in (task.build, task.test_build or task.build):
        inspect.signature(build).bind(**arguments)
        manifest.load(arguments["dataset"], arguments.get("preset"), arguments.get("settings"))
    assert set(task.defaults) <= {option.field for option in options(registry.find("tasks", task.train))}
    make_task(task.train, task.defaults, {})
    for digest in (task.content_sha256, task.test_content_sha256 or task.content_sha256):
        assert len(set(digest)) > 8 and len(digest) == 64
    assert "\n" not in task.title and task.build_command.endswith(f"--out {task.store_name}")


@pytest.mark.parametrize(
    "text, message",
    [
        ("title = 3", r"title = 3 is not allowed"),
        ("titel = 'x'", r"has no key 'titel' \(did you mean 'title'\?\)"),
        ("title = 'x'", r"lacks build, content_sha256, train, measure, rule"),
        ("measure = 'f1'", r"measure = 'f1' is not allowed"),
        ("title = ", r"is not valid TOML"),
    ],
)
def test_a_bad_file_of_a_task_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InrzooError, match=message) as caught:
        find(path)
    assert "\n" not in str(caught.value)


def test_an_unknown_task_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(InrzooError, match="the leaderboard has no task 'mnist_randm'"):
        find("mnist_randm")
    with pytest.raises(InrzooError, match="no file"):
        find(tmp_path / "none.toml")


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}', '{"format": 2}'])
def test_a_damaged_result_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "result.json"
    path.write_text(content)
    with pytest.raises(InrzooError, match=r"valid JSON|no result of format|lacks") as caught:
        Result.read(path)
    assert "\n" not in str(caught.value)


def test_a_result_reads_back_as_it_was_written(tmp_path):
    texts = {"task": "t", "content_sha256": "0", "measure": "accuracy", "reads": "weights", "code_sha256": "1"}
    numbers = {"mean": 50.0, "interval": None, "inrs": 2, "training_inrs": 3, "steps": 4, "parameters": 5}
    rest = {"command": "x", "seeds": [0], "scores": [50.0], "cpu_seconds": [1.0], "environment": {"torch": "2"}}
    result = Result(**texts, **numbers, **rest, multiply_adds=6, encoder={"name": "raw"})
    result.write(tmp_path / "result.json")
    assert Result.read(tmp_path / "result.json") == result
    assert asdict(result)["encoder"] == {"name": "raw"}
