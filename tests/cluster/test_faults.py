"""The fault campaign, short: benchmarks/faults.py with a few faults of every kind that this machine can make."""

import os
import subprocess
import sys
from pathlib import Path

import fault_kinds
import faults
import pytest

CAMPAIGN = Path(faults.__file__)


def test_a_campaign_is_shared_out_as_planned() -> None:
    cases = list(faults.planned(210, []))
    assert len(cases) == len(set(cases)) == 210
    assert {kind for kind, _ in cases[: len(faults.SHARES)]} == faults.SHARES.keys()


def test_a_fault_that_was_not_survived_is_counted(tmp_path: Path) -> None:
    (tmp_path / "lane-0.jsonl").write_text(
        '{"kind": "k", "number": 0, "hit": true, "problem": ""}\n'
        '{"kind": "k", "number": 1, "hit": false, "problem": ""}\n'
        '{"kind": "k", "number": 2, "hit": true, "problem": "other bytes"}\n'
    )
    said: list[str] = []
    assert faults.summary(tmp_path, said.append) == 1
    assert said[-1] == "1 of 2 faults survived" and "other bytes" in said[-2]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_kind_of_fault_is_survived(tmp_path: Path) -> None:
    kinds = list(faults.SHARES)
    if os.geteuid():
        kinds.remove("disk full")
    if fault_kinds.FAKETIME is None:
        kinds.remove("clock jumps")
    words = [sys.executable, str(CAMPAIGN), "--count", "14", "--out", str(tmp_path / "faults"), "--only", *kinds]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.strip().endswith("faults survived")
