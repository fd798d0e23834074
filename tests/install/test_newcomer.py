"""The newcomer's path: what it finds wrong, and that it is short enough."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "pipelines"))
import newcomer  # noqa: E402
from newcomer import Step  # noqa: E402

EVALUATED = Step("inrzoo evaluate run digits.zarr", 0, ["accuracy  97.5 %"], 1.0)


def test_a_good_walk_has_no_problem() -> None:
    steps = [Step("pip install", 0, ["y" * 101], 300.0), Step("inrzoo build digits", 0, ["x" * 100], 290.0), EVALUATED]
    assert newcomer.problems(steps, 10, []) == []
    assert newcomer.accuracy(steps) == 97.5


@pytest.mark.parametrize(
    ("steps", "expected", "absent", "problem"),
    [
        ([Step("inrzoo build", 2, ["no such dataset"], 1.0), EVALUATED], 2, [], "exit code 2: inrzoo build"),
        ([Step("a", 0, ["Traceback (most recent call last):"], 1.0), EVALUATED], 2, [], "a traceback: a"),
        ([Step("inrzoo info", 0, ["x" * 101], 1.0), EVALUATED], 2, [], f"101 columns: {'x' * 101}"),
        ([EVALUATED], 11, [], "11 commands, more than 10"),
        ([Step("a", 0, [], 600.0), EVALUATED], 2, [], "601 s, more than 600"),
        ([Step("inrzoo evaluate run", 0, ["accuracy  84.9 %"], 1.0)], 1, [], "accuracy 84.9 %, less than 85.0"),
        ([Step("inrzoo build", 0, [], 1.0)], 1, [], "accuracy 0.0 %, less than 85.0"),
        ([EVALUATED], 1, ["digits.png"], "digits.png is missing"),
    ],
)
def test_each_thing_that_is_wrong_is_found(steps: list[Step], expected: int, absent: list[str], problem: str) -> None:
    assert problem in newcomer.problems(steps, expected, absent)


def test_the_path_with_its_installation_has_ten_commands() -> None:
    assert len(newcomer.INSTALL) + len(newcomer.PATH) <= newcomer.MAX_COMMANDS


def test_what_a_command_prints_is_seen_as_on_a_terminal(tmp_path: Path) -> None:
    code = "import os, sys; print(os.get_terminal_size().columns); print('\\x1b[31mred\\x1b[0m'); sys.exit(3)"
    step = newcomer.run(f'{sys.executable} -c "{code}"', tmp_path, {})
    assert step.code == 3 and step.lines[:2] == ["100", "red"]


@pytest.mark.slow
def test_the_newcomers_path_is_walked(tmp_path: Path) -> None:
    """As installed here: `python pipelines/newcomer.py` installs, too."""
    words = [sys.executable, ROOT / "pipelines" / "newcomer.py", "--no-install", "--out", tmp_path / "page.md"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert page.count("\n| `inrzoo ") == len(newcomer.PATH) and str(ROOT) not in page
