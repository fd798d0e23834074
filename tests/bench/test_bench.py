"""The command from end to end, with samples too short to mean anything."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inrzoo import bench
from inrzoo.bench import limits, machine, measure, results
from inrzoo.bench.limits import Limits
from inrzoo.bench.measure import Samples
from inrzoo.bench.methods import Method, engine_methods
from inrzoo.bench.workloads import WORKLOADS
from inrzoo.fit import fused_cpu

CommandLine = Callable[..., tuple[int, str, str]]
SHORT = ("--rounds", 1, "--seconds", 0.01)
ROW = {
    *("workload", "method", "what", "cores", "inr_steps_per_s", "lowest", "highest", "rounds", "ratios"),
    *("fraction_of_limit", "others_cores"),
}


def test_a_run_end_to_end(inrzoo: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SGEMM_SIZES", (256,))
    out = tmp_path / "rates.md"
    chosen = ("--method", "reference-1-thread", "--method", "fused", "--workload", "W1")
    code, text, err = inrzoo("bench", *chosen, *SHORT, "--out", out)
    assert code == 0, err
    assert "W1  SIREN 2/32/32/1" in text and "reference-1-thread" in text and "W2" not in text
    assert not any(line.startswith("reference-per-core") for line in text.splitlines())
    written = out.read_text()
    assert (
        "| fused |" in written
        and "x naive" not in written
        and "6.75 MFLOP" in written
        and "`inrzoo bench --method" in written
    )
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.slow
def test_the_json(inrzoo: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "rates.json"
    chosen = ("--method", "reference-1-thread", "--method", "fused-1-thread", "--workload", "W4")
    code, text, _ = inrzoo("bench", *chosen, *SHORT, "--json", "--out", out)
    content = json.loads(text)
    assert code == 0 and content == json.loads(out.read_text())
    assert set(content) == {
        *("date", "machine", "settings", "limits", "workloads", "rows", "not_measured", "notes", "warnings")
    }
    assert [row["method"] for row in content["rows"]] == ["fused-1-thread", "reference-1-thread"]
    for row in content["rows"]:
        assert set(row) == ROW
        limit = content["workloads"]["W4"]["limit"] if row["cores"] > 1 else None
        if limit:
            assert row["fraction_of_limit"] == pytest.approx(row["inr_steps_per_s"] / limit)
        assert row["ratios"] == {}
    assert content["machine"]["cores"] == len(machine.cores())


@pytest.mark.slow
def test_one_process_on_each_core_end_to_end() -> None:
    words = "bench --workload W1 --method reference-per-core --method fused --rounds 1 --seconds 0.01 --json"
    done = subprocess.run([sys.executable, "-m", "inrzoo", *words.split()], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["method"]: row for row in json.loads(done.stdout)["rows"]}
    assert set(rows) == {"fused", "reference-per-core"} and all(
        row["cores"] == len(machine.cores()) for row in rows.values()
    )


@pytest.mark.parametrize(
    "words, line",
    [
        (["--workload", "W9"], "no workload called 'W9'; there are: W1, W2, W3, W4"),
        (["--method", "naif"], "no method called 'naif'; there are: fused-1-thread, fused, reference-1-thread, "),
        (["--rounds", "0"], "--rounds 0 is not allowed; it must be above 0"),
        (["--seconds", "nan"], "--seconds nan is not allowed; it must be above 0"),
        (["--out", "rates.txt"], "--out rates.txt is not allowed; expected a name that ends in .json or .md"),
        (["--out", "/nowhere/rates.md"], "--out /nowhere/rates.md: /nowhere is no folder that can be written to"),
    ],
)
def test_bad_words_are_one_line(words: list[str], line: str, inrzoo: CommandLine) -> None:
    code, out, err = inrzoo("bench", *words)
    assert (code, out) == (2, "") and line in err and len(err.splitlines()) == 1


def test_a_wanted_method_that_does_not_work_here_is_one_line(
    inrzoo: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_cpu, "unavailable", lambda inr, device="cpu": "needs AVX2")
    code, _, err = inrzoo("bench", "--method", "fused", *SHORT)
    assert code == 2 and "cannot measure W1 fused: " in err and "needs AVX2" in err


def method(name: str, **options: Any) -> Method:
    return Method(name, name, lambda workload, starts, targets: lambda steps: starts, "thread", 1, **options)


def test_a_row_is_the_median_and_its_ratios_to_baselines() -> None:
    workload = WORKLOADS["W1"]
    peaks = Limits({"256-bit": {1: 1e9, 4: 4e9}}, {"256-bit": {1: 1e9, 4: 4e9}})
    base = method("base", baseline=True)
    slow = Samples(workload, base, [90.0, 100.0, 500.0], [None, None, None])
    fast = Samples(workload, method("fast", baseline=True), [200.0], [0.0])
    alone = Samples(workload, method("alone", one_core=True), [50.0, 50.0], [0.2, 0.4])
    other = Samples(WORKLOADS["W2"], base, [1.0], [0.0])
    row = results.row(alone, [slow, fast, alone, other], peaks, cores=4)
    assert row["ratios"] == {"base": 0.5, "fast": 0.25} and row["others_cores"] == pytest.approx(0.3)
    one_core = 1e9 / (workload.flops + workload.sincos)
    assert row["fraction_of_limit"] == pytest.approx(50 / one_core)
    row = results.row(slow, [slow, other], peaks, cores=4)
    assert row["fraction_of_limit"] == pytest.approx(100 / (4 * one_core))
    assert row["others_cores"] is None and row["ratios"] == {"base": 1.0} and row["highest"] == 500


def test_a_disturbed_measurement_is_warned_of() -> None:
    quiet = {"workload": "W1", "method": "fused-1-thread", "others_cores": 0.02}
    busy = {"workload": "W2", "method": "fused", "others_cores": 0.6}
    peaks, machine = Limits({"256-bit": {1: 1.0}}, {"256-bit": {1: 1.0}}), {"torch_threads": 1, "cores": 4}
    assert bench._warnings([quiet, {**quiet, "others_cores": None}], peaks, None, machine, []) == []
    (line,) = bench._warnings([quiet, busy], peaks, 0.1, machine, [])
    assert "in 1 of 2 rows, most of all 0.60 during W2 fused" in line and "ratios" not in line
    (line,) = bench._warnings([quiet], peaks, 0.3, machine, [])
    assert line.startswith("other processes used 0.30 core(s) while the limits")
    (line,) = bench._warnings([quiet], peaks, None, machine, ["pool"])
    assert "number of threads is 1 on 4 cores" in line and "pool use no more" in line


def test_a_method_takes_part_in_every_round_or_in_half_of_them() -> None:
    assert all(measure.rounds_of(one, 7) == set(range(7)) for one in engine_methods(cores=4))
    half = method("half", always=False)
    assert measure.rounds_of(half, 7) == {0, 2, 4, 5} and measure.rounds_of(half, 1) == {0}
    assert measure.rounds_of(half, 3) == {0, 1, 2}


def test_what_others_use_is_seen_and_what_we_use_is_not() -> None:
    if not machine.STAT.exists():
        pytest.skip("no /proc/stat")
    count = "import time\nend = time.time() + 1\nwhile time.time() < end: pass"
    pinned = ["taskset", "-c", str(machine.cores()[0]), sys.executable, "-c", count]
    with subprocess.Popen(pinned) as other:
        ignored, seen = machine.OtherProcesses([other.pid]), machine.OtherProcesses()
        sum(range(10_000_000))
        cores, without = seen.cores(), ignored.cores()
        other.kill()
    assert cores is not None and without is not None
    assert cores - without > 0.05


def test_a_sample_lasts_as_long_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from time import perf_counter

    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    with measure.Bar(1) as bar, bench.Workers([]) as workers:
        timer = measure._Timer(engine_methods(1)[-2], WORKLOADS["W1"], workers, bar.torch_threads)
        timer.calibrate(0.1)
        began = perf_counter()
        rate = timer.sample(0.1)
        took = perf_counter() - began
    assert took >= 0.1 and rate > 1
