"""The attack campaign, short: benchmarks/attack.py with a few attacks of every kind but hostile servers, which wait."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import attack
import pytest

CAMPAIGN = Path(attack.__file__)


def record(kind: str, number: int, problems: list[str], attacks: int = 1, code: str = "now") -> str:
    line = {"code": code, "kind": kind, "number": number, "what": "", "problems": problems, "attacks": attacks}
    return json.dumps({**line, "harmless": ["zarr.json: the parsed JSON is equal"] * (attacks > 1)}) + "\n"


def test_a_campaign_is_shared_out_as_planned() -> None:
    cases = list(attack.planned(sum(kind.share for kind in attack.KINDS.values()), []))
    assert len(cases) == len(set(cases))
    assert {kind for kind, _ in cases[: len(attack.KINDS)]} == attack.KINDS.keys()
    for name, kind in attack.KINDS.items():
        assert sum(one == name for one, _ in cases) * kind.batch == kind.share


def test_an_attack_that_was_not_withstood_is_counted_and_named(tmp_path: Path) -> None:
    lines = [record("flip", 0, [], 60), record("kill", 0, []), record("kill", 1, ["stats: lost"])]
    (tmp_path / "lane-0.jsonl").write_text("".join(lines) + record("kill", 2, ["old"], code="before"))
    said: list[str] = []
    assert attack.summary(tmp_path, "now", said.append) == 1
    assert any("| 1 of 2 |" in line for line in said) and "| **all** | | **61 of 62** |" in said
    assert said[-1] == "NOT WITHSTOOD: kill 1: stats: lost" and not any("old" in line for line in said)
    assert "harmless, 1 times: zarr.json: the parsed JSON is equal" in said


@pytest.mark.slow
def test_a_process_is_killed_at_the_operation_that_was_chosen(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from attack_process import Operations
home = Path(sys.argv[1])
(home / "old").write_text("old")
pid = os.fork()
if not pid:
    Operations(home, int(sys.argv[2]), sys.argv[3]).install()
    (home / "one").write_text("1")
    (home / "old").write_text("new")
    (home / "one").rename(home / "two")
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
for name in ("old", "one", "two"):
    print((home / name).read_text() if (home / name).exists() else None)
"""

    def run(at: int, harm: str) -> list[str]:
        for file in tmp_path.iterdir():
            file.unlink()
        words = [sys.executable, "-c", code, str(tmp_path), str(at), harm]
        path = os.pathsep.join(sys.path)
        return subprocess.check_output(words, text=True, env={**os.environ, "PYTHONPATH": path}).splitlines()

    killed = str(-signal.SIGKILL)
    assert run(0, "none") == ["0", "new", "None", "1"]
    assert run(2, "kill") == [killed, "old", "1", "None"]
    assert run(2, "torn") == [killed, "", "1", "None"]
    assert run(3, "kill") == [killed, "new", "1", "None"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_attacks_of_every_kind_are_withstood(tmp_path: Path) -> None:
    kinds = [kind for kind in attack.KINDS if kind != "server"]
    words = [sys.executable, str(CAMPAIGN), "--count", "8", "--out", str(tmp_path), "--only", *kinds]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = [json.loads(line) for line in (tmp_path / "lane-0.jsonl").read_text().splitlines()]
    assert {line["kind"] for line in lines} == {*kinds} and not any(line["problems"] for line in lines)
    # A kill or a full disk may come too late to harm anything; such an attack does not count and has no row.
    assert {line["kind"] for line in lines if not line["attacks"]} <= {"kill", "full disk", "pair"}
