"""The fused engine computes what the reference does, and the bits of an INR depend on that INR alone."""

from pathlib import Path

import engine_truths
import pytest
from engine_truths import EXTREMES, INRS, LONG, SHAPES, Changes, problem
from tiny_store import store_bytes, tiny

from inrzoo import fit as fitting
from inrzoo.builder import build
from inrzoo.choices import Status
from inrzoo.errors import InrzooError
from inrzoo.fit import FitProblem, compiled, engines, fused_cpu
from inrzoo.inrs import INR
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.siren import Siren
from inrzoo.refit import refit
from inrzoo.store import open_store
from inrzoo.verify import verify

pytestmark = pytest.mark.skipif(
    fused_cpu.unavailable(Siren(in_features=2, out_features=1)) is not None,
    reason="the fused engine needs an x86-64 processor with AVX2 and a C++ compiler",
)


@pytest.mark.parametrize("inr", INRS, ids=str)
def test_losses_and_the_first_steps_agree_with_the_reference(inr: INR) -> None:
    engine_truths.agrees_with_the_reference(fused_cpu.fit, inr)


@pytest.mark.parametrize("inr", LONG, ids=str)
def test_many_steps_reach_the_same_psnr(inr: INR) -> None:
    engine_truths.reaches_the_same_psnr(fused_cpu.fit, inr, side=16, steps=200)


@pytest.mark.slow
@pytest.mark.parametrize("inr", LONG, ids=str)
def test_a_thousand_steps_reach_the_same_psnr(inr: INR) -> None:
    engine_truths.reaches_the_same_psnr(fused_cpu.fit, inr, side=32, steps=1000)


def test_bits_do_not_depend_on_neighbours_threads_or_order() -> None:
    engine_truths.bits_depend_on_the_inr_alone(fused_cpu.fit)


def test_stopping_is_that_of_a_shorter_fit() -> None:
    engine_truths.stopping_is_that_of_a_shorter_fit(fused_cpu.fit)


@pytest.mark.parametrize(("changes", "status"), EXTREMES)
def test_extreme_input_is_safe(changes: Changes, status: Status) -> None:
    engine_truths.extreme_input_is_safe(fused_cpu.fit, changes, status)


def test_one_pixel_and_a_learning_rate_that_diverges() -> None:
    engine_truths.one_pixel_is_fitted(fused_cpu.fit)
    engine_truths.a_large_learning_rate_diverges(fused_cpu.fit)


class Unheard(Siren):
    """An architecture that no engine has a kernel for."""

    def kernel(self) -> None:
        return None


def test_what_it_cannot_serve_is_said_and_auto_goes_on() -> None:
    unheard, siren = Unheard(**SHAPES), Siren(**SHAPES)
    assert engines.choose("auto", siren, "cpu", False) == ("fused", None)
    assert engines.choose("auto", unheard, "cpu", False) == ("reference", "the fused engine has no kernel for Unheard")
    assert engines.choose("auto", FourierNet(**SHAPES), "cpu", True) == ("fused", None)
    for inr, device, said in ((unheard, "cpu", "no kernel for Unheard"), (siren, "cuda", "not on a GPU")):
        with pytest.raises(InrzooError, match=rf"{said}.*; --engine reference serves every INR"):
            engines.choose("fused", inr, device, False)
    with pytest.raises(InrzooError, match="--products tf32 is not allowed; the fused engine has: ieee"):
        engines.choose_products("tf32", "fused")


def test_without_a_compiler_the_reference_takes_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fused_cpu, "compiler", lambda: None)
    build(tiny(limit=4, seeds=1, fit__engine="auto"), tmp_path / "store.zarr", in_process=True)
    assert "engine: reference (the fused engine needs a C++ compiler; neither g++" in capfd.readouterr().err
    assert open_store(tmp_path / "store.zarr").settings.fit.engine == "reference"
    assert verify(tmp_path / "store.zarr").problems == []


@pytest.mark.parametrize(
    ("named", "on_path", "ziglang", "command"),
    [
        ("ccache clang++ -m64", ["g++"], True, ("ccache", "clang++", "-m64")),
        ("", ["c++", "clang++", "g++"], True, ("/bin/g++",)),
        ("", ["c++"], True, ("/bin/c++",)),
        ("", [], True, compiled.ZIG),
        ("", [], False, None),
    ],
)
def test_the_compiler_is_that_of_the_user_before_that_of_a_package(
    named: str, on_path: list[str], ziglang: bool, command: tuple[str, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", named)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}" if name in on_path else None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if ziglang and name == "ziglang" else None)
    compiled.system_compiler.cache_clear()
    compiled.compiler.cache_clear()
    try:
        assert compiled.compiler() == command
    finally:
        compiled.system_compiler.cache_clear()
        compiled.compiler.cache_clear()


@pytest.mark.parametrize("command", [("/nowhere/cxx",), ("false",)])
def test_a_compiler_that_does_not_run_is_one_line(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "compiler", lambda: command)
    with pytest.raises(InrzooError, match=f"{command[0]} is no C\\+\\+ compiler that runs here; .* variable CXX"):
        fused_cpu.bytes_per_thread(Siren(**SHAPES), 1)


def test_a_compiler_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INRZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(fused_cpu, "FLAGS", ("-std=c++17", "-Werror", "--no-such-flag"))
    starts, coords, targets = problem(inr := Siren(**SHAPES, hidden_features=3))
    with pytest.raises(InrzooError, match=r"cannot compile engine.cpp: .*no-such-flag"):
        fused_cpu.fit(FitProblem(inr, starts, coords, targets, lr=1e-3, snapshots=[1]))
    assert not list((tmp_path / "kernels").glob("*.so"))
    name, reason = engines.choose("auto", inr, "cpu", False, ready=True)
    assert name != "fused" and "no-such-flag" in str(reason)


def test_memory_is_bounded_and_small() -> None:
    assert fused_cpu.bytes_per_thread(Siren(**SHAPES), 1024) < 256 * 1024
    deep = Siren(**SHAPES, hidden_features=64, hidden_layers=3)
    assert fused_cpu.bytes_per_thread(deep, 1024) < 640 * 1024


@pytest.mark.slow
def test_builds_are_the_same_bytes_and_re_fits_too(tmp_path: Path) -> None:
    settings = tiny(fit__engine="auto", fit__views=[5, 40])
    build(settings, tmp_path / "a.zarr", in_process=True, quiet=True)
    build(tiny(fit__engine="fused", fit__views=[5, 40], seeds=1), tmp_path / "b.zarr", in_process=True, quiet=True)
    build(settings, tmp_path / "b.zarr", workers=2, quiet=True)
    assert store_bytes(tmp_path / "a.zarr") == store_bytes(tmp_path / "b.zarr")
    assert verify(tmp_path / "a.zarr").problems == [] and verify(tmp_path / "a.zarr").max_psnr_difference < 1e-3
    assert all(one.bit_equal for one in refit(tmp_path / "a.zarr", 12).refits)
    assert open_store(tmp_path / "a.zarr").info.environment["instruction_set"] == "x86-64-v3"
    assert fitting.engine("fused").fit is fused_cpu.fit
