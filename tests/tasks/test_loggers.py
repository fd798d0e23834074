"""Loggers get each validation once, and none of them can end a run."""

import importlib.util
import json
import logging
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import inrzoo
from inrzoo import tasks
from inrzoo.checkpoint import Checkpoint
from inrzoo.errors import InrzooError, MissingPackageError
from inrzoo.loggers import Logger, RunSettings
from inrzoo.tasks.contract import Task
from inrzoo.tasks.training.options import make_loggers, make_task

FIELDS = {"encoder": "flat_mlp", "batch_size": 4, "steps": 8, "validate_every": 2}
BLOCK = 32 * 2**10
"""Bytes of a block in the files of W&B."""
CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture
def task() -> Task:
    return make_task("classify", FIELDS, {})


class Noted(Logger):
    """Keeps what it is told; raises in one method."""

    def __init__(self, broken: str = "", error: type[Exception] = OSError) -> None:
        self._broken, self._error = broken, error
        self.told: list[tuple[str, Any]] = []

    def _note(self, method: str, what: Any) -> None:
        self.told.append((method, what))
        if method == self._broken:
            raise self._error("the network\nis down")

    def begin(self, run: RunSettings) -> None:
        self._note("begin", run)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._note("log", (step, dict(numbers)))

    def end(self, status: str) -> None:
        self._note("end", status)

    @property
    def steps(self) -> list[int]:
        return [what[0] for method, what in self.told if method == "log"]


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_logger_is_told_what_the_metrics_say(finished_small: Path, tmp_path: Path) -> None:
    logger, run = Noted(), tmp_path / "run"
    inrzoo.train("classify", finished_small, out=run, quiet=True, loggers=[logger], **FIELDS)
    begun, *logged, ended = logger.told
    assert begun[1].folder == run and begun[1].step == 0 and begun[1].task["steps"] == 8
    assert begun[1].data == str(finished_small) and ended == ("end", "finished")
    assert [{"step": step, **numbers} for _, (step, numbers) in logged] == lines(run)
    again = Noted()
    inrzoo.train("classify", finished_small, out=run, quiet=True, loggers=[again], **FIELDS)
    assert again.told == []


