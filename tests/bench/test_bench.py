"""The command from end to end, with samples too short to mean anything."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inrzoo import bench
from inrzoo.bench import limits, machine, measure, results
from inrzoo.bench.limits import Limits
from inrzoo.bench.measure import Samples
from inrzoo.bench.methods import all_methods
from inrzoo.bench.workloads import WORKLOADS

CommandLine = Callable[..., tuple[int, str, str]]
SHORT = ("--rounds", 1, "--seconds", 0.01)
ROW = {
    *("workload", "method", "what", "cores", "inr_steps_per_s", "lowest", "highest", "rounds", "ratio_to_naive"),
    *("ratio_to_naive_per_core", "fraction_of_limit", "others_cores"),
}


def test_a_run_end_to_end(inrzoo: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SGEMM_SIZES", (256,))
    out = tmp_path / "rates.md"
    chosen = ("--method", "reference-1-thread", "--method", "naive", "--workload", "W1")
    code, text, err = inrzoo("bench", *chosen, *SHORT, "--out", out)
    assert code == 0, err
    assert "W1  SIREN 2/32/32/1" in text and "reference-1-thread" in text and "W2" not in text
    assert not any(line.startswith("vmap") for line in text.splitlines())
    written = out.read_text()
    assert "| naive |" in written and "6.75 MFLOP" in written and "`inrzoo bench --method" in written
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.slow
def test_the_json(inrzoo: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "rates.json"
    chosen = ("--method", "naive-1-thread", "--method", "naive", "--workload", "W4")
    code, text, _ = inrzoo("bench", *chosen, *SHORT, "--json", "--out", out)
    content = json.loads(text)
    assert code == 0 and content == json.loads(out.read_text())
    assert set(content) == {
        *("date", "machine", "settings", "limits", "workloads", "rows", "not_measured", "notes", "warnings")
    }
    assert [row["method"] for row in content["rows"]] == ["naive", "naive-1-thread"]
    for row in content["rows"]:
        assert set(row) == ROW
        limit = content["workloads"]["W4"]["limit"] if row["cores"] > 1 else None
        if limit:
            assert row["fraction_of_limit"] == pytest.approx(row["inr_steps_per_s"] / limit)
    naive = content["rows"][0]
    assert naive["ratio_to_naive"] == 1 and naive["ratio_to_naive_per_core"] is None
    assert content["machine"]["cores"] == len(machine.cores())


@pytest.mark.slow
def test_one_process_on_each_core_end_to_end() -> None:
    words = "bench --workload W1 --method naive-per-core --method fused --rounds 1 --seconds 0.01 --json"
    done = subprocess.run([sys.executable, "-m", "inrzoo", *words.split()], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["method"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["naive-per-core"]["ratio_to_naive_per_core"] == 1 and rows["fused"]["ratio_to_naive"] is None


@pytest.mark.parametrize(
    "words, line",
    [
        (["--workload", "W9"], "no workload called 'W9'; there are: W1, W2, W3, W4"),
        (["--method", "naif"], "no method called 'naif'; there are: naive, naive-1-thread, naive-per-core, vmap, "),
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
    monkeypatch.setitem(sys.modules, "jax", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = inrzoo("bench", "--method", "jax", *SHORT)
    assert code == 2 and "cannot measure W1 jax: jax is not installed: pip install 'inrzoo[jax]'" in err


def test_a_row_is_the_median_and_its_ratios() -> None:
    found = all_methods(cores=4)
    workload = WORKLOADS["W1"]
    peaks = Limits({"256-bit": {1: 1e9, 4: 4e9}}, {"256-bit": {1: 1e9, 4: 4e9}})
    naive = Samples(workload, found["naive"], [90.0, 100.0, 500.0], [None, None, None])
    per_core = Samples(workload, found["naive-per-core"], [200.0], [0.0])
    alone = Samples(workload, found["naive-1-thread"], [50.0, 50.0], [0.2, 0.4])
    other = Samples(WORKLOADS["W2"], found["naive"], [1.0], [0.0])
    row = results.row(alone, [naive, per_core, alone, other], peaks, cores=4)
    assert (row["ratio_to_naive"], row["ratio_to_naive_per_core"], row["others_cores"]) == (
        0.5,
        0.25,
        pytest.approx(0.3),
    )
    one_core = 1e9 / (workload.flops + workload.sincos)
    assert row["fraction_of_limit"] == pytest.approx(50 / one_core)
    row = results.row(naive, [naive, other], peaks, cores=4)
    assert row["fraction_of_limit"] == pytest.approx(100 / (4 * one_core))
    assert row["others_cores"] is None and row["ratio_to_naive_per_core"] is None and row["highest"] == 500


def test_a_disturbed_measurement_is_warned_of() -> None:
    quiet = {"workload": "W1", "method": "naive", "others_cores": 0.02}
    busy = {"workload": "W2", "method": "fused", "others_cores": 0.6}
    peaks, machine = Limits({"256-bit": {1: 1.0}}, {"256-bit": {1: 1.0}}), {"torch_threads": 4, "cores": 4}
    assert bench._warnings([quiet, {**quiet, "others_cores": None}], peaks, None, machine) == []
    (line,) = bench._warnings([quiet, busy], peaks, 0.1, machine)
    assert "in 1 of 2 rows, most of all 0.60 during W2 fused" in line
    (line,) = bench._warnings([quiet], peaks, 0.3, machine)
    assert line.startswith("other processes used 0.30 core(s) while the limits")
    (line,) = bench._warnings([quiet], peaks, None, {"torch_threads": 1, "cores": 4})
    assert "number of threads is 1 on 4 cores" in line


def test_plain_loops_and_engines_take_part_in_every_round() -> None:
    found = all_methods(cores=4)
    assert all(measure.rounds_of(found[name], 7) == set(range(7)) for name in ("naive", "fused", "reference-per-core"))
    assert measure.rounds_of(found["vmap"], 7) == {0, 2, 4, 5} and measure.rounds_of(found["vmap"], 1) == {0}
    assert measure.rounds_of(found["jax"], 3) == {0, 1, 2}


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
        timer = measure._Timer(all_methods(1)["naive-1-thread"], WORKLOADS["W1"], workers, bar.torch_threads)
        timer.calibrate(0.1)
        began = perf_counter()
        rate = timer.sample(0.1)
        took = perf_counter() - began
    assert took >= 0.1 and rate > 1
