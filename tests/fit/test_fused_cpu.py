"""The fused engine computes what the reference does, and the bits of an INR depend on that INR alone."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_store import store_bytes, tiny

from inrzoo import fit as fitting
from inrzoo.build import build
from inrzoo.coords import grid
from inrzoo.errors import InrzooError
from inrzoo.fit import engines, fused_cpu, loop
from inrzoo.fit.result import Fit, Status
from inrzoo.inrs import INR
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren
from inrzoo.refit import refit
from inrzoo.seeding import Stream
from inrzoo.store import open_store
from inrzoo.verify import verify

pytestmark = pytest.mark.skipif(
    fused_cpu.unavailable(Siren(in_features=2, out_features=1)) is not None,
    reason="the fused engine needs an x86-64 processor with AVX2 and a C++ compiler",
)

SHAPES = {"in_features": 2, "out_features": 1}
INRS = [
    Siren(**SHAPES),
    *(
        Siren(**SHAPES, convention=name, bias_inside=inside)
        for name, inside in itertools.product(("sitzmann", "dws", "mwt"), (True, False))
    ),
    Siren(in_features=2, out_features=3, output_offset=0.5, hidden_features=20),
    Siren(in_features=1, out_features=1, hidden_features=5, hidden_layers=0),
    Siren(in_features=3, out_features=2, hidden_features=64, hidden_layers=3),
    Siren(**SHAPES, hidden_features=1, hidden_layers=2),
    FourierNet(**SHAPES),
    FourierNet(in_features=3, out_features=3, hidden_features=9, num_filters=2, input_scale=8.0),
    FourierNet(in_features=1, out_features=1, num_filters=1, input_scale=8.0),
    GaborNet(**SHAPES, input_scale=8.0),
    GaborNet(in_features=1, out_features=2, hidden_features=20, num_filters=4, input_scale=8.0),
    ReluMlp(**SHAPES),
    ReluMlp(in_features=2, out_features=3, encoding="positional", num_frequencies=4, hidden_features=16),
    ReluMlp(in_features=1, out_features=1, encoding="fourier", num_frequencies=7, hidden_features=12),
]

LONG = [Siren(**SHAPES), Siren(**SHAPES, convention="mwt"), ReluMlp(**SHAPES), FourierNet(**SHAPES), GaborNet(**SHAPES)]


def problem(inr: INR, count: int = 4, side: int = 9) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Starts, a grid whose number of points is no multiple of anything, and smooth signals on it."""
    coords = torch.from_numpy(grid((side,) * inr.in_features))
    generator = torch.Generator().manual_seed(0)
    waves = torch.rand(count, inr.in_features, inr.out_features, generator=generator) * 4
    targets = torch.sin(torch.einsum("kd,bdc->bkc", coords, waves) + waves.sum(1, keepdim=True)) * 0.8
    starts = np.stack([inr.init(Stream("init", "test", 0, str(i))) for i in range(count)])
    return torch.from_numpy(starts), coords, targets.contiguous()


def both(inr: INR, **settings: object) -> tuple[Fit, Fit]:
    starts, coords, targets = problem(inr)
    return tuple(engine.fit(inr, starts, coords, targets, **settings) for engine in (fused_cpu, loop))  # type: ignore[return-value]


@pytest.mark.parametrize("inr", INRS, ids=str)
def test_losses_and_the_first_steps_agree_with_the_reference(inr: INR) -> None:
    fused, reference = both(inr, lr=1e-3, snapshots=[0, 1, 5])
    torch.testing.assert_close(fused.weights_BTP[:, 0], reference.weights_BTP[:, 0], rtol=3e-7, atol=0)
    torch.testing.assert_close(fused.loss_BT, reference.loss_BT, rtol=2e-4, atol=1e-9)
    torch.testing.assert_close(fused.loss_BT[:, 0], reference.loss_BT[:, 0], rtol=3e-6, atol=1e-10)
    # Where a gradient is rounding noise, Adam's first steps have the size of lr and either sign.
    close = torch.isclose(fused.weights_BTP, reference.weights_BTP, atol=2e-5, rtol=1e-4)
    assert close.float().mean() > 0.995
    assert (fused.status_B == reference.status_B).all() and (fused.steps_BT == reference.steps_BT).all()


@pytest.mark.parametrize("inr", LONG, ids=str)
def test_a_thousand_steps_reach_the_same_psnr(inr: INR) -> None:
    starts, coords, targets = problem(inr, side=32)
    settings = {"lr": 2e-4, "snapshots": [1000]}
    fused = fused_cpu.fit(inr, starts, coords, targets, **settings)
    reference = loop.fit(inr, starts, coords, targets, **settings)
    compared = reference.psnr_BT < 55
    assert compared.any()
    assert (fused.psnr_BT - reference.psnr_BT)[compared].abs().max() < 0.1


