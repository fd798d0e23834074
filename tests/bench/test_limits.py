"""The limits are those of a processor: of the same code at any width, higher on more and wider units."""

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest

from inrzoo.bench import limits
from inrzoo.bench.limits import Limits
from inrzoo.bench.workloads import WORKLOADS
from inrzoo.fit import fused_cpu
from inrzoo.inrs.siren import Siren

native = pytest.mark.skipif(
    fused_cpu.unavailable(Siren(in_features=2, out_features=1)) is not None,
    reason="needs an x86-64 processor with AVX2 and a C++ compiler",
)


@pytest.fixture(autouse=True)
def small_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SGEMM_SIZES", (256,))


def test_peaks_are_positive_and_one_for_every_thread_count() -> None:
    ticks: list[int] = []
    found = limits.measure(1, 0.01, lambda: ticks.append(1))
    assert len(ticks) == limits.count_of_peaks(1)
    for peaks in (found.flops, found.sincos):
        assert all(set(rates) == {1} and rates[1] > 1e6 for rates in peaks.values())
    assert {"sgemm"} <= set(found.flops) and {"torch"} <= set(found.sincos)


@native
def test_wide_registers_are_no_slower_and_nothing_beats_multiply_add() -> None:
    """Other tests may run beside this one, and lower a peak: then it is measured again, at most 60 times."""

    def violated(peaks: Limits) -> list[str]:
        widths = sorted(set(peaks.flops) - {"sgemm"})
        products = {name: peaks.flops[name][1] for name in peaks.flops}
        sines = {name: peaks.sincos[name][1] for name in widths}
        # A product of matrices is made of multiply-adds, and a sincos has nine: their peak cannot lie below either.
        said = ["sgemm is faster"] if max(products[name] for name in widths) < 0.9 * products["sgemm"] else []
        said += [f"{name}: sines are faster" for name in widths if products[name] < 0.9 * 18 * sines[name]]
        if "512-bit" in widths:
            pairs = (products, sines)
            said += ["512-bit is slower" for rates in pairs if rates["512-bit"] < 0.9 * rates["256-bit"]]
        return said

    found = limits.measure(1, 0.03)
    for _ in range(60):
        if not violated(found):
            break
        found = limits.best(found, limits.measure(1, 0.03))
    assert violated(found) == []


@native
@pytest.mark.parametrize("bits", limits.WIDTHS)
def test_the_sines_that_are_timed_are_sines(bits: int) -> None:
    if f"{bits}-bit" not in limits._libraries():
        pytest.skip(f"this processor has no {bits}-bit registers")
    x = np.linspace(-30, 30, bits // 32 * 100, dtype=np.float32).reshape(100, -1)
    sine, cosine = np.empty_like(x), np.empty_like(x)
    for rows in zip(x, sine, cosine, strict=True):
        limits.library(bits).sincos_of(*(ctypes.c_void_p(row.ctypes.data) for row in rows))
    np.testing.assert_allclose(sine, np.sin(np.pi * x.astype(np.float64)), atol=1e-6)
    np.testing.assert_allclose(cosine, np.cos(np.pi * x.astype(np.float64)), atol=1e-6)


def test_the_limit_is_the_sum_of_both_times() -> None:
    """The table of the machine that the engine was designed on: 468.5 GFLOP/s and 20.28 G sincos/s."""
    found = Limits({"256-bit": {4: 468.5e9}, "sgemm": {4: 1.0}}, {"256-bit": {4: 20.28e9}, "torch": {4: 1.0}})
    expected = {"W1": 17.6, "W2": 176.0, "W3": 18.5, "W4": 10.2}
    for name, microseconds in expected.items():
        assert 1e6 / found.inr_steps_per_s(WORKLOADS[name], 4) == pytest.approx(microseconds, abs=0.06)
    assert found.highest == ("256-bit", "256-bit")


def test_the_best_of_two_measurements() -> None:
    one = Limits({"sgemm": {1: 1.0, 2: 5.0}}, {"torch": {1: 3.0, 2: 3.0}})
    other = Limits({"sgemm": {1: 2.0, 2: 4.0}}, {"torch": {1: 1.0, 2: 6.0}})
    assert limits.best(one, other) == Limits({"sgemm": {1: 2.0, 2: 5.0}}, {"torch": {1: 3.0, 2: 6.0}})
    assert limits.best(one, other).highest == ("sgemm", "torch")


@pytest.mark.slow
def test_without_a_compiler_torch_is_the_limit_and_it_is_said() -> None:
    words = "bench --workload W1 --method reference-1-thread --rounds 1 --seconds 0.01"
    program = "import sys; sys.modules['ziglang'] = None; from inrzoo.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words.split()],
        env={**os.environ, "PATH": "/nowhere", "CXX": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "256-bit" not in done.stdout.split("GFLOP/s")[0] and "warning: no C++ compiler" in done.stdout
