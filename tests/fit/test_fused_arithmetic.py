"""What the fused engine computes: gradients, values and regularisers are the reference's, and the bits are pinned."""

import hashlib
import importlib.util
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from engine_truths import INRS, SHAPES, problem

from inrzoo.choices import Status
from inrzoo.coords import grid, nyquist
from inrzoo.fit import FitProblem, compiled, fused_cpu, loop
from inrzoo.fit.antialias import AntiAlias, frequency_bound
from inrzoo.fit.fused_layout import fastest_axis
from inrzoo.fit.metrics import mse
from inrzoo.inrs import INR
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren
from inrzoo.seeding import Stream

PINNED = [
    Siren(**SHAPES, hidden_features=16),
    Siren(**SHAPES, hidden_features=8, convention="mwt", bias_inside=False, hidden_layers=2),
    Siren(in_features=3, out_features=3, hidden_features=20),
    FourierNet(**SHAPES),
    GaborNet(**SHAPES, hidden_features=9),
    ReluMlp(**SHAPES, encoding="positional", num_frequencies=3, hidden_features=16),
]
FILTERS = [
    FourierNet(**SHAPES, num_filters=3),
    GaborNet(in_features=3, out_features=1, hidden_features=9, num_filters=2),
]


def gradients(inr: INR, weights: torch.Tensor, coords: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
    weights = weights.clone().requires_grad_()
    losses = mse(inr(weights, coords), targets)
    (slopes,) = torch.autograd.grad(losses.sum(), weights)
    return losses.detach(), slopes


@pytest.mark.parametrize("scattered", [False, True], ids=["grid", "scattered"])
@pytest.mark.parametrize("inr", INRS, ids=str)
def test_gradients_are_as_good_as_float32_autograd(inr: INR, scattered: bool) -> None:
    """Against float64; on a grid, where sines are shared, and on the same coordinates in no order."""
    starts, coords, targets = problem(inr)
    weights = starts * torch.empty_like(starts).uniform_(0.3, 1.7, generator=torch.Generator().manual_seed(1))
    if scattered:
        order = torch.randperm(len(coords), generator=torch.Generator().manual_seed(2))
        coords, targets = coords[order], targets[:, order].contiguous()
    exact_loss, exact = gradients(inr, weights.double(), coords.double(), targets.double())
    _, autograd = gradients(inr, weights, coords, targets)
    loss, slopes = fused_cpu.gradients(FitProblem(inr, weights, coords, targets, lr=1e-3, snapshots=[0]))
    torch.testing.assert_close(loss.double(), exact_loss, rtol=1e-6, atol=0)

    def error(candidate: torch.Tensor) -> float:
        return float(((candidate - exact).norm(dim=1) / exact.norm(dim=1)).max())

    assert error(slopes) < max(3 * error(autograd), 1e-6)


@pytest.mark.parametrize("inr", INRS, ids=str)
def test_values_are_those_of_the_function(inr: INR) -> None:
    starts, _, _ = problem(inr)
    finer = torch.from_numpy(grid((9,) * inr.in_features, finer=2))
    exact = inr(starts.double(), finer.double())
    torch.testing.assert_close(fused_cpu.evaluate(inr, starts, finer).double(), exact, rtol=2e-5, atol=2e-5)


def pinned_problem(inr: INR) -> FitProblem:
    """A small fit that begins with numbers every machine has."""
    starts, coords, targets = problem(inr, count=2)
    targets = (targets * 64).round() / 64  # float32 sines differ in the last bit from processor to processor
    return FitProblem(inr, starts, coords, targets, lr=1e-3, snapshots=[20])


def fitted_bits(inr: INR) -> bytes:
    """Weights and losses of that fit."""
    fitted = fused_cpu.fit(pinned_problem(inr))
    return fitted.weights_BTP.numpy().tobytes() + fitted.loss_BT.numpy().tobytes()


COMPILERS = {
    **{name: (path,) for name in ("g++", "clang++") if (path := shutil.which(name))},
    **({"ziglang": compiled.ZIG} if importlib.util.find_spec("ziglang") else {}),
}
"""The commands of the compilers that are here."""


@pytest.mark.parametrize("compiler", ["g++", "clang++", "ziglang"])
def test_bits_are_pinned(compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any change of these is a change of every store's bytes: then raise `fused_cpu.ARITHMETIC`."""
    if compiler not in COMPILERS:
        pytest.skip(f"{compiler} is not installed")
    monkeypatch.setattr(compiled, "compiler", lambda: COMPILERS[compiler])
    assert fused_cpu.ARITHMETIC == "fused 2"
    digests = [hashlib.sha256(fitted_bits(inr)).hexdigest()[:12] for inr in PINNED]
    assert digests == [
        "ccab66a9b4a9",
        "5afb733ef27b",
        "b45a7c31e1a2",
        "111cf37d3dd4",
        "8b23966ab824",
        "cbe69c516006",
    ]


@pytest.mark.parametrize("inr", PINNED, ids=str)
def test_wider_registers_give_the_same_bits(inr: INR, monkeypatch: pytest.MonkeyPatch) -> None:
    if fused_cpu.capability() != "AVX512":
        pytest.skip(f"this processor's widest instructions are {fused_cpu.capability()}, not AVX512")
    wide = fitted_bits(inr)
    monkeypatch.setattr(fused_cpu, "capability", lambda: "AVX2")
    assert fitted_bits(inr) == wide


REGULARISERS = ["hinge", "linf", "axis_linf", "smooth_max", "l1", "l0_surrogate"]


@pytest.mark.parametrize("regulariser", [*REGULARISERS, "projection"])
@pytest.mark.parametrize("inr", FILTERS, ids=str)
def test_regularisers_are_the_references(inr: INR, regulariser: str) -> None:
    starts, coords, targets = problem(inr)
    nyquist_D = torch.from_numpy(nyquist((9,) * inr.in_features))
    bound = frequency_bound(inr.filter_frequencies(starts)).amax(dim=0)
    weight = 0.0 if regulariser == "projection" else 5.0
    alpha = float((bound / nyquist_D).min()) * 0.7  # the limit lies below where the INRs begin
    settings = {
        "lr": 1e-3,
        "snapshots": [1, 5],
        "antialias": AntiAlias(regulariser=regulariser, weight=weight, alpha=alpha),  # type: ignore[arg-type]
        "nyquist_D": nyquist_D,
    }
    fused, reference = (
        engine.fit(FitProblem(inr, starts, coords, targets, **settings)) for engine in (fused_cpu, loop)
    )
    plain = fused_cpu.fit(FitProblem(inr, starts, coords, targets, lr=1e-3, snapshots=[1, 5]))
    moved = (reference.weights_BTP - plain.weights_BTP).abs().max()
    assert moved > 5e-4, "the regulariser changes nothing here"
    close = torch.isclose(fused.weights_BTP, reference.weights_BTP, atol=2e-5, rtol=1e-4)
    assert close.float().mean() > 0.995
    torch.testing.assert_close(fused.loss_BT, reference.loss_BT, rtol=1e-3, atol=1e-9)
    if regulariser == "projection":
        ends = frequency_bound(inr.filter_frequencies(fused.weights_BTP))
        assert (ends <= alpha * nyquist_D).all() and (ends > 0.999 * alpha * nyquist_D).any()


def test_ties_share_a_maximums_slope_as_in_torch() -> None:
    inr = FILTERS[0]
    starts, coords, targets = problem(inr)
    tensors = inr.layout.split(starts)
    tensors["omega_1"] = torch.full_like(tensors["omega_1"], 4.0) * torch.tensor([1.0, -1.0])
    tied = inr.layout.join(tensors)
    settings = {"antialias": AntiAlias(regulariser="linf", weight=9.0), "nyquist_D": torch.ones(2, dtype=torch.float64)}
    fused, reference = (
        engine.fit(FitProblem(inr, tied, coords, targets, lr=1e-3, snapshots=[3], **settings))
        for engine in (fused_cpu, loop)
    )
    torch.testing.assert_close(fused.weights_BTP, reference.weights_BTP, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("coords", "run_axis"),
    [
        (grid((3, 5)), (5, 1)),
        (grid((3, 5), axis_order="x_y"), (5, 0)),
        (grid((2, 3, 4)), (4, 2)),
        (grid((7,)), (0, 0)),
        (grid((1, 6)), (0, 0)),
        (grid((6, 1)), (0, 0)),
        (grid((1, 1)), (0, 0)),
        (grid((3, 5))[::-1].copy(), (5, 1)),
        (np.random.default_rng(0).normal(size=(15, 2)).astype(np.float32), (0, 0)),
        (np.concatenate([grid((3, 5)), grid((3, 5))[:1]]), (0, 0)),
        (np.concatenate([grid((3, 5))[:10], grid((3, 5))[[10, 12, 11, 13, 14]]]), (0, 0)),
    ],
)
def test_a_grid_is_recognised(coords: np.ndarray, run_axis: tuple[int, int]) -> None:
    assert fastest_axis(coords) == run_axis


@pytest.mark.parametrize(
    "inr",
    [
        Siren(**SHAPES, hidden_features=512, hidden_layers=1),
        Siren(**SHAPES, hidden_features=16, hidden_layers=11),
        Siren(in_features=2, out_features=3, hidden_features=1, hidden_layers=0),
        FourierNet(**SHAPES, hidden_features=200, num_filters=12),
    ],
    ids=str,
)
def test_extreme_shapes(inr: INR) -> None:
    starts, coords, targets = problem(inr, count=1)
    fused, reference = (
        engine.fit(FitProblem(inr, starts, coords, targets, lr=1e-4, snapshots=[0, 2])) for engine in (fused_cpu, loop)
    )
    torch.testing.assert_close(fused.loss_BT, reference.loss_BT, rtol=2e-4, atol=1e-9)
    assert fused_cpu.bytes_per_thread(inr, len(coords)) < 64 * 2**20


def test_an_image_of_512_by_512() -> None:
    inr = Siren(**SHAPES)
    coords = torch.from_numpy(grid((512, 512)))
    targets = torch.sin(coords.sum(1) * 5)[None, :, None].contiguous()
    starts = torch.from_numpy(inr.init(Stream("init", "test", 0, "large")))[None]
    fused, reference = (
        engine.fit(FitProblem(inr, starts, coords, targets, lr=1e-3, snapshots=[0, 3])) for engine in (fused_cpu, loop)
    )
    torch.testing.assert_close(fused.loss_BT, reference.loss_BT, rtol=1e-4, atol=1e-9)
    assert fused_cpu.bytes_per_thread(inr, len(coords)) < 2 * 2**20


def test_a_relu_lets_nan_through() -> None:
    inr = ReluMlp(**SHAPES)
    starts, coords, targets = problem(inr)
    starts[:, 5] = torch.nan  # one weight of the first layer; a ReLU that made NaN a zero would hide it
    assert (
        fused_cpu.fit(FitProblem(inr, starts, coords, targets, lr=1e-3, snapshots=[3])).status_B == Status.DIVERGED
    ).all()


def test_ctrl_c_stops_a_long_fit() -> None:
    program = """
        import torch
        from inrzoo.coords import grid
        from inrzoo.fit import FitProblem, fused_cpu
        from inrzoo.inrs.siren import Siren
        inr = Siren(in_features=2, out_features=1, hidden_features=8)
        starts = torch.zeros(64, inr.layout.num_params)
        arguments = inr, starts, torch.from_numpy(grid((32, 32))), torch.zeros(64, 1024, 1)
        fused_cpu.fit(FitProblem(*arguments, lr=1e-3, snapshots=[1]))
        print("ready", flush=True)
        fused_cpu.fit(FitProblem(*arguments, lr=1e-3, snapshots=[100_000_000]), threads=2)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
