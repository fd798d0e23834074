"""Edits on the board: errors against loops, what doing nothing and a refit reach, and planted leaks are refused."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from planted_decoders import FEW, Burglar, Dot, Place, Pupil, Shrink
from scipy.ndimage import grey_dilation

from inrzoo import decoders, open_store, registry, tasks, trust
from inrzoo.coords import grid
from inrzoo.encoders import Domain
from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import Siren
from inrzoo.leaderboard import Evaluator, Result, as_html, as_markdown, find, hub_files, plan, read_results, run, submit
from inrzoo.leaderboard.answering import score
from inrzoo.leaderboard.result import multiply_adds
from inrzoo.leaderboard.running import RESULT
from inrzoo.loaders import load
from inrzoo.registry import trusted
from inrzoo.store.root import root_digest
from inrzoo.tasks.edit import Edit

SHRINK = "planted_decoders:Shrink"
DESCENT = {**FEW, "decoder.num_steps": 2, "decoder.hidden_features": 4, "decoder.num_layers": 2}


@pytest.fixture(scope="module", autouse=True)
def planted_decoders():
    for cls in (Shrink, Place, Dot, Pupil, Burglar):
        trust.trust("decoders", f"planted_decoders:{cls.__name__}")
    yield
    for key in [key for key in trusted if key[1].startswith("planted_decoders")]:
        del trusted[key]


@pytest.fixture
def editing(definition):
    return replace(definition, measure="error removed", train="edit", operation={"name": "dilation"}, defaults={})


def errors_of(weights, asked, store):
    """Mean squared error of each weight vector against its dilated signal, averaged over fits, in loops.

    Args:
        weights: the changed ones.
        asked: the questions, by which the signal is found.
    """
    whole, opened = load(store, split="test", normalise="none", signals=True)[:], open_store(store)
    low, high = opened.value_range
    of_signal: dict[int, list[float]] = {}
    for row, question in zip(weights, asked, strict=True):
        [place] = (whole.weights == question).all(1).nonzero().flatten().tolist()
        picture = ((whole.targets[place] - low) / (high - low)).reshape(opened.grid).numpy()
        said = opened.inr(row[None], torch.from_numpy(opened.coords()))[0, :, 0].reshape(opened.grid).numpy()
        error = float((((said - low) / (high - low) - grey_dilation(picture, size=(3, 3))) ** 2).mean())
        of_signal.setdefault(int(whole.signal[place]), []).append(error)
    return float(np.mean([np.mean(each) for each in of_signal.values()]))


def refitted(weights, asked, store):
    """Weights after some steps of Adam on the dilated signals, which no network is shown."""
    whole, opened = load(store, split="test", normalise="none", signals=True)[:], open_store(store)
    rows = [int((whole.weights == question).all(1).nonzero()) for question in asked]
    pictures = whole.targets[rows].reshape(len(rows), *opened.grid).numpy()
    targets = torch.from_numpy(grey_dilation(pictures, size=(1, 3, 3))).reshape(len(rows), -1, 1)
    refit, coords = weights.clone().requires_grad_(), torch.from_numpy(opened.coords())
    optimiser = torch.optim.Adam([refit], lr=5e-3)
    for _ in range(60):
        optimiser.zero_grad()
        (opened.inr(refit, coords) - targets).square().mean((1, 2)).sum().backward()
        optimiser.step()
    return refit.detach()


def test_the_score_is_the_share_of_the_error_of_unchanged_weights_that_is_gone(finished, editing):
    evaluator = Evaluator(editing, finished)
    asked = evaluator.questions()["test"]
    assert evaluator.score({"test": asked}).mean == 0
    before = errors_of(asked, asked, finished)
    assert evaluator.mse(0) == pytest.approx(before, rel=1e-4)
    refit = refitted(asked, asked, finished)
    after = errors_of(refit, asked, finished)
    found = evaluator.score({"test": refit})
    assert found.mean == pytest.approx(100 * (1 - after / before), rel=1e-4) and found.mean > 60
    assert evaluator.mse(found.mean) == pytest.approx(after, rel=1e-4)
    assert 2 * found.trials == evaluator.num_inrs == len(asked)
    worse = evaluator.score({"test": asked.flip(0)}).mean
    assert worse < 0


def test_signals_of_the_training_split_are_given_and_those_of_the_test_split_are_not(finished, editing):
    evaluator = Evaluator(editing, finished)
    assert evaluator.training()[[0]].targets.shape == (1, 64, 1)
    with pytest.raises(InrzooError, match="labels of test are not for training"):
        evaluator.training("test")
    assert all(tensor.shape[1] == open_store(finished).layout.num_params for tensor in evaluator.questions().values())


@pytest.mark.parametrize(
    "wrong", [lambda w: w[1:], lambda w: w[:, 1:], lambda w: w * torch.nan, lambda w: w.long(), lambda w: w[:, 0]]
)
def test_answers_that_are_no_weights_are_refused_in_one_line(finished, editing, wrong):
    evaluator = Evaluator(editing, finished)
    asked = evaluator.questions()["test"]
    with pytest.raises(InrzooError, match=rf"answers of test are .*; expected \({len(asked)}, 105\) finite") as caught:
        evaluator.score({"test": wrong(asked)})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "decoder, message",
    [
        ("Place", "answers depend on the order or the batch of the INRs.*a decoder must change each INR independently"),
        ("Pupil", "answers depend on the order or the batch of the INRs"),
        ("Burglar", "the decoder opened .*signals.* while it answered"),
    ],
)
def test_a_decoder_that_answers_from_more_than_the_weights_is_refused(finished, editing, tmp_path, decoder, message):
    """Weights change by a thousandth, so that only the changes themselves tell two answers apart."""
    Burglar.store = finished
    settings = {**FEW, "validate_every": 4, "lr": 1e-6, "decoder.share": 0.001}
    with pytest.raises(InrzooError, match=message) as caught:
        run(editing, f"planted_decoders:{decoder}", finished, tmp_path / "run", settings=settings, quiet=True)
    assert "\n" not in str(caught.value) and not (tmp_path / "run" / RESULT).exists()


def test_one_weight_that_depends_on_the_batch_makes_another_answer(finished, editing, tmp_path, monkeypatch):
    """One of 105 weights is less than is tolerated here, as one of 1,185 is of the threshold that counts."""
    monkeypatch.setattr("inrzoo.leaderboard.answering.SHARE_ALIKE", 0.99)
    settings = {**FEW, "lr": 1e-6, "decoder.share": 0.001}
    with pytest.raises(InrzooError, match="answers depend on the order or the batch of the INRs"):
        run(editing, "planted_decoders:Dot", finished, tmp_path / "run", settings=settings, quiet=True)


def test_a_run_is_scored_as_the_task_evaluates_it_and_only_its_truth_is_submitted(finished, editing, tmp_path):
    folder, board = tmp_path / "run", tmp_path / "board"
    result = run(editing, "learned_descent", finished, folder, seeds=2, settings=DESCENT, quiet=True)
    edited, nothing = tasks.evaluate(folder / "seed-0", finished, device="cpu")
    assert result.scores[0] == pytest.approx(100 * (1 - edited.mean / nothing.mean), abs=1e-3)
    assert result.mse[0] == pytest.approx(edited.mean, rel=1e-4)
    assert (result.reads, result.measure) == ("function", "error removed") and len(result.mse) == 2
    assert result.encoder == {"name": "learned_descent", "num_steps": 2, "hidden_features": 4, "num_layers": 2}
    assert "--decoder learned_descent --seeds 2" in result.command
    file = Path(decoders.__file__).with_name("learned_descent.py")
    assert result.code_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    submit(folder, finished, board, task=editing)
    assert read_results(board) == [result] == [Result.read(folder / RESULT)]
    for forged, message in (
        (replace(result, scores=[90.0, 90.0]), "records 90.00 for seed-0; it reaches"),
        (replace(result, mse=[0.001, 0.001]), r"records mse = \[0.001, 0.001\]; it is"),
        (replace(result, mse=None), "records mse = None; it is"),
        (replace(result, code_sha256="0" * 64), "the code of learned_descent is not that of"),
    ):
        forged.write(folder / RESULT)
        with pytest.raises(InrzooError, match=message):
            submit(folder, finished, board, task=editing)
    assert read_results(board) == [result]


@pytest.mark.parametrize("probes, reads", [(0, "weights"), (3, "function")])
def test_a_decoder_with_probes_is_of_those_that_read_the_function(finished, editing, tmp_path, probes, reads):
    small = {"decoder.hidden_features": 4, "decoder.num_layers": 1, "decoder.num_frequencies": 2}
    settings = {**FEW, **small, "decoder.num_probes": probes}
    result = run(editing, "neural_graph", finished, tmp_path / "run", seeds=1, settings=settings, quiet=True)
    assert result.reads == reads


@pytest.mark.parametrize("name", registry.names("decoders"))
def test_every_decoder_states_its_multiply_adds(name):
    inr = Siren(in_features=2, out_features=1, hidden_features=4)
    place = Domain(extent=1.0, sizes=(16, 16), coords=torch.from_numpy(grid((16, 16))))
    decoder = registry.make("decoders", {"name": name}, layout=inr.layout, inr=inr, domain=place).eval()
    assert multiply_adds(decoder) > 0


def test_what_a_descent_multiplies_grows_by_the_same_with_each_of_its_steps():
    inr = Siren(in_features=2, out_features=1, hidden_features=4)
    place = Domain(extent=1.0, sizes=(16, 16), coords=torch.from_numpy(grid((16, 16))))
    given = {"layout": inr.layout, "inr": inr, "domain": place}
    one, two, three = (
        multiply_adds(registry.make("decoders", {"name": "learned_descent", "num_steps": steps}, **given))
        for steps in (1, 2, 3)
    )
    assert three - two == two - one > 256 * 4 * (2 + 4 + 1)  # an INR's own products, and those of the gradient


def test_what_a_task_pins_is_not_changed_by_a_setting(finished, editing, tmp_path):
    for settings in ({"operation.size": 5}, {"operation": "erosion"}):
        with pytest.raises(InrzooError, match=r"operation.* is not allowed: tiny pins the operation"):
            run(editing, SHRINK, finished, tmp_path / "run", settings={**FEW, **settings}, quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_decoder_that_was_trained_elsewhere_is_not_scored(finished, finished_small, editing, tmp_path):
    task = Edit(decoder={"name": SHRINK}, **FEW)
    tasks.train(task, finished_small, tmp_path / "elsewhere", quiet=True, device="cpu")
    with pytest.raises(InrzooError, match="was trained on another store"):
        score(Evaluator(editing, finished), tmp_path / "elsewhere")


def test_a_store_with_other_signals_is_refused_whatever_it_records_of_their_files(
    finished, definition, editing, tmp_path
):
    """Weights, labels and splits are those that are pinned, and the store is whole."""
    edited = shutil.copytree(finished, tmp_path / "edited.zarr")
    signals = zarr.open_group(edited, mode="r+")["signals"]
    signals[:] = np.asarray(signals)[::-1]
    root = json.loads((edited / "zarr.json").read_text())
    for name in [name for name in root["attributes"]["checksums"] if name.startswith("signals/c/")]:
        root["attributes"]["checksums"][name] = hashlib.sha256((edited / name).read_bytes()).hexdigest()
    root["attributes"]["root_sha256"] = root_digest(root)
    (edited / "zarr.json").write_text(json.dumps(root, indent=2, sort_keys=True, ensure_ascii=False))
    Evaluator(definition, edited)  # of classes it is the pinned one
    with pytest.raises(InrzooError, match="is not the store of tiny: its signals are not those that were fitted"):
        Evaluator(editing, edited)


def test_a_store_without_signals_is_refused(finished, editing, monkeypatch):
    monkeypatch.setattr("inrzoo.store.Store.has_signals", False)
    with pytest.raises(InrzooError, match="does not hold its signals; tiny measures edits of them"):
        Evaluator(editing, finished)


@pytest.fixture
def task_file(editing, tmp_path):
    """The task as a file of a user's own."""
    path = tmp_path / "tiny_editing.toml"
    lines = ['title = "Tiny"', f'content_sha256 = "{editing.content_sha256}"', 'train = "edit"']
    lines += ['measure = "error removed"', 'rule = "Training split alone."', '[build]\ndataset = "digits"']
    path.write_text("\n".join([*lines, '[operation]\nname = "dilation"']) + "\n")
    return path


