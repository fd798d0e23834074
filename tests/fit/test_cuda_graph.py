"""The step that the CUDA graph engine records is the reference's; without a GPU it is called instead of replayed."""

from typing import Any

import pytest
import torch
from test_fused_cpu import SHAPES, problem

from inrzoo.choices import Status
from inrzoo.errors import InrzooError
from inrzoo.fit import FitProblem, cuda_graph, loop
from inrzoo.fit.antialias import AntiAlias
from inrzoo.fit.descent import Descent
from inrzoo.fit.result import Fit
from inrzoo.inrs import INR
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

INRS = [
    Siren(**SHAPES, hidden_features=8),
    ReluMlp(**SHAPES, hidden_features=8, encoding="positional", num_frequencies=3),
    FourierNet(**SHAPES, input_scale=8.0),
    GaborNet(**SHAPES, input_scale=8.0),
]
REGULARISED: dict[str, Any] = {"antialias": AntiAlias(weight=3.0, alpha=0.3), "nyquist_D": torch.full((2,), 12.0)}
PROJECTED: dict[str, Any] = {
    "antialias": AntiAlias(regulariser="projection", alpha=0.3),
    "nyquist_D": torch.full((2,), 12.0),
}


def called(inr: INR, *tensors: torch.Tensor, **settings: Any) -> Fit:
    """`cuda_graph.fit` as far as a CPU can have it: the same step, not recorded."""
    return loop.in_batches(cuda_graph.fit_batch, FitProblem(inr, *tensors, **settings))


def assert_equal(one: Fit, other: Fit) -> None:
    for name, tensor in vars(one).items():
        if tensor is None:
            assert getattr(other, name) is None
        else:
            torch.testing.assert_close(getattr(other, name), tensor, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("inr", INRS, ids=lambda inr: type(inr).__name__)
@pytest.mark.parametrize("stop_psnr", [None, 14.0, -100.0])
def test_bits_are_those_of_the_reference(inr: INR, stop_psnr: float | None) -> None:
    tensors = problem(inr, count=6)
    settings: dict[str, Any] = {"lr": 3e-3, "snapshots": [0, 1, 30, 120], "stop_psnr": stop_psnr}
    reference = loop.fit(FitProblem(inr, *tensors, **settings))
    assert_equal(reference, called(inr, *tensors, **settings))


@pytest.mark.parametrize("regularised", [REGULARISED, PROJECTED], ids=["hinge", "projection"])
def test_with_anti_aliasing_too(regularised: dict[str, Any]) -> None:
    inr = FourierNet(**SHAPES, input_scale=8.0)
    tensors = problem(inr)
    settings: dict[str, Any] = {"lr": 3e-3, "snapshots": [5, 60], "stop_psnr": 16.0, **regularised}
    reference = loop.fit(FitProblem(inr, *tensors, **settings))
    assert_equal(reference, called(inr, *tensors, **settings))
    free = loop.fit(FitProblem(inr, *tensors, lr=3e-3, snapshots=[5, 60], stop_psnr=16.0))
    assert not torch.equal(free.weights_BTP, reference.weights_BTP), "it should have something to do"


def test_what_is_not_finite_stays_as_it_is() -> None:
    inr = INRS[0]
    starts, coords, targets = problem(inr)
    targets[0, 5], starts[1, 0] = torch.nan, torch.nan
    settings: dict[str, Any] = {"lr": 3e-3, "snapshots": [0, 20]}
    fitted = called(inr, starts, coords, targets, **settings)
    assert fitted.status_B.tolist()[:2] == [Status.DIVERGED] * 2 and fitted.steps_BT[:2].tolist() == [[0, 0]] * 2
    assert_equal(loop.fit(FitProblem(inr, starts, coords, targets, **settings)), fitted)


def test_it_leaves_soon_after_the_last_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    inr = INRS[0]
    steps = []
    usual = Descent.advance
    monkeypatch.setattr(Descent, "advance", lambda self: steps.append(usual(self)))
    fitted = called(inr, *problem(inr), lr=3e-3, snapshots=[0, 100_000], stop_psnr=20.0)
    last = int(fitted.steps_BT.max())
    assert (fitted.status_B == Status.EARLY_STOP).all()
    assert last < len(steps) <= last + cuda_graph.LOOK_EVERY + 1


def test_a_batch_that_warmed_up_starts_where_it_started() -> None:
    inr = INRS[2]
    starts, coords, targets = problem(inr)
    fits = []
    for warm_up in (0, cuda_graph.WARM_UP_STEPS):
        descent = Descent(FitProblem(inr, starts, coords, targets, lr=3e-3, snapshots=[0, 1, 40], stop_psnr=21.0))
        for _ in range(warm_up):
            descent.look()
            descent.advance()
        descent.restart()
        fits.append(cuda_graph.fit_batch(descent))
    for cold, warm in zip(*fits, strict=True):
        for one, other in zip(cold, warm, strict=True):
            assert torch.equal(one, other)


def test_without_a_gpu_it_says_so() -> None:
    assert cuda_graph.unavailable(INRS[0], "cpu") == "CUDA graphs need a CUDA device, not cpu"
    with pytest.raises(InrzooError, match=r"need a CUDA device, not cpu; --engine reference serves"):
        cuda_graph.fit(FitProblem(INRS[0], *problem(INRS[0]), lr=1e-3, snapshots=[1]))


@needs_gpu
@pytest.mark.parametrize("inr", INRS, ids=lambda inr: type(inr).__name__)
@pytest.mark.parametrize("stop_psnr", [None, 14.0])
def test_gpu_replays_what_the_reference_does(inr: INR, stop_psnr: float | None) -> None:
    tensors = [tensor.cuda() for tensor in problem(inr, count=6)]
    settings: dict[str, Any] = {"lr": 1e-3, "snapshots": [0, 1, 30, 120], "stop_psnr": stop_psnr}
    reference, replayed = (engine.fit(FitProblem(inr, *tensors, **settings)) for engine in (loop, cuda_graph))
    torch.testing.assert_close(replayed.psnr_BT, reference.psnr_BT, rtol=0, atol=0.05)
    torch.testing.assert_close(replayed.steps_BT, reference.steps_BT, rtol=0, atol=2)


@needs_gpu
@pytest.mark.parametrize("regularised", [REGULARISED, PROJECTED], ids=["hinge", "projection"])
def test_gpu_replays_anti_aliasing(regularised: dict[str, Any]) -> None:
    inr = FourierNet(**SHAPES, input_scale=8.0)
    tensors = [tensor.cuda() for tensor in problem(inr)]
    limits = regularised | {"nyquist_D": regularised["nyquist_D"].cuda()}
    settings: dict[str, Any] = {"lr": 1e-3, "snapshots": [60], **limits}
    reference, replayed = (engine.fit(FitProblem(inr, *tensors, **settings)) for engine in (loop, cuda_graph))
    torch.testing.assert_close(replayed.psnr_BT, reference.psnr_BT, rtol=0, atol=0.05)
    torch.testing.assert_close(replayed.bound_BTD, reference.bound_BTD, rtol=1e-3, atol=0)
