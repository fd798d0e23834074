"""The numba engine computes what the reference does, and the bits of an INR depend on that INR alone."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import engine_truths
import numpy as np
import pytest
from engine_truths import EXTREMES, INRS, LONG, SHAPES, Changes, problem

from inrzoo.errors import InrzooError
from inrzoo.fit import fused_numba
from inrzoo.fit.numba_kernels.places import plan
from inrzoo.fit.result import Status
from inrzoo.inrs import INR
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.siren import Siren


@pytest.mark.parametrize("inr", INRS, ids=str)
def test_losses_and_the_first_steps_agree_with_the_reference(inr: INR) -> None:
    engine_truths.agrees_with_the_reference(fused_numba.fit, inr)


@pytest.mark.parametrize("inr", LONG, ids=str)
def test_a_thousand_steps_reach_the_same_psnr(inr: INR) -> None:
    engine_truths.reaches_the_same_psnr(fused_numba.fit, inr)


def test_bits_do_not_depend_on_neighbours_threads_or_order() -> None:
    engine_truths.bits_depend_on_the_inr_alone(fused_numba.fit)


def test_stopping_is_that_of_a_shorter_fit() -> None:
    engine_truths.stopping_is_that_of_a_shorter_fit(fused_numba.fit)


@pytest.mark.parametrize(("changes", "status"), EXTREMES)
def test_extreme_input_is_safe(changes: Changes, status: Status) -> None:
    engine_truths.extreme_input_is_safe(fused_numba.fit, changes, status)


def test_one_pixel_and_a_learning_rate_that_diverges() -> None:
    engine_truths.one_pixel_is_fitted(fused_numba.fit)
    engine_truths.a_large_learning_rate_diverges(fused_numba.fit)


def digest() -> str:
    """Of INRs of every family, on targets that are the same numbers on every machine."""
    bits = hashlib.sha256()
    for inr in (Siren(**SHAPES, hidden_features=8), GaborNet(**SHAPES)):
        starts, coords, targets = problem(inr, count=2)
        targets = (targets * 64).round() / 64  # torch's sine may differ in the last bit between machines
        fitted = fused_numba.fit(inr, starts, coords, targets, lr=1e-3, snapshots=[20])
        bits.update(fitted.weights_BTP.numpy().tobytes())
    return bits.hexdigest()


def test_bits_are_those_of_every_machine() -> None:
    assert digest() == "21544494462129a8d042ffc970ee362bfb27c53ed051d4822d039386aa2ac3d0"


def in_another_process(program: str, **variables: str) -> str:
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = {**os.environ, **variables, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_a_processor_without_vectors_gives_the_same_bits_and_compiles_once(tmp_path: Path) -> None:
    program = (
        "import numba, test_fused_numba as here; before = numba.config.CACHE_DIR; print(here.digest());"
        "print(sum(here.fused_numba._compiled().fit.stats.cache_hits.values()), numba.config.CACHE_DIR == before)"
    )
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "INRZOO_CACHE": str(tmp_path)}
    assert in_another_process(program, **plain).split() == [digest(), "0", "True"]
    assert len(list(tmp_path.glob("inrzoo/engines/numba-*/**/*.nbc"))) == 2, "one for each family"
    assert in_another_process(program, **plain).split() == [digest(), "2", "True"]


def test_numba_is_imported_when_it_is_asked_for() -> None:
    program = "import sys, inrzoo.fit, inrzoo.fit.fused_numba; print('numba' in sys.modules)"
    assert in_another_process(program) == "False"


@pytest.mark.parametrize("inr", INRS, ids=str)
def test_every_parameter_has_a_place_of_its_own(inr: INR) -> None:
    laid_out = plan(inr.kernel())
    assert len(set(laid_out.places_P.tolist())) == len(laid_out.factors_P) == inr.layout.num_params
    begins, ends = laid_out.stretches_S2.T
    assert begins[0] == 0 and (begins[1:] == ends[:-1]).all() and ends[-1] == laid_out.network.output.size
    assert (np.concatenate([begins, ends]) % 8 == 0).all() and laid_out.places_P.max() < ends[-1]


def test_memory_is_bounded_and_small() -> None:
    assert fused_numba.bytes_per_thread(Siren(**SHAPES)) < 128 * 1024
    assert fused_numba.bytes_per_thread(Siren(**SHAPES, hidden_features=64, hidden_layers=3)) < 512 * 1024


def test_an_interruption_drops_what_has_not_begun() -> None:
    begun = []

    def call(index: int) -> None:
        begun.append(index)
        if index == 1:
            raise KeyboardInterrupt
        time.sleep(0.01)

    for threads in (1, 3):
        begun.clear()
        with pytest.raises(KeyboardInterrupt):
            fused_numba._for_each(call, 100, threads)
        assert 2 <= len(begun) < 50


class Unheard(Siren):
    """An architecture that no engine has a kernel for."""

    def kernel(self) -> None:
        return None


def test_what_it_cannot_serve_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    siren = Siren(**SHAPES)
    starts, coords, targets = problem(siren)
    assert fused_numba.unavailable(siren) is None
    with pytest.raises(InrzooError, match="no kernel for Unheard; --engine reference serves every INR"):
        fused_numba.fit(Unheard(**SHAPES), starts, coords, targets, lr=1e-3, snapshots=[1])
    monkeypatch.setitem(sys.modules, "numba", None)
    fused_numba._no_numba.cache_clear()
    with pytest.raises(InrzooError, match=r"needs numba, which cannot be imported: .*; --engine reference"):
        fused_numba.fit(siren, starts, coords, targets, lr=1e-3, snapshots=[1])
    fused_numba._no_numba.cache_clear()


def test_what_decides_the_bits_is_named() -> None:
    named = fused_numba.environment()
    assert named.keys() == {"numba", "llvmlite", "device", "instruction_set"} and named["device"] == "cpu"
