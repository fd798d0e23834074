"""The fused GPU engine computes what the reference does: in Triton's interpreter, and on a GPU where there is one.

The interpreter runs the kernels on numpy; `emulated_products` adds what matrix units round.
"""

import importlib.util
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from test_fused_cpu import INRS, LONG, SHAPES, Unheard, problem

from inrzoo.choices import Status
from inrzoo.errors import InrzooError
from inrzoo.fit import FitProblem, fused_gpu, loop
from inrzoo.fit.result import Fit
from inrzoo.fit.triton.layout import layout
from inrzoo.inrs import INR
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

MORE_INRS = [
    Siren(in_features=2, out_features=17),
    ReluMlp(**SHAPES, hidden_features=1, hidden_layers=0),
    ReluMlp(in_features=2, out_features=1, encoding="log_spaced", num_frequencies=10, hidden_features=8),
    FourierNet(**SHAPES, hidden_features=33, num_filters=4),
    GaborNet(in_features=2, out_features=3, hidden_features=1, num_filters=1),
]


ALL = [*INRS, *MORE_INRS]
SOME = (8, 12, 17, 23)
"""Those whose first steps the default suite looks at."""

ONE_OF_A_KIND = (0, 12, 14, 17)
"""Those that it tries in every kind of product."""

LIKE_ANOTHER = (0, 1, 3, 4, 5, 6, 9, 10, 11, 15, 16, 18, 19, 22, 23)
"""Those whose gradients have nothing that those of others lack."""


ROUNDED = [pytest.param(inr, marks=() if i in ONE_OF_A_KIND else pytest.mark.exhaustive) for i, inr in enumerate(ALL)]
DERIVED = [pytest.param(inr, marks=pytest.mark.exhaustive if i in LIKE_ANOTHER else ()) for i, inr in enumerate(ALL)]
STEPPED = [
    pytest.param(inr, marks=() if i in SOME else pytest.mark.exhaustive if i in LIKE_ANOTHER else pytest.mark.slow)
    for i, inr in enumerate(ALL)
]


def _fit(settings: bytes) -> bytes:
    """`fused_gpu.fit` in the interpreter's process; `adam_epsilon` is what only tests change."""
    given: dict[str, Any] = pickle.loads(settings)
    usual, fused_gpu.EPSILON = fused_gpu.EPSILON, given.pop("adam_epsilon", fused_gpu.EPSILON)
    try:
        problem = FitProblem(given.pop("inr"), *given.pop("tensors"), **({"products": "ieee"} | given))
        return pickle.dumps(fused_gpu.fit(problem))
    finally:
        fused_gpu.EPSILON = usual


def _unavailable(inr: INR) -> str | None:
    return fused_gpu.unavailable(inr, "cpu")


@pytest.fixture(scope="module")
def interpreted(interpreter: ProcessPoolExecutor) -> Callable[..., Fit]:
    def fit(inr: INR, *tensors: torch.Tensor, **settings: object) -> Fit:
        task = pickle.dumps({"inr": inr, "tensors": tensors, **settings})
        result: Fit = pickle.loads(interpreter.submit(_fit, task).result())
        return result

    return fit