def test_a_run_that_is_stopped_or_fails_logs_each_step_once(
    finished_small: Path, tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full between the metrics of step 6 and its checkpoint: the step is done again, and logged once."""
    run, loggers = tmp_path / "run", [Noted() for _ in range(3)]
    tasks.train(task, finished_small, run, device="cpu", quiet=True, stop_after=3, loggers=loggers[:1])
    assert loggers[0].steps == [2] and loggers[0].told[-1] == ("end", "stopped")
    write = Checkpoint.write

    def full(checkpoint: Checkpoint, path: Path) -> None:
        if path.name.startswith("last") and checkpoint.progress["step"] == 6:
            raise OSError("no space left on device")
        write(checkpoint, path)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(Checkpoint, "write", full)
        tasks.train(task, finished_small, run, device="cpu", quiet=True, loggers=loggers[1:2])
    assert loggers[1].steps == [4] and loggers[1].told[-1] == ("end", "failed")
    tasks.train(task, finished_small, run, device="cpu", quiet=True, loggers=loggers[2:])
    assert loggers[2].told[0][1].step == 4 and loggers[2].steps == [6, 8]


@pytest.mark.parametrize("broken", ["begin", "log", "end"])
def test_a_logger_that_raises_is_one_warning_and_the_run_and_other_loggers_go_on(
    broken: str, finished_small: Path, tmp_path: Path, task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = Noted(broken), Noted()
    with caplog.at_level(logging.WARNING, "inrzoo"):
        run = tasks.train(task, finished_small, tmp_path / "run", device="cpu", quiet=True, loggers=[bad, good])
    assert run.step == 8 and good.steps == [2, 4, 6, 8] and good.told[-1] == ("end", "finished")
    assert len(caplog.messages) == 1 and "\n" not in caplog.messages[0]
    assert f"Noted is not called again; its {broken} raised OSError: the network is down" in caplog.messages[0]
    assert [method for method, _ in bad.told].count(broken) == 1 and bad.told[-1][0] == broken


def test_a_logger_that_cannot_work_here_is_said_before_the_first_step(
    finished_small: Path, tmp_path: Path, task: Task
) -> None:
    before, bad = Noted(), Noted("begin", InrzooError)
    with pytest.raises(InrzooError, match="the network"):
        tasks.train(task, finished_small, tmp_path / "run", device="cpu", quiet=True, loggers=[before, bad])
    assert before.told[-1] == ("end", "failed") and len(bad.told) == 1
    assert not (tmp_path / "run" / "last.safetensors").exists()


# --- TensorBoard and W&B ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("curves")
def test_tensorboard_reads_each_number_of_a_continued_run_once(
    finished_small: Path, tmp_path: Path, inrzoo: CommandLine
) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    run = tmp_path / "run"
    with SummaryWriter(str(run / "tensorboard")) as another:
        another.add_scalar("lr", 1.0, 1)  # of another run, which this one replaces
    (saved := tmp_path / "run.toml").write_text('logger = ["tensorboard"]\n')
    task = make_task("classify", FIELDS, {})
    tasks.train(
        task, finished_small, run, device="cpu", quiet=True, stop_after=5, loggers=make_loggers(["tensorboard"])
    )
    words = [word for key, value in FIELDS.items() for word in (f"--{key.replace('_', '-')}", value)]
    again = ("--out", run, "--config", saved, "--device", "cpu", "--save-config", tmp_path / "again.toml")
    code, _, err = inrzoo("train", "classify", finished_small, *words, *again)
    assert code == 0, err
    assert 'logger = ["tensorboard"]' in (tmp_path / "again.toml").read_text()
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    for tag, name in {"train/loss": "train_loss", "validation/accuracy": "validation_accuracy", "lr": "lr"}.items():
        points = [(point.step, point.value) for point in events.Scalars(tag)]
        assert points == [(line["step"], pytest.approx(line[name], rel=1e-6)) for line in lines(run)]
    [*_, picture] = events.Images("curve")
    assert (picture.width, picture.height) == Image.open(run / "curve.png").size


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="the extra wandb is not installed")
@pytest.mark.slow  # its service takes seconds to start and to end
def test_a_continued_run_is_one_run_at_wandb_and_each_step_is_in_it_once(
    finished_small: Path, tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = tmp_path / "run"
    for steps in (5, None):
        made = make_loggers(["wandb=digits mode=offline"])
        tasks.train(task, finished_small, run, device="cpu", quiet=True, stop_after=steps, loggers=made)
    found = [record for file in sorted(run.rglob("*.wandb")) for record in records(file)]
    begun = [record.run for record in found if record.HasField("run")]
    assert {each.project for each in begun} == {"digits"}
    assert {each.run_id for each in begun} == {json.loads((run / "wandb.json").read_text())["id"]}
    rows = [
        {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in found
        if record.HasField("history")
    ]
    scores = [(row["_step"], row["score"], row["train_loss"]) for row in rows if "score" in row]
    assert scores == [(line["step"], line["score"], line["train_loss"]) for line in lines(run)]


def records(file: Path) -> list[Any]:
    """What W&B wrote into the file of a run: LevelDB's log format, chunks in blocks of 32 KiB after 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, part = file.read_bytes(), 7, b""
    found = []
    while place + 7 <= len(content):
        if (left := BLOCK - place % BLOCK) < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        part += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last chunk of one
            found.append(Record.FromString(part))
            part = b""
    return found


# --- words -----------------------------------------------------------------------------------------------------


def test_words_of_the_user_s_become_loggers(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Noted()
    assert make_loggers([own]) == [own]
    monkeypatch.setattr("inrzoo.registry.trusted", {})
    [made] = make_loggers([f"{__name__}:Noted=log"])
    assert type(made).__name__ == "Noted" and made._broken == "log"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("tensorbord", "--logger 'tensorbord': no loggers called 'tensorbord' (did you mean 'tensorboard'?)"),
        ("wandb mode=of", "--logger 'wandb mode=of': wandb.mode = 'of' is not allowed; expected one of 'online', "),
        ("wandb=", "--logger 'wandb=': project = '' is not allowed; it must be the name of a project"),
        ("wandb mode", "--logger 'wandb mode' is not allowed; expected NAME, NAME=VALUE or 'NAME FIELD=VALUE ...'"),
        ("tensorboard colour=red", "--logger 'tensorboard colour=red': tensorboard has no field 'colour'"),
        ("os:path", "--logger 'os:path': "),
    ],
)
def test_words_that_are_no_loggers_are_one_line(
    word: str, message: str, finished_small: Path, tmp_path: Path, inrzoo: CommandLine
) -> None:
    run = tmp_path / "run"
    code, out, err = inrzoo("train", "classify", finished_small, "--batch-size", 4, "--logger", word, "--out", run)
    assert (code, out, len(err.splitlines())) == (2, "", 1) and message in err
    assert not run.exists()


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_package_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None if module == name else find(module))
    monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    with pytest.raises(MissingPackageError) as caught:
        make_loggers([name])
    assert f"the logger {name} needs {name}: pip install 'inrzoo[{name}]'" in str(caught.value)
