"""The scripts behind the numbers in docs/reliability.md, in small: they run, and what they count is right."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def _run(script: str, *words: object) -> str:
    command = [sys.executable, str(BENCHMARKS / script), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("| \n").split("|")] for line in table.splitlines() if "|" in line]


@pytest.mark.slow
def test_ten_million_in_small(tmp_path: Path) -> None:
    said = _run("ten_million.py", "--count", 20_000, "--out", tmp_path)
    found = {(stage, what): value for stage, what, value in _rows(said)}
    assert found["create", "INRs"] == found["stream", "streamed INRs"] == "20,000"
    assert found["statistics", "INRs in the statistics"] == "18,000"  # nine tenths are the training split
    assert found["open", "complete"] == "True"
    alone, handful, messages = (
        int(found["fill", what].replace(",", ""))
        for what in ("blocks handed out one by one", "blocks handed out by the handful", "messages of those")
    )
    assert alone + handful == -(-20_000 // 1024) and 1 <= messages <= handful


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["ray", "threads"])
def test_scaling_in_small(executor: str) -> None:
    said = _run("scaling.py", "--cores", "1,2", "--limit", 64, "--rounds", 1, "--per-core", 4, "--executor", executor)
    rows = _rows(said)[2:]
    assert [row[0] for row in rows] == ["1", "2"] and rows[0][3] == "100.0%"
    assert all(float(row[1]) > 0 and float(row[4].split(",")[0]) > 0 for row in rows)