def test_a_decoder_of_a_users_own_is_scored_submitted_and_shown_by_three_commands(
    finished, task_file, tmp_path, monkeypatch, inrzoo
):
    monkeypatch.chdir(tmp_path)
    settings = [word for key, value in FEW.items() for word in ("--set", f"{key}={value}")]
    words = ["leaderboard", "run", task_file, "--decoder", SHRINK, "--store", finished, "--seeds", 2, *settings]
    code, out, err = inrzoo(*words)
    assert code == 0 and "error removed" in out and "training seed(s); MSE × 100: " in out, err
    code, out, err = inrzoo("leaderboard", "submit", "tiny_editing.Shrink", "--task", task_file, "--store", finished)
    assert code == 0 and "tiny_editing/planted_decoders-Shrink.json" in out, err
    code, shown, _ = inrzoo("leaderboard", "show")
    [row] = read_results(tmp_path / "leaderboard")
    errors = f"{100 * np.mean(row.mse):.3f}"
    assert code == 0 and "| decoder | % |" in shown and f"(2 seeds), MSE × 100: {errors} |" in shown
    assert row.command in shown and "Reads the weights" in shown
    assert f"MSE × 100: {errors}" in as_html([row]) and ">decoder<" in as_html([row])
    files = hub_files([row], [(find(task_file), "ada/digits")])
    assert any(b"error removed, mean of 2 training seeds" in content for content in files.values())
    assert b"error removed of test" in files["datasets/ada/digits/eval.yaml"]
    code, out, err = inrzoo("push", "tiny_editing.Shrink", "ada/shrink", "--dataset", "ada/digits")
    assert (code, out) == (2, "") and "is a run of edit, which trains no encoder of weights" in err


