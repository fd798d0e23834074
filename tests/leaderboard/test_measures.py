"""The measures of numbers and of identity: against slow references, and planted leaks are refused by them too."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_encoders import FEW, Thief
from tiny_store import small, tiny

from inrzoo import open_store
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.leaderboard import Evaluator, content_sha256, find, names, run
from inrzoo.leaderboard.running import RESULT
from inrzoo.loaders import load
from inrzoo.tasks import evaluate

NUMBERS = {"measure": "r2", "train": "regress", "column": "psnr"}
IDENTITY = {"measure": "identity", "train": "contrastive"}


@pytest.fixture(scope="module")
def viewed(tmp_path_factory):
    """The tiny store with two snapshots of each fit."""
    path = tmp_path_factory.mktemp("viewed") / "tiny.zarr"
    build(tiny(fit__views=[20, 40], fit__stop_psnr=0.0, seeds=1), path, in_process=True, quiet=True)
    return path


@pytest.fixture
def numbers(definition, viewed):
    """The task of the quality of INRs at each snapshot."""
    task = replace(definition, **NUMBERS)
    return replace(task, content_sha256=task.content_sha256_of(open_store(viewed)))


def positions(asked, whole):
    """The row of each question in a whole split."""
    return [int((whole.weights == row).all(1).nonzero()) for row in asked]


def test_numbers_of_every_snapshot_are_asked_about_and_scored_as_r2(numbers, viewed):
    from sklearn.metrics import r2_score

    evaluator = Evaluator(numbers, viewed)
    whole, store = load(viewed, split="test", views=[20, 40], normalise="none")[:], open_store(viewed)
    asked = evaluator.questions()["test"]
    rows = positions(asked, whole)
    assert sorted(rows) == list(range(len(whole.weights))) and evaluator.num_inrs == len(rows)
    each = zip(whole.signal[rows], whole.seed[rows], whole.step[rows], strict=True)
    truth = torch.tensor([float(store.psnr[i, seed, store.snapshots.index(int(step))]) for i, seed, step in each])
    assert evaluator.score({"test": truth}).mean == 100
    assert evaluator.score({"test": truth.double().mean().expand(len(truth))}).mean == pytest.approx(0, abs=1e-9)
    guess = truth + torch.randn(len(truth))
    assert evaluator.score({"test": guess}).mean == pytest.approx(100 * r2_score(truth, guess))
    for wrong, message in (
        (truth[:, None], rf"expected {len(truth)} finite numbers"),
        (truth[1:], "finite numbers"),
        (truth * torch.nan, "finite numbers"),
    ):
        with pytest.raises(InrzooError, match=message):
            evaluator.score({"test": wrong})


def test_the_score_of_numbers_is_that_of_the_evaluation_of_the_task(numbers, viewed, tmp_path):
    result = run(numbers, "layer_statistics", viewed, tmp_path / "run", seeds=1, settings=FEW, quiet=True)
    assert result.scores == [pytest.approx(evaluate(tmp_path / "run" / "seed-0", viewed)[0].mean, abs=1e-3)]
    assert result.training_inrs == len(load(viewed, split="train", views=[20, 40])) and result.measure == "r2"
    with pytest.raises(InrzooError, match=r"the store has no column of numbers 'psnrr'"):
        run(replace(numbers, column="psnrr"), "layer_statistics", viewed, tmp_path / "other", settings=FEW)


def test_the_column_that_is_asked_about_is_pinned(numbers, definition, viewed, tmp_path):
    """Other tasks do not ask for it; then the digest says nothing of it."""
    assert definition.content_sha256_of(open_store(viewed)) == content_sha256(open_store(viewed))
    assert numbers.content_sha256 != content_sha256(open_store(viewed))
    edited = shutil.copytree(viewed, tmp_path / "edited.zarr")
    chunk = next(path for path in sorted((edited / "psnr" / "c").rglob("*")) if path.is_file())
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(InrzooError, match=r"is not the store of tiny: psnr/c/.* is not what the store records"):
        Evaluator(numbers, edited)
    Evaluator(replace(definition, content_sha256=content_sha256(open_store(edited))), edited)


def test_identity_is_the_share_of_inrs_whose_nearest_other_one_is_of_the_same_signal(finished, definition):
    evaluator = Evaluator(replace(definition, **IDENTITY), finished)
    whole, asked = load(finished, split="test", normalise="none")[:], evaluator.questions()["test"]
    rows = positions(asked, whole)
    signal = whole.signal[rows]
    told = torch.nn.functional.one_hot(signal - signal.min())
    assert evaluator.score({"test": told}).mean == 100
    assert evaluator.score({"test": torch.ones(len(signal), 2)}).mean == 0
    noisy = told + torch.randn(told.shape, generator=torch.Generator().manual_seed(1))[rows]
    cosines = torch.cosine_similarity(noisy[:, None], noisy[None], dim=-1).fill_diagonal_(-2)
    right = [bool(signal[cosines[row].argmax()] == signal[row]) for row in range(len(signal))]
    assert evaluator.score({"test": noisy}).mean == pytest.approx(100 * np.mean(right))
    assert 0 < np.mean(right) < 1


@pytest.mark.parametrize("measure", ["r2", "identity"])
@pytest.mark.parametrize(
    "encoder, message",
    [
        ("Batch", "answers depend on the order or the batch of the INRs"),
        ("Position", "answers depend on the order or the batch of the INRs"),
        ("Thief", "the encoder opened .*label.* while it answered"),
    ],
)
def test_an_encoder_that_answers_from_more_than_the_weights_is_refused(
    finished, definition, tmp_path, measure, encoder, message
):
    Thief.store = finished
    task = replace(definition, **(NUMBERS if measure == "r2" else IDENTITY))
    task = replace(task, content_sha256=task.content_sha256_of(open_store(finished)))
    settings = {**FEW, "validate_every": 4}
    with pytest.raises(InrzooError, match=message):
        run(task, f"planted_encoders:{encoder}", finished, tmp_path / "run", settings=settings, quiet=True)
    assert not (tmp_path / "run" / RESULT).exists()


def test_a_store_that_is_built_again_is_the_pinned_one(finished_small, tmp_path):
    build(small(), tmp_path / "again.zarr", in_process=True, quiet=True)
    first, again = (content_sha256(open_store(path), ["psnr"]) for path in (finished_small, tmp_path / "again.zarr"))
    assert first == again


def test_the_list_names_every_task_and_the_commands_of_its_stores(inrzoo):
    code, out, _ = inrzoo("leaderboard", "list")
    assert code == 0
    for name in names():
        task = find(name)
        assert task.title in out and task.source in out and all(command in out for command in task.commands)


def test_a_label_column_that_is_not_there_is_refused(finished, definition):
    with pytest.raises(InrzooError, match=r"has no label column 'digt' \(did you mean 'digit'\?\)"):
        Evaluator(replace(definition, column="digt"), finished)


@pytest.mark.parametrize(
    "text, message",
    [
        ("measure = 'r2'", "lacks column, the column of numbers that r2 asks about"),
        ("measure = 'accuracy'\ntest_content_sha256 = '0'", "has only one of test_build and test_content_sha256"),
        (
            "measure = 'accuracy'\ntest_content_sha256 = '0'\n[test_build]\nlimit = 3",
            "test_build lacks dataset, the first argument of `inrzoo build`",
        ),
    ],
)
def test_a_file_whose_measure_lacks_something_is_refused_in_one_line(tmp_path, text, message):
    first, _, tables = text.partition("\n[")
    rest = "title = 't'\ncontent_sha256 = '0'\ntrain = 'classify'\nrule = 'r'\nbuild = {dataset = 'digits'}\n"
    (tmp_path / "mine.toml").write_text(f"{rest}{first}\n{'[' + tables if tables else ''}")
    with pytest.raises(InrzooError, match=message) as caught:
        find(tmp_path / "mine.toml")
    assert "\n" not in str(caught.value)
