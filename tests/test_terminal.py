"""What a user sees on a terminal of 80 columns, with `--quiet` and with `--verbose`."""

import io
import logging
import re
import sys
import time

import click
import pytest

from inrzoo import cli, manifest, registry, report
from inrzoo.builder.progress import BuildProgress
from inrzoo.display import show_log
from inrzoo.store import Block, open_store
from inrzoo.tasks.training.journal import Bar

NETWORK = ("--encoder", "flat_mlp", "--batch-size", 8, "--validate-every", 2)
ENTRY = {
    "step": 12000,
    "lr": 1e-3,
    "train_loss": 2.3094,
    "train_accuracy": 0.1171875,
    "score": 0.0944,
    "validation_accuracy": 0.0944,
    "validation_loss": 2.310686,
}


@pytest.fixture
def terminal(monkeypatch):
    """Make standard error a terminal of 80 columns; return a function that returns the lines drawn so far."""

    def opened():
        stream = io.StringIO()
        stream.isatty = lambda: True
        monkeypatch.setattr(sys, "stderr", stream)  # in the test itself: pytest sets it anew when that begins
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setenv("TERM", "xterm")

        def lines():
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
            return [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.strip()]

        return lines

    return opened


@pytest.fixture(autouse=True)
def _levels():
    yield
    show_log()


def test_a_training_shows_step_loss_and_eta_on_one_line_and_each_validation_above(terminal):
    drawn = terminal()
    with Bar(11990, 120000, quiet=False) as bar:
        for _ in range(10):
            bar.advance(2.30940000001)
            time.sleep(0.02)
        bar.show(12000, 104.2, ENTRY)
    lines = drawn()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "continuing after step 11,990 of 120,000"
    assert "step 12000: train loss 2.309, accuracy 0.1172; validation accuracy 0.0944, loss" in " ".join(lines)
    last = lines[-1]
    assert re.fullmatch(r"training \S+ +12000/120000 loss 2.309 ETA -?[\d:-]+", last), last
    assert not any("training" in line and "step 12000:" in line for line in lines)


def test_the_bar_of_a_build_is_one_line_too(terminal, finished):
    drawn = terminal()
    store = open_store(finished)
    with BuildProgress(quiet=False) as progress:
        progress.begin(store, [Block(0, 0)])
        progress.say("a line above")
    lines = drawn()
    assert max(map(len, lines)) <= 80 and "a line above" in lines
    assert re.search(r"fitting INRs \S+ +\d+/\d+ .*ETA", lines[-1]), lines[-1]


def test_a_finished_run_and_a_continued_one_say_so(finished, tmp_path, inrzoo):
    words = ("train", "classify", finished, *NETWORK, "--out", tmp_path / "run")
    code, out, err = inrzoo(*words, "--steps", 4)
    assert code == 0 and "4 steps\n" in out and "continuing" not in err, err
    code, out, err = inrzoo(*words, "--steps", 4)
    assert code == 0 and "4 steps; complete, nothing to do\n" in out and err == ""


def test_a_stopped_run_says_where_it_continues(finished, tmp_path, capsys):
    from inrzoo.tasks import train
    from inrzoo.tasks.training.options import make_task

    task = make_task("classify", {"encoder": "flat_mlp", "batch_size": 8, "validate_every": 2, "steps": 6}, {})
    train(task, finished, tmp_path / "run", stop_after=3)
    capsys.readouterr()
    done = train(task, finished, tmp_path / "run")
    assert "continuing after step 3 of 6\n" in capsys.readouterr().err
    assert (done.step, done.unchanged) == (6, False)
    assert train(task, finished, tmp_path / "run", quiet=True).unchanged


@pytest.mark.parametrize("place", ["before", "after"])
def test_quiet_leaves_the_result_and_errors(place, finished, tmp_path, inrzoo):
    def quietly(*words):
        return inrzoo("--quiet", *words) if place == "before" else inrzoo(*words, "-q")

    code, out, err = quietly("train", "classify", finished, *NETWORK, "--steps", 4, "--out", tmp_path / "run")
    assert (code, err) == (0, "") and "4 steps" in out
    assert quietly("info", tmp_path / "absent") == (2, "", f"inrzoo: {inrzoo('info', tmp_path / 'absent')[2][8:]}")
    code, _, err = inrzoo("train", "classify", finished, *NETWORK, "--steps", 4, "--out", tmp_path / "loud")
    assert code == 0 and "steps/s" in err  # the next command is not quiet