def test_rows_of_before_there_were_edits_are_read_and_show_no_errors(tmp_path):
    rows = read_results(Path(__file__).parents[2] / "benchmarks" / "leaderboard")
    others = [row for row in rows if row.measure != "error removed"]
    assert len(others) >= 71 and {row.mse for row in others} == {None}
    shown = as_markdown(others)
    assert "MSE" not in shown and "| decoder |" not in shown and "| encoder | % |" in shown
    others[0].write(tmp_path / "row.json")
    assert Result.read(tmp_path / "row.json") == others[0]


@pytest.mark.parametrize(
    "words, message",
    [
        (
            ["mnist_editing", "--encoder", "flat_mlp"],
            "--encoder flat_mlp is not allowed: mnist_editing measures decoders",
        ),
        (["mnist_random", "--decoder", "learned_descent"], "--decoder learned_descent is not allowed: mnist_random"),
        (["mnist_editing"], "mnist_editing measures decoders; give --decoder NAME; there are: equivariant_mlp"),
        (["mnist_random"], "mnist_random measures encoders; give --encoder NAME; there are: conv_net"),
        (["mnist_editing", "--decoder", "learned_decent"], "did you mean 'learned_descent'"),
    ],
)
def test_a_network_of_the_wrong_kind_is_refused_in_one_line(words, message, inrzoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = inrzoo("leaderboard", "run", *words)
    assert (code, out) == (2, "") and message in err and len(err.splitlines()) == 1


def test_a_plan_of_an_edit_trains_nothing_that_stays(finished, editing, tmp_path):
    costs = plan(Evaluator(editing, finished), SHRINK, tmp_path / "run", settings={**FEW, "steps": 50})
    assert (costs.steps, costs.seeds) == (50, 3) and costs.seconds > 0 and list(tmp_path.iterdir()) == []


def test_a_file_of_edits_names_the_operation(task_file):
    task_file.write_text(task_file.read_text().partition("[operation]")[0])
    with pytest.raises(InrzooError, match="lacks operation, the edit that is measured"):
        find(task_file)