def test_bits_do_not_depend_on_neighbours_threads_or_order() -> None:
    inr = Siren(**SHAPES, hidden_features=16)
    starts, coords, targets = problem(inr, count=9)
    settings = {"lr": 2e-3, "snapshots": [10, 200], "stop_psnr": 22.0}
    together = fused_cpu.fit(inr, starts, coords, targets, **settings)
    assert len(set(together.steps_BT[:, 1].tolist())) > 3, "they should stop at different steps"
    order = torch.tensor([4, 0, 8, 2, 6, 1, 7, 3, 5])
    shuffled = fused_cpu.fit(inr, starts[order], coords, targets[order], threads=3, **settings)
    for one, other in zip(vars(together).values(), vars(shuffled).values(), strict=True):
        if one is not None:
            assert torch.equal(one[order], other)
    for index in range(9):
        alone = fused_cpu.fit(inr, starts[index : index + 1], coords, targets[index : index + 1], **settings)
        assert torch.equal(alone.weights_BTP[0], together.weights_BTP[index])


def test_stopping_is_that_of_a_shorter_fit() -> None:
    inr = Siren(**SHAPES)
    starts, coords, targets = problem(inr)
    stopped = fused_cpu.fit(inr, starts, coords, targets, lr=1e-3, snapshots=[5, 300], stop_psnr=25.0)
    assert (stopped.status_B == Status.EARLY_STOP).all() and (stopped.psnr_BT[:, 1] >= 25).all()
    for index, steps in enumerate(stopped.steps_BT[:, 1].tolist()):
        one = slice(index, index + 1)
        short = fused_cpu.fit(inr, starts[one], coords, targets[one], lr=1e-3, snapshots=[steps - 1, steps])
        assert torch.equal(short.weights_BTP[0, 1], stopped.weights_BTP[index, 1])
        assert short.psnr_BT[0, 0] < 25


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"targets": lambda y: y * 0 + 0.25}, Status.OK),
        ({"targets": lambda y: y * torch.nan}, Status.DIVERGED),
        ({"starts": lambda w: w * torch.nan}, Status.DIVERGED),
        ({"starts": lambda w: w * 1e30}, Status.DIVERGED),
    ],
)
def test_extreme_input_is_safe(changes: dict[str, Callable[[torch.Tensor], torch.Tensor]], status: Status) -> None:
    inr = Siren(**SHAPES)
    starts, coords, targets = problem(inr)
    starts = changes.get("starts", lambda w: w)(starts)
    targets = changes.get("targets", lambda y: y)(targets)
    fitted = fused_cpu.fit(inr, starts, coords, targets, lr=1e-3, snapshots=[400])
    assert (fitted.status_B == status).all()


def test_one_pixel_and_a_learning_rate_that_diverges() -> None:
    inr = Siren(**SHAPES)
    starts, _, _ = problem(inr)
    one = fused_cpu.fit(inr, starts, torch.zeros(1, 2), torch.full((4, 1, 1), 0.5), lr=1e-3, snapshots=[200])
    assert (one.psnr_BT > 30).all()
    starts, coords, targets = problem(inr)
    assert (fused_cpu.fit(inr, starts, coords, targets, lr=1e3, snapshots=[50]).status_B == Status.DIVERGED).all()


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


def test_without_a_compiler_the_reference_takes_over_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fused_cpu, "compiler", lambda: None)
    build(tiny(limit=4, seeds=1, fit__engine="auto"), tmp_path / "store.zarr", in_process=True)
    assert "engine: reference (the fused engine needs a C++ compiler" in capfd.readouterr().err
    assert open_store(tmp_path / "store.zarr").attributes["manifest"]["fit"]["engine"] == "reference"


def test_a_compiler_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INRZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(fused_cpu, "FLAGS", ("-std=c++17", "-Werror", "--no-such-flag"))
    starts, coords, targets = problem(inr := Siren(**SHAPES, hidden_features=3))
    with pytest.raises(InrzooError, match=r"cannot compile engine.cpp: .*no-such-flag"):
        fused_cpu.fit(inr, starts, coords, targets, lr=1e-3, snapshots=[1])
    assert not list((tmp_path / "inrzoo" / "engines").glob("*.so"))
    name, reason = engines.choose("auto", inr, "cpu", False, ready=True)
    assert name != "fused" and "no-such-flag" in str(reason)


def test_memory_is_bounded_and_small() -> None:
    assert fused_cpu.bytes_per_thread(Siren(**SHAPES), 1024) < 256 * 1024
    deep = Siren(**SHAPES, hidden_features=64, hidden_layers=3)
    assert fused_cpu.bytes_per_thread(deep, 1024) < 640 * 1024


def test_builds_are_the_same_bytes_and_re_fits_too(tmp_path: Path) -> None:
    settings = tiny(fit__engine="auto", fit__views=[5, 40])
    build(settings, tmp_path / "a.zarr", in_process=True, quiet=True)
    build(tiny(fit__engine="fused", fit__views=[5, 40], seeds=1), tmp_path / "b.zarr", in_process=True, quiet=True)
    build(settings, tmp_path / "b.zarr", workers=2, quiet=True)
    assert store_bytes(tmp_path / "a.zarr") == store_bytes(tmp_path / "b.zarr")
    assert verify(tmp_path / "a.zarr").problems == [] and verify(tmp_path / "a.zarr").max_psnr_difference < 1e-3
    assert all(one.bit_equal for one in refit(tmp_path / "a.zarr", 12).refits)
    assert open_store(tmp_path / "a.zarr").attributes["environment"]["instruction_set"] == "x86-64-v3"
    assert fitting.engine("fused").fit is fused_cpu.fit