def small(inr: INR, count: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """As `problem`, on at most 81 coordinates: two full tiles and a ragged one."""
    return problem(inr, count=count, side=9 if inr.in_features < 3 else 4)


@needs_triton
@pytest.mark.parametrize("inr", STEPPED, ids=str)
def test_losses_and_the_first_steps_agree_with_the_reference(inr: INR, interpreted: Callable[..., Fit]) -> None:
    starts, coords, targets = small(inr)
    settings: dict[str, Any] = {"lr": 1e-3, "snapshots": [0, 1, 5]}
    fused = interpreted(inr, starts, coords, targets, **settings)
    reference = loop.fit(FitProblem(inr, starts, coords, targets, **settings))
    torch.testing.assert_close(fused.weights_BTP[:, 0], starts, rtol=3e-7, atol=0)
    torch.testing.assert_close(fused.loss_BT[:, 0], reference.loss_BT[:, 0], rtol=3e-6, atol=1e-10)
    torch.testing.assert_close(fused.loss_BT, reference.loss_BT, rtol=2e-4, atol=1e-9)
    # Where a gradient is rounding noise, Adam's first steps have the size of lr and either sign.
    close = torch.isclose(fused.weights_BTP, reference.weights_BTP, atol=2e-5, rtol=1e-4)
    assert close.float().mean() > 0.995
    assert (fused.status_B == reference.status_B).all() and (fused.steps_BT == reference.steps_BT).all()


@needs_triton
@pytest.mark.parametrize("inr", DERIVED, ids=str)
def test_gradients_are_those_of_autograd_in_double_precision(inr: INR, interpreted: Callable[..., Fit]) -> None:
    found, exact = gradients(inr, interpreted, "ieee")
    for name, gradient in inr.layout.split(exact).items():
        difference = (inr.layout.split(found)[name] - gradient).abs().max()
        # float32 sums over coordinates: what cancels leaves an error of the size of the whole.
        assert difference < 2e-5 * gradient.abs().max() + 2e-6 * exact.abs().max(), name


@needs_triton
@pytest.mark.parametrize(("products", "error"), [("bf16x3", 1e-4), pytest.param("tf32", 2e-2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("inr", ROUNDED, ids=str)
def test_products_round_gradients_no_more_than_they_say(
    inr: INR, products: str, error: float, interpreted: Callable[..., Fit]
) -> None:
    (found, exact), (ieee, _) = gradients(inr, interpreted, products), gradients(inr, interpreted, "ieee")
    difference = (found - exact).norm() / exact.norm()
    assert (ieee - exact).norm() / exact.norm() < difference < error


@needs_triton
def test_phases_of_the_first_layer_keep_all_bits(interpreted: Callable[..., Fit]) -> None:
    """Many half turns, of which a sine sees the rest: factors of 16 bits would lose four times this much."""
    inr = Siren(**SHAPES, hidden_layers=0, omega_0=60.0)
    starts, coords, targets = problem(inr)
    rounded = interpreted(inr, starts, coords, targets, lr=1e-3, snapshots=[0], products="bf16x3").loss_BT[:, 0]
    exact = (inr(starts.double(), coords.double()) - targets.double()).square().mean(dim=(1, 2))
    assert ((rounded - exact) / exact).abs().max() < 3e-7


@cache
def gradients(inr: INR, interpreted: Callable[..., Fit], products: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The kernel's, and autograd's in double precision.

    With an ε far above every gradient, Adam's first step is lr/ε times the gradient.
    """
    starts, coords, targets = small(inr)
    fused = interpreted(inr, starts, coords, targets, lr=1e11, snapshots=[1], adam_epsilon=1e8, products=products)
    exact = starts.double().requires_grad_()
    (inr(exact, coords.double()) - targets.double()).square().mean(dim=(1, 2)).sum().backward()
    assert exact.grad is not None
    return (starts.double() - fused.weights_BTP[:, 0].double()) / 1e3, exact.grad


@needs_triton
@pytest.mark.parametrize(
    "inr",
    [Siren(**SHAPES, hidden_features=8), pytest.param(GaborNet(**SHAPES, hidden_features=5), marks=pytest.mark.slow)],
    ids=str,
)
def test_each_inr_stops_by_itself(inr: INR, interpreted: Callable[..., Fit]) -> None:
    starts, coords, targets = small(inr, count=5)
    unstopped = loop.fit(FitProblem(inr, starts, coords, targets, lr=5e-3, snapshots=[8]))
    stop = float(unstopped.psnr_BT.median()) - 0.05  # not where one of them is to the last bit
    settings: dict[str, Any] = {"lr": 5e-3, "snapshots": [0, 3, 7, 12], "stop_psnr": stop}
    fused = interpreted(inr, starts, coords, targets, **settings)
    reference = loop.fit(FitProblem(inr, starts, coords, targets, **settings))
    assert len(set(reference.steps_BT[:, -1].tolist())) > 2, "they should stop at different steps"
    assert (fused.steps_BT == reference.steps_BT).all() and (fused.status_B == reference.status_B).all()
    torch.testing.assert_close(fused.psnr_BT, reference.psnr_BT, rtol=0, atol=1e-3)
    for index, steps in enumerate(fused.steps_BT[:, -1].tolist()):
        for position, snapshot in enumerate(settings["snapshots"]):
            if snapshot >= steps:
                assert torch.equal(fused.weights_BTP[index, position], fused.weights_BTP[index, -1])
    one = slice(2, 3)
    alone = interpreted(inr, starts[one], coords, targets[one], **settings)
    assert torch.equal(alone.weights_BTP[0], fused.weights_BTP[2])


@needs_triton
def test_a_snapshot_is_the_end_of_a_shorter_fit(interpreted: Callable[..., Fit]) -> None:
    inr = Siren(**SHAPES, hidden_features=8)
    starts, coords, targets = small(inr)
    fitted = interpreted(inr, starts, coords, targets, lr=1e-3, snapshots=[0, 1, 4])
    for position, steps in enumerate([0, 1, 4]):
        shorter = interpreted(inr, starts, coords, targets, lr=1e-3, snapshots=[steps])
        assert torch.equal(shorter.weights_BTP[:, 0], fitted.weights_BTP[:, position])
        assert torch.equal(shorter.loss_BT[:, 0], fitted.loss_BT[:, position])


@needs_triton
@pytest.mark.parametrize("inr", [Siren(**SHAPES), ReluMlp(**SHAPES, hidden_features=8), GaborNet(**SHAPES)], ids=str)
def test_what_is_not_finite_stays_as_it_is(inr: INR, interpreted: Callable[..., Fit]) -> None:
    starts, coords, targets = small(inr, count=3)
    targets[0, 5] = torch.nan
    starts[1, 0] = torch.nan
    fitted = interpreted(inr, starts, coords, targets, lr=1e-3, snapshots=[0, 3])
    assert fitted.status_B.tolist()[:2] == [Status.DIVERGED] * 2
    assert fitted.steps_BT.tolist() == [[0, 0], [0, 0], [0, 3]]
    kept = fitted.weights_BTP[:2, 1]
    torch.testing.assert_close(kept, starts[:2], rtol=3e-7, atol=0, equal_nan=True)
    assert fitted.weights_BTP[2].isfinite().all()


@needs_triton
@pytest.mark.parametrize("count", [1, 31, 32, 33], ids=lambda count: f"{count} coordinates")
def test_any_number_of_coordinates(count: int, interpreted: Callable[..., Fit]) -> None:
    inr = Siren(**SHAPES, hidden_features=8)
    starts, coords, targets = small(inr)
    arguments = (starts, coords[:count], targets[:, :count].contiguous())
    fused = interpreted(inr, *arguments, lr=1e-3, snapshots=[0, 3])
    reference = loop.fit(FitProblem(inr, *arguments, lr=1e-3, snapshots=[0, 3]))
    torch.testing.assert_close(fused.loss_BT, reference.loss_BT, rtol=1e-4, atol=1e-9)


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("products", ["bf16x3", "tf32"])
@pytest.mark.parametrize("inr", LONG, ids=str)
def test_many_steps_reach_the_same_psnr(inr: INR, products: str, interpreted: Callable[..., Fit]) -> None:
    starts, coords, targets = problem(inr, count=2, side=12)
    settings: dict[str, Any] = {"lr": 5e-4, "snapshots": [10, 25, 60]}
    fused = interpreted(inr, starts, coords, targets, products=products, **settings)
    reference = loop.fit(FitProblem(inr, starts, coords, targets, **settings))
    assert (reference.psnr_BT < 55).any()
    assert (fused.psnr_BT - reference.psnr_BT)[reference.psnr_BT < 55].abs().max() < 0.1


@pytest.mark.parametrize("inr", ALL, ids=str)
def test_packing_pads_with_zeros_and_is_undone(inr: INR) -> None:
    plan, starts = layout(inr), problem(inr)[0]
    packed = plan.pack(starts)
    torch.testing.assert_close(plan.unpack(packed), starts, rtol=3e-7, atol=0)
    assert len(set(plan.place_P.tolist())) == inr.layout.num_params
    padding = torch.ones(plan.size, dtype=torch.bool)
    padding[plan.place_P] = False
    assert plan.size % 16 == 0 and (packed[:, padding] == 0).all()


@needs_triton
def test_what_it_cannot_serve_is_said(interpreter: ProcessPoolExecutor) -> None:
    siren = Siren(**SHAPES)
    assert "no kernel for Unheard" in str(fused_gpu.unavailable(Unheard(**SHAPES), "cuda"))
    assert "needs a CUDA device, not cpu" in str(fused_gpu.unavailable(siren, "cpu"))
    with pytest.raises(InrzooError, match=r"needs a CUDA device, not cpu; --engine reference serves"):
        fused_gpu.fit(FitProblem(siren, *problem(siren), lr=1e-3, snapshots=[1]))
    if not torch.cuda.is_available():
        assert "torch finds none" in str(fused_gpu.unavailable(siren, "cuda"))

    def refused(**fields: Any) -> str:
        return str(interpreter.submit(_unavailable, Siren(**SHAPES, **fields)).result())

    assert interpreter.submit(_unavailable, siren).result() is None
    assert refused(hidden_features=64, hidden_layers=3) == "None"
    assert "bytes of shared memory for this INR; this GPU has 232448" in refused(hidden_features=256)
    assert "numbers in each thread" in refused(hidden_layers=12)
    wide = ReluMlp(**SHAPES, encoding="fourier", num_frequencies=64, hidden_features=16)
    assert "up to 127 inputs" in str(interpreter.submit(_unavailable, wide).result())


def test_without_triton_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for version, said in ((None, "none is installed"), ("3.5.1", "not 3.5.1"), ("2.10.0", "not 2.10.0")):
        monkeypatch.setattr(fused_gpu, "_triton_version", lambda version=version: version)
        reason = str(fused_gpu.unavailable(Siren(**SHAPES), "cuda"))
        assert f"needs triton 3.6 or newer, {said}: pip install 'inrzoo[gpu]'" in reason


def test_memory_of_an_inr_is_small() -> None:
    assert fused_gpu.bytes_per_inr(Siren(**SHAPES), 1024, 1) < 64 * 1024
    assert fused_gpu.bytes_per_inr(Siren(**SHAPES, hidden_features=64, hidden_layers=3), 1024, 1) < 512 * 1024


def on_gpu(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [tensor.cuda() for tensor in tensors]


@needs_gpu
@needs_triton
@pytest.mark.parametrize("products", fused_gpu.PRODUCTS)
@pytest.mark.parametrize("inr", ALL, ids=str)
def test_gpu_first_steps_agree_with_the_reference(inr: INR, products: str) -> None:
    starts, coords, targets = problem(inr)
    settings: dict[str, Any] = {"lr": 1e-3, "snapshots": [0, 1, 5]}
    fused = fused_gpu.fit(FitProblem(inr, *on_gpu(starts, coords, targets), products=products, **settings))
    reference = loop.fit(FitProblem(inr, starts, coords, targets, **settings))
    rounding = 0.03 if products == "tf32" else 1e-3
    torch.testing.assert_close(fused.loss_BT.cpu(), reference.loss_BT, rtol=rounding, atol=1e-7)
    assert (fused.steps_BT.cpu() == reference.steps_BT).all()


@needs_gpu
@needs_triton
@pytest.mark.parametrize("products", fused_gpu.PRODUCTS)
@pytest.mark.parametrize("inr", LONG, ids=str)
def test_gpu_a_thousand_steps_reach_the_same_psnr(inr: INR, products: str) -> None:
    starts, coords, targets = problem(inr, side=32)
    settings: dict[str, Any] = {"lr": 2e-4, "snapshots": [1000]}
    on_device = FitProblem(inr, *on_gpu(starts, coords, targets), products=products, **settings)
    fused = fused_gpu.fit(on_device).psnr_BT.cpu()
    reference = loop.fit(FitProblem(inr, starts, coords, targets, **settings)).psnr_BT
    highest = 45 if products == "tf32" else 55
    assert (reference < highest).any()
    assert (fused - reference)[reference < highest].abs().max() < (0.5 if products == "tf32" else 0.1)


@needs_gpu
@needs_triton
@pytest.mark.parametrize("inr", LONG, ids=str)
def test_gpu_bits_do_not_depend_on_batch_order_or_run(inr: INR, monkeypatch: pytest.MonkeyPatch) -> None:
    starts, coords, targets = on_gpu(*problem(inr, count=300, side=16))
    settings: dict[str, Any] = {"lr": 2e-3, "snapshots": [10, 200], "stop_psnr": 24.0}
    together = fused_gpu.fit(FitProblem(inr, starts, coords, targets, **settings))
    order = torch.from_numpy(np.random.default_rng(0).permutation(300)).cuda()
    monkeypatch.setattr(fused_gpu, "SLICE", 77)
    shuffled = fused_gpu.fit(FitProblem(inr, starts[order], coords, targets[order], **settings))
    for name in ("weights_BTP", "loss_BT", "steps_BT"):
        assert torch.equal(getattr(together, name)[order], getattr(shuffled, name))
    alone = fused_gpu.fit(FitProblem(inr, starts[5:6], coords, targets[5:6], **settings))
    assert torch.equal(alone.weights_BTP[0], together.weights_BTP[5])
