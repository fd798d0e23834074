"""A fit problem is checked when it is made, and every engine answers for it in the same words."""

import dataclasses
import inspect

import pytest
import torch
from engine_truths import SHAPES, problem

from inrzoo.errors import InrzooError
from inrzoo.fit import FitProblem, cuda_graph, engines, fused_gpu, loop
from inrzoo.fit.antialias import AntiAlias
from inrzoo.fit.metrics import mse_at
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.siren import Siren

SIREN = Siren(**SHAPES, hidden_features=4)


def test_a_problem_does_not_change() -> None:
    one = FitProblem(SIREN, *problem(SIREN), lr=1e-3, snapshots=[1])
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.lr = 2.0  # type: ignore[misc]
    assert one == one and one != dataclasses.replace(one)


def test_parts_of_a_problem_are_its_inrs_in_order() -> None:
    whole = FitProblem(SIREN, *problem(SIREN, count=5), lr=1e-3, snapshots=[1], stop_psnr=20.0)
    parts = list(whole.split(2))
    assert [len(part.starts_BP) for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part.starts_BP for part in parts]), whole.starts_BP)
    assert torch.equal(torch.cat([part.targets_BKC for part in parts]), whole.targets_BKC)
    assert {part.stop_loss for part in parts} == {mse_at(20.0, (-1.0, 1.0))}
    assert dataclasses.replace(whole, stop_psnr=None).stop_loss < 0


def test_targets_of_another_shape_are_refused() -> None:
    starts, coords, targets = problem(SIREN)
    with pytest.raises(ValueError, match=r"4 INRs on 81 coordinates have shape \(4, 81, 1\), given \(3, 81, 1\)"):
        FitProblem(SIREN, starts, coords, targets[:3], lr=1e-3, snapshots=[1])


@pytest.mark.parametrize("name", engines.ENGINES)
def test_an_engine_is_called_like_every_other(name: str) -> None:
    one = engines.engine(name)
    assert list(inspect.signature(one.fit).parameters) == ["problem", "threads"]
    assert list(inspect.signature(one.unavailable).parameters) == ["inr", "device"]
    assert list(inspect.signature(one.evaluate).parameters) == ["inr", "weights_BP", "coords"]
    assert "ieee" in one.PRODUCTS and one.DEVICE in (None, "cpu", "cuda")


def test_products_that_an_engine_does_not_have_are_refused() -> None:
    wanted = FitProblem(SIREN, *problem(SIREN), lr=1e-3, snapshots=[1], products="tf32")
    with pytest.raises(ValueError, match="products must be one of ieee, given 'tf32'"):
        loop.fit(wanted)
    assert wanted.products_among(fused_gpu.PRODUCTS) == "tf32"
    assert dataclasses.replace(wanted, products="auto").products_among(fused_gpu.PRODUCTS) == "bf16x3"


def test_an_engine_without_regularisers_refuses_one(monkeypatch: pytest.MonkeyPatch) -> None:
    net = FourierNet(**SHAPES)
    held = {"antialias": AntiAlias(regulariser="projection"), "nyquist_D": torch.ones(2)}
    monkeypatch.setattr(fused_gpu, "unavailable", lambda inr, device: None)
    with pytest.raises(InrzooError, match="the triton engine has no anti-aliasing regulariser; --engine reference"):
        fused_gpu.fit(FitProblem(net, *problem(net), lr=1e-3, snapshots=[1], **held))
    assert cuda_graph.REGULARISES and not fused_gpu.REGULARISES