def test_quiet_hides_the_bars(terminal):
    drawn = terminal()
    show_log(logging.WARNING)
    with Bar(5, 10, quiet=False) as bar:
        bar.advance(1.0)
        bar.show(6, 1.0, ENTRY)
    logging.getLogger("inrzoo.tasks").info("what is being done")
    assert report.with_bar("verifying INRs", lambda tick: tick(1, 2)) is None
    assert drawn() == []
    logging.getLogger("inrzoo.tasks").warning("what matters")
    assert drawn() == ["what matters"]
    show_log()
    report.with_bar("verifying INRs", lambda tick: tick(1, 2))
    assert any("verifying INRs" in line for line in drawn())


def test_verbose_says_more_of_what_is_being_done(inrzoo, finished_small, tmp_path):
    words = ("build", "digits", "--limit", 8, "--steps", 2, "--in-process", "--out")
    assert "inrzoo.builder: " not in inrzoo(*words, tmp_path / "a.zarr")[2]
    code, _, err = inrzoo(*words, tmp_path / "b.zarr", "--verbose")
    assert code == 0 and re.match(r"inrzoo.builder: prepared in [\d.]+ s: \d+ blocks to fit with fused\n", err), err
    assert (tmp_path / "a.zarr" / "zarr.json").read_bytes() == (tmp_path / "b.zarr" / "zarr.json").read_bytes()


def commands_of(group, names):
    """The words and the command of every command below a group."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        yield [*names, name], command
        if isinstance(command, click.Group):
            yield from commands_of(command, [*names, name])


def test_every_command_has_both_options():
    for names, command in commands_of(cli.cli, []):
        options = {option for parameter in command.get_params(click.Context(command)) for option in parameter.opts}
        assert {"--quiet", "--verbose"} <= options, names


@pytest.mark.parametrize("columns", [80, 100])
def test_list_fits_the_terminal_and_names_every_kind(columns, inrzoo, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, _ = inrzoo("list")
    assert code == 0 and columns - 12 < max(map(len, out.splitlines())) <= columns
    heads = [line.partition(" (")[0] for line in out.splitlines() if not line.startswith(" ")]
    kinds = ["sources", "observations", "encoders", "decoders", "hypernets", "tasks", "transforms"]
    kinds += ["augmentations", "operations", "loggers", "INRs"]
    assert heads == ["datasets", "recipes", *kinds]
    words = {*re.split(r"[\s,]+", out)}
    assert {name for kind in registry.KINDS for name in registry.names(kind)} <= words
    assert {name for dataset in manifest.names() for name in (dataset, *manifest.presets(dataset))} <= words
    joined = " ".join(out.split())
    assert all(" ".join(manifest.title(dataset).split()) in joined for dataset in manifest.names())


@pytest.mark.slow
def test_no_line_is_longer_than_100_columns(inrzoo, finished_small, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    shown = ("siren", "raw", "mnist", "classify", "fast", "image_folder")
    commands = [
        *([*names, "--help"] for names, command in commands_of(cli.cli, []) if not isinstance(command, click.Group)),
        *(["show", name] for name in shown),
        *(["list"], ["info", finished_small], ["verify", finished_small, "--refit", 1]),
        *(["diff", finished_small, finished_small], ["site", finished_small, "--out", "site"]),
        ["build", "digits", "--limit", 8, "--steps", 2, "--in-process", "--out", "x.zarr"],
        ["build", "digits", "--limit", 8, "--steps", 2, "--seeds", 4, "--out", "x.zarr", "--plan"],
        ["train", "classify", finished_small, *NETWORK, "--steps", 2, "--out", "run"],
        ["evaluate", "run", finished_small],
    ]
    for words in commands:
        code, out, err = inrzoo(*words)
        assert code == 0, (words, err)
        for line in f"{out}{err}".splitlines():
            assert len(line.replace(str(finished_small), "tiny.zarr")) <= 100, (words, line)
