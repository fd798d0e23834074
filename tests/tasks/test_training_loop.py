"""Interrupted and continued, to the bit; one folder, one run; the journal and the options."""

import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from inrzoo import registry
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError, Terminated
from inrzoo.loggers import Logger
from inrzoo.tasks import train
from inrzoo.tasks.few_shot import FewShot
from inrzoo.tasks.reporting.tables import table, write_section
from inrzoo.tasks.training.options import make_task, options
from inrzoo.tasks.training.schedule import Plateau, learning_rate

# Dropout, noise and mixtures: everything that draws.
TASK = FewShot(
    way=3, shot=2, query=3, lr=1e-3, steps=30, validate_every=8, validation_episodes=6, test_ways=(3,),
    test_shots=(1,), test_episodes=30, temperature="learned", noise=0.1, mixtures=0.5, warmup=5, weight_decay=0.01,
    encoder={"name": "layer_transformer", "hidden_features": 16, "num_layers": 1, "dropout": 0.2},
)  # fmt: skip


def files(folder: Path) -> dict[str, object]:
    """Everything a run leaves but the picture; tensors and texts, bit by bit."""
    found: dict[str, object] = {"metrics": (folder / "metrics.jsonl").read_bytes()}
    for name in ("best", "last"):
        with safe_open(folder / f"{name}.safetensors", framework="pt") as content:
            found[f"{name} metadata"] = json.loads(content.metadata()["inrzoo"])
            for key in content.keys():  # noqa: SIM118
                found[f"{name} {key}"] = content.get_tensor(key).numpy().tobytes()
    return found


