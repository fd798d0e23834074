"""Every method fits the same INRs to the same signals: a benchmark of wrong code is no benchmark."""

import os
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import fitting_plain
import pytest
import torch
from fitting_compiled import by_autograd, by_hand
from fitting_peers import peers

from inrzoo.bench import machine
from inrzoo.bench.methods import Method, engine_methods
from inrzoo.bench.workers import Workers
from inrzoo.bench.workloads import WORKLOADS, Workload
from inrzoo.errors import InrzooError
from inrzoo.fit import FitProblem, loop
from inrzoo.fit.metrics import mse
from inrzoo.inrs.relu_mlp import ReluMlp

TINY = [replace(WORKLOADS[name], sizes=(7, 9), lr=1e-3) for name in ("W1", "W2", "W3", "W4")]
COUNT, STEPS = 3, 5
METHODS = {method.name: method for method in [*peers(), *engine_methods(cores=2)]}
OWN_TEST = ("compile", "jax")
QUICK = [name for name, method in METHODS.items() if method.where != "per core" and name not in OWN_TEST]


def loss(workload: Workload, weights_BP: torch.Tensor) -> torch.Tensor:
    return mse(workload.inr(weights_BP, workload.coords()), workload.signals(len(weights_BP)))


def agrees(method: Method, workload: Workload) -> None:
    """Losses after some steps as the reference engine's; and not after one step more or fewer."""
    if (reason := method.unavailable(workload)) is not None:
        pytest.skip(reason)
    starts, targets = workload.starts(COUNT), workload.signals(COUNT)
    snapshots = [STEPS - 1, STEPS, STEPS + 1]
    reference = loop.fit(
        FitProblem(workload.inr, starts, workload.coords(), targets, lr=workload.lr, snapshots=snapshots)
    )
    before, there, after = reference.loss_BT.T
    run = method.prepare(workload, starts, targets)
    found = loss(workload, run(STEPS))
    torch.testing.assert_close(found, there, rtol=1e-3, atol=1e-7)
    assert not torch.isclose(found, before, rtol=1e-3).any() and not torch.isclose(found, after, rtol=1e-3).any()
    torch.testing.assert_close(run(STEPS), run(STEPS), rtol=1e-4, atol=1e-5)  # begins at the starts again
    torch.testing.assert_close(starts, workload.starts(COUNT), rtol=0, atol=0)


@pytest.mark.parametrize("workload", TINY, ids=lambda workload: workload.name)
@pytest.mark.parametrize("name", QUICK)
def test_a_method_agrees_with_the_reference(name: str, workload: Workload) -> None:
    agrees(METHODS[name], workload)


@pytest.mark.slow
@pytest.mark.parametrize("workload", TINY, ids=lambda workload: workload.name)
def test_compiled_torch_agrees_with_the_reference(workload: Workload) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's compiler warns of its own imports
        agrees(METHODS["compile"], workload)


@pytest.mark.slow
def test_jax_agrees_with_the_reference() -> None:
    """In a process of its own: once JAX is imported, it warns of every later fork."""
    if (reason := METHODS["jax"].unavailable(TINY[0])) is not None:
        pytest.skip(reason)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        list(pool.map(agrees, [METHODS["jax"]] * len(TINY), TINY))


def test_the_gradient_by_hand_is_autograd_s() -> None:
    for workload in TINY[:3]:
        coords = workload.coords().double().expand(COUNT, -1, -1)
        problem = (workload.starts(COUNT).double(), coords, workload.signals(COUNT).double())
        torch.testing.assert_close(by_hand(workload.inr, *problem), by_autograd(workload.inr, *problem))  # type: ignore[arg-type]


def test_the_plain_module_is_the_inr() -> None:
    for workload in TINY:
        weights = workload.starts(1)
        model = fitting_plain.module(workload.inr)
        torch.nn.utils.vector_to_parameters(weights[0], model.parameters())
        torch.testing.assert_close(model(workload.coords()), workload.inr(weights, workload.coords())[0])
    with pytest.raises(InrzooError, match="ReluMlp"):
        fitting_plain.module(ReluMlp(in_features=2, out_features=1))


def test_every_engine_is_there_on_one_thread_and_on_all_cores() -> None:
    for engine, both in (
        ("fused", ("fused-1-thread", "fused")),
        ("reference", ("reference-1-thread", "reference-per-core")),
    ):
        alone, all_cores = (METHODS[name] for name in both)
        assert engine in alone.what and alone.one_core and not all_cores.one_core
        assert alone.always and all_cores.always
    assert METHODS["fused"].batch % 2 == 0 and engine_methods(cores=3)[1].batch % 3 == 0


@pytest.mark.slow
def test_processes_are_pinned_and_a_failure_is_said() -> None:
    cores = machine.cores()[:2]
    workload = TINY[0]
    with Workers(cores) as workers:
        workers.prepare("naive", fitting_plain.one_by_one, workload, 1)
        assert len(workers.pids) == len(cores)
        assert [os.sched_getaffinity(pid) for pid in workers.pids] == [{core} for core in cores]
        assert workers.run("naive", 1, 20) > workers.run("naive", 1, 1) > 0
        with pytest.raises(RuntimeError, match="KeyError: 'never'"):
            workers.run("never", 1, 1)
        pids = workers.pids
    assert not any(machine.Path(f"/proc/{pid}").exists() for pid in pids)


def test_peers_are_measured_beside_the_engines() -> None:
    """The command of the benchmarks names them all, and says in one line what is wrong."""
    program = str(Path(fitting_plain.__file__).with_name("fitting.py"))
    done = subprocess.run([sys.executable, program, "--method", "naif"], capture_output=True, text=True)
    expected = f"no method called 'naif' (did you mean 'naive'?); there are: {', '.join(METHODS)}"
    assert done.returncode == 2 and done.stderr.splitlines()[-1].endswith(expected), done.stderr
