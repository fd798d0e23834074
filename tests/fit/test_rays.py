"""Fits to rays: the native volume rendering and its gradient are those of the reference, and bits are an INR's own."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inrzoo.errors import InrzooError
from inrzoo.fit import FitProblem, cuda_graph, engines, fused_cpu, loop, subsets
from inrzoo.fit.schedule import Schedule
from inrzoo.inrs import INR
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren
from inrzoo.observations.rays import rays_of
from inrzoo.seeding import Stream
from inrzoo.volume_rendering import VolumeRenderer

SIZES = {"in_features": 3, "out_features": 4, "hidden_features": 12}
INRS = {
    "siren": Siren(**SIZES, omega_0=5.0),
    "relu": ReluMlp(**SIZES),
    "fourier": FourierNet(**SIZES, num_filters=3),
    "grey": Siren(in_features=3, out_features=2, hidden_features=9, hidden_layers=1, omega_0=5.0),
}
RENDERERS = {
    "softplus": VolumeRenderer(samples=16),
    "relu": VolumeRenderer(samples=20, density="relu", density_scale=2.0, density_shift=0.5, extent=2.0),
    "range": VolumeRenderer(samples=48, density_shift=-1.0, value_range=(-1.0, 3.0), background=-1.0),
    "one": VolumeRenderer(samples=1, density_scale=3.0),
}
native = pytest.mark.skipif(
    fused_cpu.unavailable(INRS["siren"]) is not None,
    reason="the fused engine needs an x86-64 processor with AVX2 and a C++ compiler",
)


def problem(inr: INR, renderer: VolumeRenderer, count: int = 3, **settings: object) -> FitProblem:
    """INRs and random pixels of two views of 5 × 7; some rays miss the cube, one runs along a face."""
    generator = np.random.default_rng(0)
    turned = np.array([[0, 0, 1, 4], [0, 1, 0, 0], [-1, 0, 0, 0]], dtype=np.float64)
    poses = np.stack([np.concatenate([np.eye(3), [[0.2], [0.1], [3]]], axis=1), turned])
    rays = rays_of(np.repeat(poses[None], count, axis=0), np.repeat([[4.0, 4.0, 3.5, 2.5]], count, axis=0), (5, 7))
    rays[:, 0] = [1, 0, 3, 0, 0, -1]
    starts = np.stack([inr.init(Stream("init", "rays", 0, f"{number}")) for number in range(count)])
    low, high = renderer.value_range
    targets = generator.uniform(low, high, (count, rays.shape[1], inr.out_features - 1)).astype(np.float32)
    return FitProblem(
        inr,
        torch.from_numpy(starts),
        torch.from_numpy(rays),
        torch.from_numpy(targets),
        **{
            "lr": 1e-3,
            "snapshots": (20,),
            "value_range": renderer.value_range,
            "observe": renderer,
            "evaluations": renderer.samples,
            "keys_B": np.arange(count, dtype=np.uint64) * np.uint64(10**18) + np.uint64(7),
            **settings,
        },
    )


@native
@pytest.mark.parametrize("inr", INRS)
@pytest.mark.parametrize("renderer", RENDERERS)
def test_pixels_and_gradients_are_those_of_the_reference(inr: str, renderer: str) -> None:
    made = problem(INRS[inr], RENDERERS[renderer])
    weights = made.starts_BP.double().requires_grad_()
    exact = replace(made, coords=made.coords.double(), targets_BKC=made.targets_BKC.double())
    loss_B = exact.errors(exact.predict(weights, exact.coords))
    (expected,) = torch.autograd.grad(loss_B.sum(), weights)
    loss, gradient = fused_cpu.gradients(made)
    np.testing.assert_allclose(loss, loss_B.detach(), rtol=2e-5)
    error = (gradient.double() - expected).norm(dim=1) / expected.norm(dim=1)
    assert (error < 2e-4).all() and (expected.norm(dim=1) > 0).all()


@native
@pytest.mark.parametrize("num_coords", [None, 13])
@pytest.mark.parametrize("renderer", ["softplus", "relu"])
def test_fits_agree_with_the_reference(renderer: str, num_coords: int | None) -> None:
    """Also the draws of rays and of places, the schedule and clipping; the losses are of all rays at the middles."""
    schedule = Schedule(kind="cosine", steps=20)
    settings = {"num_coords": num_coords, "schedule": schedule, "max_grad_norm": 0.5, "snapshots": (7, 20)}
    made = problem(INRS["siren"], RENDERERS[renderer], **settings)
    theirs, ours = loop.fit(made), fused_cpu.fit(made)
    np.testing.assert_allclose(ours.loss_BT, theirs.loss_BT, rtol=1e-4)
    torch.testing.assert_close(ours.weights_BTP, theirs.weights_BTP, rtol=0, atol=2e-4)
    assert torch.equal(ours.status_B, theirs.status_B) and torch.equal(ours.steps_BT, theirs.steps_BT)


@native
def test_weighted_rays_agree_with_the_reference() -> None:
    weights_BK = torch.linspace(0, 2, 70).expand(3, 70)
    made = problem(INRS["siren"], RENDERERS["softplus"], point_weights_BK=weights_BK, num_coords=13)
    np.testing.assert_allclose(fused_cpu.fit(made).loss_BT, loop.fit(made).loss_BT, rtol=1e-4)


@native
def test_bits_of_a_radiance_field_are_its_own() -> None:
    made = problem(INRS["siren"], RENDERERS["softplus"], count=5, num_coords=13)
    whole, threaded = fused_cpu.fit(made), fused_cpu.fit(made, threads=3)
    alone = [fused_cpu.fit(part).weights_BTP for part in made.split(1)]
    assert torch.equal(whole.weights_BTP, threaded.weights_BTP) and torch.equal(whole.weights_BTP, torch.cat(alone))
    shorter = fused_cpu.fit(replace(made, snapshots=(8, 20)))
    assert torch.equal(shorter.weights_BTP[:, 1], whole.weights_BTP[:, 0])


@pytest.mark.parametrize("engine", [loop, pytest.param(fused_cpu, marks=native)])
def test_a_fit_to_rays_stops_at_a_psnr_that_all_of_them_reach(engine: object) -> None:
    made = problem(INRS["siren"], RENDERERS["softplus"], num_coords=13, snapshots=(40,), evaluate_every=4)
    easy = replace(made, targets_BKC=torch.full_like(made.targets_BKC, 0.9), stop_psnr=21.0, lr=1e-2)
    fitted = engine.fit(easy)
    assert (fitted.psnr_BT >= 21).all() and (fitted.steps_BT < 40).all() and (fitted.steps_BT % 4 == 0).all()


def test_places_are_even_and_independent_of_the_rays_that_are_drawn() -> None:
    keys = np.array([3, 4], dtype=np.uint64)
    places = subsets.places(keys, 5, 20_000)
    assert places.dtype == np.float32 and places.min() >= 0 and places.max() < 1
    assert np.abs(np.histogram(places[0], 10, (0, 1))[0] / 2000 - 1).max() < 0.1
    drawn = subsets.drawn(keys, 5, 20_000, 1000)
    assert abs(np.corrcoef(places[0], drawn[0])[0, 1]) < 0.03 and abs(np.corrcoef(places)[0, 1]) < 0.03


@pytest.mark.parametrize(
    ("inr", "observe", "line"),
    [
        (INRS["siren"], lambda values_at, weights, where, draws: where, "no predictions but volume rendering"),
        (ReluMlp(**SIZES, encoding="positional"), RENDERERS["one"], "without an encoding"),
        (INRS["siren"], VolumeRenderer(samples=49), "at most 48 samples of a ray"),
    ],
)
def test_what_the_native_engines_cannot_render_goes_to_the_reference(inr: INR, observe: object, line: str) -> None:
    assert line in str(engines.unavailable("fused", inr, "cpu", observe=observe))
    assert engines.choose("auto", inr, "cpu", False, True, observe)[0] == "reference"
    with pytest.raises(InrzooError, match="--engine reference"):
        engines.choose("fused", inr, "cpu", False, True, observe)


def test_engines_for_gpus_say_that_they_render_nothing() -> None:
    for name in ("triton", "cuda_graph"):
        line = str(engines.engine(name).unobserved(INRS["siren"], RENDERERS["one"]))
        assert line == f"the {name} engine compares an INR with values at coordinates alone"
    assert cuda_graph.unobserved(INRS["siren"], RENDERERS["one"])


@native
def test_the_kernels_tile_holds_the_samples_that_the_engine_takes() -> None:
    for inr in INRS.values():
        assert fused_cpu.library(inr).most_samples() == fused_cpu.MAX_SAMPLES