@pytest.mark.parametrize("pieces", [(8,), (1, 20, 3), pytest.param((5, 6), marks=pytest.mark.slow)])
def test_a_continued_run_is_the_uninterrupted_one_to_the_bit(characters, tmp_path, pieces):
    train(TASK, characters, tmp_path / "whole", quiet=True)
    for count in pieces:
        torch.rand(3)  # whatever else the process draws
        assert train(TASK, characters, tmp_path / "parts", quiet=True, stop_after=count).step < 30
    torch.manual_seed(99)
    assert train(TASK, characters, tmp_path / "parts", quiet=True).step == 30
    whole, parts = files(tmp_path / "whole"), files(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert [key for key in whole if whole[key] != parts[key]] == []


def test_the_seed_decides_and_the_caller_s_random_numbers_do_not_move(characters, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    train(TASK, characters, tmp_path / "run", quiet=True)
    assert torch.equal(torch.rand(2), expected)
    other = make_task("few-shot", {}, {})
    assert files(tmp_path / "run")["last metadata"]["task"]["seed"] == other.seed


def test_a_crash_between_metrics_and_checkpoint_leaves_no_trace(characters, tmp_path):
    train(TASK, characters, tmp_path / "whole", quiet=True)
    train(TASK, characters, tmp_path / "parts", quiet=True, stop_after=10)
    with (tmp_path / "parts" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 16, "lr": 1.0}\n{"step": 24, "tra')
    train(TASK, characters, tmp_path / "parts", quiet=True)
    assert files(tmp_path / "whole") == files(tmp_path / "parts")


@pytest.mark.parametrize("number, error", [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_request_to_stop_saves_and_the_same_call_continues(number, error, characters, tmp_path):
    long = registry.make("tasks", {**TASK.to_json(), "steps": 40_000, "validate_every": 40_000})
    timer = threading.Thread(target=lambda: (time.sleep(1), os.kill(os.getpid(), number)))
    handler = signal.getsignal(number)
    timer.start()
    with pytest.raises(KeyboardInterrupt) as stop:
        train(long, characters, tmp_path / "run", quiet=True)
    assert stop.type is error
    timer.join()
    stopped = read(tmp_path / "run" / "last.safetensors").progress["step"]
    assert 0 < stopped < 40_000
    assert train(long, characters, tmp_path / "run", quiet=True, stop_after=3).step == stopped + 3
    assert signal.getsignal(number) is handler


def test_a_finished_run_is_not_done_again(characters, tmp_path):
    first = train(TASK, characters, tmp_path / "run", quiet=True)
    before = (tmp_path / "run" / "last.safetensors").stat().st_mtime_ns
    assert train(TASK, characters, tmp_path / "run", quiet=True) == first
    assert (tmp_path / "run" / "last.safetensors").stat().st_mtime_ns == before


def test_a_second_training_in_the_folder_is_refused_while_the_first_runs(characters, tmp_path):
    out, said = tmp_path / "run", []

    class Second(Logger):
        def begin(self, settings):
            for overwrite in (False, True):
                with pytest.raises(InrzooError) as refused:
                    train(TASK, characters, out, quiet=True, overwrite=overwrite)
                said.append(str(refused.value))

        def log(self, step, numbers):
            pass

        def end(self, status):
            pass

    train(TASK, characters, out, quiet=True, stop_after=8)
    train(TASK, characters, out, quiet=True, loggers=[Second()])
    train(TASK, characters, tmp_path / "alone", quiet=True)
    assert said == [f"another process is writing to {out}; wait for it or stop it"] * 2
    assert files(out) == files(tmp_path / "alone")
    assert sorted(path.name for path in tmp_path.iterdir() if "run" in path.name) == ["run"]


def test_another_run_in_the_folder_is_refused_until_overwritten(characters, make_store, tmp_path):
    train(TASK, characters, tmp_path / "run", quiet=True, stop_after=8)
    other = registry.make("tasks", {**TASK.to_json(), "lr": 0.5, "encoder": {"name": "flat_mlp"}})
    with pytest.raises(InrzooError) as caught:
        train(other, characters, tmp_path / "run", quiet=True)
    assert f"lr: {TASK.lr} → 0.5" in str(caught.value)
    assert "encoder.name: layer_transformer → flat_mlp" in str(caught.value)
    with pytest.raises(InrzooError, match=r"fingerprint: .* → "):
        train(TASK, make_store("another", fit__steps=3, fit__views=[1, 2, 3]), tmp_path / "run", quiet=True)
    assert train(other, characters, tmp_path / "run", quiet=True, overwrite=True, stop_after=2).step == 2


def test_patience_ends_a_run_that_no_longer_gets_better(characters, tmp_path):
    task = registry.make("tasks", {**TASK.to_json(), "lr": 0.0, "steps": 800, "patience": 2})
    found = train(task, characters, tmp_path / "run", quiet=True)
    assert (found.step, found.best_step, found.stopped) == (24, 8, True)
    assert train(task, characters, tmp_path / "run", quiet=True) == found


def test_the_best_checkpoint_is_the_one_with_the_best_score(characters, tmp_path):
    found = train(TASK, characters, tmp_path / "run", quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [8, 16, 24, 30]
    assert found.score == max(line["score"] for line in lines)
    assert found.best_step == next(line["step"] for line in lines if line["score"] == found.score)


def test_a_loss_that_is_no_number_is_said(characters, tmp_path):
    task = registry.make("tasks", {**TASK.to_json(), "noise": 1e38})
    with pytest.raises(InrzooError, match=rf"the loss is nan after \d+ steps; a smaller lr than {TASK.lr} may help"):
        train(task, characters, tmp_path / "run", quiet=True)


def test_files_that_are_no_checkpoints(tmp_path):
    with pytest.raises(InrzooError, match="no checkpoint at"):
        read(tmp_path)
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(InrzooError, match="is not a checkpoint of inrzoo"):
        read(tmp_path / "text.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InrzooError, match="is not a checkpoint of inrzoo"):
        read(tmp_path / "other.safetensors")


def test_learning_rates():
    task = FewShot(steps=100, lr=2.0, warmup=4, schedule="cosine")
    assert [learning_rate(task, step) for step in (0, 1)] == [pytest.approx(0.5), pytest.approx(1.0, rel=1e-3)]
    assert learning_rate(task, 50) == pytest.approx(1.0)
    assert learning_rate(task, 100) == 0
    assert {learning_rate(FewShot(steps=100, lr=2.0, schedule="constant"), step) for step in range(100)} == {2.0}


def test_steps_of_the_learning_rate_are_those_of_torch():
    task = FewShot(steps=20, lr=2.0, schedule="step", lr_steps=(3, 7, 8), lr_decay=0.3)
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=2.0)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimiser, [3, 7, 8], gamma=0.3)
    for step in range(20):
        assert learning_rate(task, step) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    rising = registry.make("tasks", {**task.to_json(), "warmup": 4})
    assert learning_rate(rising, 0) == 0.5 and learning_rate(rising, 5) == pytest.approx(0.6)


def test_a_plateau_reduces_after_more_validations_without_a_better_score_than_are_tolerated():
    task = FewShot(lr=1.0, schedule="plateau", lr_decay=0.5, lr_patience=2)
    scores = [1.0, 2.0, 2.0, 1.0, 2.0, 3.0, 3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 4.0]
    factors = [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125]
    plateau, state = Plateau(task), None
    for score, factor in zip(scores, factors, strict=True):
        plateau.add(score)
        continued = Plateau(task, state)  # from a checkpoint of the validation before
        continued.add(score)
        state = json.loads(json.dumps(continued.state()))
        assert plateau.factor == continued.factor == factor
        assert plateau.state() == state


def test_a_run_on_a_plateau_continues_to_the_bit_and_its_rate_falls(characters, tmp_path):
    falling = {"schedule": "plateau", "lr_patience": 0, "lr_decay": 0.5, "warmup": 0, "validate_every": 3}
    task = registry.make("tasks", {**TASK.to_json(), **falling})
    train(task, characters, tmp_path / "whole", quiet=True)
    for count in (10, 7):
        train(task, characters, tmp_path / "parts", quiet=True, stop_after=count)
    train(task, characters, tmp_path / "parts", quiet=True)
    assert files(tmp_path / "whole") == files(tmp_path / "parts")
    lines = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    best, rate = -1.0, task.lr
    for line in lines:
        assert line["lr"] == pytest.approx(rate)
        rate, best = (rate, line["score"]) if line["score"] > best else (rate / 2, best)
    assert lines[-1]["lr"] < task.lr / 4


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"schedule": "step"}, r"lr_steps = \(\) is not allowed; it must be steps, such as 6000,8000"),
        ({"schedule": "step", "lr_steps": (5, 5)}, r"lr_steps = \(5, 5\) is not allowed; it must be ascending steps"),
        ({"lr_steps": (5,)}, r"lr_steps = \(5,\) is not allowed; it must be none unless schedule is step"),
        ({"schedule": "plateau", "lr_decay": 1.0}, "lr_decay = 1.0 is not allowed; it must be above 0 and below 1"),
        ({"schedule": "plateau", "lr_patience": -1}, "lr_patience = -1 is not allowed; it must be at least 0"),
    ],
)
def test_impossible_schedules_are_one_line(fields, message):
    with pytest.raises(InrzooError, match=message):
        FewShot(**fields)


def test_a_checkpoint_of_before_these_fields_is_continued(characters, tmp_path):
    """What a run did before there were processes, accumulation and further schedules is what the defaults do."""
    newer = ("precision", "lr_decay", "lr_steps", "lr_patience", "devices", "accumulate")
    train(TASK, characters, tmp_path / "run", quiet=True, stop_after=9)
    last = read(tmp_path / "run" / "last.safetensors")
    older = replace(last, task={key: value for key, value in last.task.items() if key not in newer})
    assert len(older.task) == len(last.task) - len(newer)
    older.write(tmp_path / "run" / "last.safetensors")
    train(TASK, characters, tmp_path / "run", quiet=True)
    train(TASK, characters, tmp_path / "whole", quiet=True)
    assert files(tmp_path / "whole") == files(tmp_path / "run")


# --- words of the command line ---------------------------------------------------------------------------------


def test_every_field_is_an_option_with_help():
    found = {option.field: option for option in options(FewShot)}
    assert set(found) == set(FewShot().to_json()) - {"name"}
    assert all(len(option.help.split()) > 2 for option in found.values())
    assert found["encoder"].default == "layer_transformer"
    assert found["rotations"].flag
    assert found["patience"].help.endswith("0 for never.")


def test_words_become_fields():
    words = {
        "way": "7",
        "temperature": "learned",
        "lr": "1e-5",
        "views": "800,900",
        "encoder": "flat_mlp",
        "label": None,
    }
    made = make_task("few-shot", words, {"encoder.tensors": "all", "encoder.hidden_layers": "1"})
    assert (made.way, made.temperature, made.lr, made.views, made.label) == (7, "learned", 1e-5, (800, 900), None)
    assert made.encoder == {"name": "flat_mlp", "tensors": "all", "hidden_layers": 1}
    assert make_task("few_shot", {"temperature": "1"}, {}).temperature == 1.0
    assert make_task("few_shot", {"label": "alphabet"}, {}).label == "alphabet"


@pytest.mark.parametrize(
    "words, settings, message",
    [
        ({"way": "five"}, {}, "few_shot.way = 'five' is not allowed; expected a whole number"),
        ({"head": "best"}, {}, "expected one of 'matching', 'prototype'"),
        ({"temperature": "warm"}, {}, "expected a number or one of 'learned'"),
        ({}, {"way.x": "1"}, "expected encoder.KEY"),
        ({}, {"encoder": "raw"}, "expected encoder.KEY"),
    ],
)
def test_words_that_do_not_fit(words, settings, message):
    with pytest.raises(InrzooError, match=message):
        make_task("few-shot", words, settings)


def test_commands_train_continue_and_measure(characters, inrzoo, tmp_path):
    run = tmp_path / "run"
    words = ["--way", 3, "--shot", 2, "--query", 3, "--steps", 20, "--validate-every", 10, "--encoder", "flat_mlp"]
    words += ["--set", "encoder.tensors=all", "--validation-episodes", 20, "--out", run]
    code, out, err = inrzoo("train", "few-shot", characters, *words)
    assert code == 0, err
    assert f"run      {run}: 20 steps" in out
    assert "steps/s" in err
    assert inrzoo("train", "few-shot", characters, *words)[0] == 0
    asked = ["--set", "test_ways=[3]", "--set", "test_shots=[1,2]", "--set", "test_episodes=20"]
    code, out, err = inrzoo("evaluate", run, characters, *asked, "--json")
    assert code == 0, err
    assert [(one["name"], one["trials"]) for one in json.loads(out)] == [("3-way 1-shot", 20), ("3-way 2-shot", 20)]
    assert inrzoo("evaluate", run, characters, *asked)[1].startswith("3-way 1-shot")
    for wrong, message in (
        (["train", "few-shot", characters, "--way", 40, "--out", tmp_path / "x"], "40 ways need as many classes"),
        (["train", "few-shots", characters], "No such command"),
        (["train", "few-shot", tmp_path / "absent"], "no store at"),
        (["evaluate", run, characters, "--set", "way=3"], "way was fixed in training"),
        (["evaluate", run, characters], "5 ways need as many classes; the loaded INRs have 4"),
        (["evaluate", tmp_path, characters], "no checkpoint at"),
    ):
        code, _, err = inrzoo(*wrong)
        assert code == 2
        assert message in err
        assert err.count("\n") == 1
    assert not (tmp_path / "x").exists()


# --- documents -------------------------------------------------------------------------------------------------


def test_sections_replace_themselves_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\nWords.\n\n## First\n\nold\n\n## Second\n\nstays\n")
    write_section(page, "First", ["new", "", "### inside"])
    write_section(page, "Third", ["last"])
    expected = "# Title\n\nWords.\n\n## First\n\nnew\n\n### inside\n\n## Second\n\nstays\n\n## Third\n\nlast\n"
    assert page.read_text() == expected
    write_section(page, "Third", ["last"])
    assert page.read_text() == expected
    write_section(tmp_path / "new.md", "Only", table(["a", "bb"], [["1", "2"]]))
    assert (tmp_path / "new.md").read_text() == "## Only\n\n| a | bb |\n|---|----|\n| 1 | 2  |\n"
