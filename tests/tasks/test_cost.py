"""The cost of a run is counted over all its calls, and tables say what they are told."""

import json

import pytest
import torch

from inrzoo.tasks import Comparison, Measurement, cost, train
from inrzoo.tasks.few_shot import FewShot

TASK = FewShot(
    way=3, shot=2, query=3, steps=6, validate_every=6, validation_episodes=2,
    encoder={"name": "flat_mlp", "tensors": "all", "hidden_features": 8},
)  # fmt: skip


def test_seconds_of_all_calls_are_added_and_a_call_without_work_adds_none(characters, tmp_path):
    seconds = [0.0]
    for _ in range(3):
        train(TASK, characters, tmp_path / "run", quiet=True, device="cpu", stop_after=2)
        seconds.append(cost(tmp_path / "run").seconds)
    assert seconds == sorted(set(seconds))
    train(TASK, characters, tmp_path / "run", quiet=True, device="cpu")
    found = cost(tmp_path / "run")
    assert found.seconds >= seconds[-1]
    kept = (tmp_path / "run" / "run.json").read_bytes()
    assert train(TASK, characters, tmp_path / "run", quiet=True, device="cpu").step == 6
    assert (tmp_path / "run" / "run.json").read_bytes() == kept
    assert found.device.endswith(f", {torch.get_num_threads()} thread(s)")
    (tmp_path / "run" / "run.json").write_text('{"seconds": 1e6, "cpu_seconds": 1e6, "device": "another"}')
    train(TASK, characters, tmp_path / "run", quiet=True, device="cpu", overwrite=True, stop_after=1)
    assert cost(tmp_path / "run").seconds < 1e5  # another run: the old one's time is not its own


def test_a_run_that_breaks_off_is_counted_too(characters, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("inrzoo.tasks.training.journal.Journal.add", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(TASK, characters, tmp_path / "run", quiet=True, device="cpu")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["seconds"] > 0
    assert cost(tmp_path / "nowhere").seconds == 0


def test_a_table_has_columns_of_words_and_the_paper_s_where_it_has_a_number(tmp_path, caplog):
    caplog.set_level("INFO", "inrzoo")
    one, two = Measurement("a", 90.0, 1.0, 10), Measurement("b", 30.0, 2.0, 10)
    page = Comparison(tmp_path / "page.md", "Table", ["a", "b"], notes=["on", "minutes"])
    page.add("first", {"a": one, "b": two}, (95.16, None), ["here", "1.0"])
    page.add("second", {"a": one}, (), ["there", "2.5"])
    with pytest.raises(ValueError, match="1 notes"):
        page.add("third", {}, (), ["alone"])
    page.check("a is above b", one, two)
    page.write("Words.")
    lines = (tmp_path / "page.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    assert rows == [
        ["", "a, paper", "here", "b", "on", "minutes"],
        ["first", "95.16", "90.0 ± 1.0", "30.0 ± 2.0", "here", "1.0"],
        ["second", "", "90.0 ± 1.0", "", "there", "2.5"],
    ]
    assert lines[-1].startswith("* a is above b: **held**")
    assert "first" in caplog.text
