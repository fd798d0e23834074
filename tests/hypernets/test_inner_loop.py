"""Learned starts and adapted matrices: steps, their gradients and rates, what goes through them, what comes out."""

import itertools

import numpy as np
import pytest
import torch
from small import INRS, assert_gradients_are_finite_differences, make, make_inr, randomise_, signals

from inrzoo import registry
from inrzoo.builder.inits import read_init
from inrzoo.errors import InrzooError
from inrzoo.hypernets import activation_maps, write_init
from inrzoo.native import curvature, library
from inrzoo.volume_rendering import VolumeRenderer

OPTIMISED = ["learned_init", "cavia", "end_to_end"]
DOUBLE = torch.float64


def tiny(name: str, inr_name: str = "siren", **fields):
    # At ω₀ = 30 steps of this size leave the range where finite differences mean something.
    omega_0 = {"omega_0": 4.0} if inr_name == "siren" else {}
    inr = make_inr(inr_name, axes=1, hidden_features=3, **omega_0)
    fields = {"inner_fraction": 1.0} | fields
    return make(name, inr, **fields).double()


@pytest.mark.parametrize("inr_name", ["siren", "relu_mlp", "fourier_net"])
@pytest.mark.parametrize("name", OPTIMISED)
def test_second_order_gradients_equal_finite_differences(name, inr_name):
    rates = {"learned_rates": (0.01, 0.1)}
    hypernet = tiny(name, inr_name, **rates, inner_steps=2)
    coords, values = signals(1, batch=2, dtype=DOUBLE)
    parameters = {key: part for key, part in hypernet.named_parameters() if not key.startswith("classifier")}
    assert_gradients_are_finite_differences(
        parameters, lambda: hypernet.loss(coords, values).mean(), rel=1e-5, abs_=1e-9
    )


def own_points() -> tuple[torch.Tensor, torch.Tensor]:
    """Two signals, each at seven points of its own in three dimensions."""
    generator = torch.Generator().manual_seed(3)
    points = 2 * torch.rand(2, 7, 3, generator=generator, dtype=DOUBLE) - 1
    return points, points.norm(dim=-1, keepdim=True) - torch.tensor([0.5, 0.7], dtype=DOUBLE)[:, None, None]


def own_rays() -> tuple[torch.Tensor, torch.Tensor]:
    """Two signals, each of five rays that cross the cube at places of their own, and their grey values."""
    generator = torch.Generator().manual_seed(4)
    origins = torch.tensor([0.0, 0.0, 3.0], dtype=DOUBLE).expand(2, 5, 3)
    aims = torch.rand(2, 5, 3, generator=generator, dtype=DOUBLE) - 0.5
    directions = torch.nn.functional.normalize(aims - origins, dim=-1)
    return torch.cat([origins, directions], dim=-1), torch.rand(2, 5, 1, generator=generator, dtype=DOUBLE)


@pytest.mark.parametrize("places", [own_points, own_rays])
@pytest.mark.parametrize("loss_name", ["mse", "bce"])
@pytest.mark.parametrize("name", OPTIMISED)
def test_second_order_gradients_of_own_places_equal_finite_differences(name, loss_name, places):
    """The places of samples along a ray are drawn, and the same draws come with the same seed."""
    of_rays = places is own_rays
    spec = {**INRS["siren"], "hidden_features": 3, "omega_0": 4.0}
    inr = registry.make("inrs", spec, in_features=3, out_features=1 + of_rays)
    hypernet = make(name, inr, inner_fraction=1.0, learned_rates=(0.01, 0.1), inner_steps=2).double()
    hypernet.compare_by(VolumeRenderer(samples=4) if of_rays else None, loss_name)
    where, values = places()
    values = values.clamp(0, 1) if loss_name == "bce" else values

    def outer() -> torch.Tensor:
        torch.manual_seed(5)
        return hypernet.loss(where, values).mean()

    parameters = {key: part for key, part in hypernet.named_parameters() if not key.startswith("classifier")}
    assert_gradients_are_finite_differences(parameters, outer, rel=1e-5, abs_=1e-9)


def test_samples_of_a_ray_are_drawn_in_training_and_in_their_middles_in_evaluation():
    inr = registry.make("inrs", {**INRS["siren"], "omega_0": 4.0}, in_features=3, out_features=2)
    hypernet, renderer = make("learned_init", inr).double(), VolumeRenderer(samples=4)
    hypernet.compare_by(renderer, "mse")
    rays, values = own_rays()
    weights = hypernet.eval()(rays, values)
    middles = renderer(inr, weights, rays)
    torch.testing.assert_close(hypernet.predict(weights, rays), middles)
    torch.testing.assert_close(hypernet.loss(rays, values), (middles - values).square().mean(dim=(1, 2)))
    hypernet.train()
    assert not torch.equal(hypernet.predict(weights, rays), hypernet.predict(weights, rays))
    for wrong in (rays[:1], rays[:, :4], rays[0]):
        with pytest.raises(ValueError, match="no signals of an observer"):
            hypernet(wrong, values)


@pytest.mark.parametrize("name", ["learned_init", "cavia"])
def test_first_order_takes_the_inner_gradient_as_constant(name):
    """Both see the same adapted weights; only what goes through the steps differs."""
    hypernet = tiny(name, inner_lr=0.05)
    coords, values = signals(1, dtype=DOUBLE)
    second = hypernet.loss(coords, values).mean()
    (through,) = torch.autograd.grad(second, hypernet.start)
    hypernet.second_order = False
    first = hypernet.loss(coords, values).mean()
    (constant,) = torch.autograd.grad(first, hypernet.start)
    torch.testing.assert_close(first, second)
    assert (constant - through).norm() > 1e-3 * through.norm()
    if name == "learned_init":
        weights = hypernet(coords, values).detach().requires_grad_()
        hypernet.reconstruction_loss(weights, coords, values).mean().backward()
        torch.testing.assert_close(constant, weights.grad.sum(0))


@pytest.mark.parametrize("name", OPTIMISED)
def test_inner_loop_of_a_batch_equals_one_signal_at_a_time(name):
    """n.13: the step of one signal does not depend on another, in the outer gradient neither."""
    hypernet = tiny(name)
    coords, values = signals(1, dtype=DOUBLE)
    together = hypernet(coords, values)
    changed = values.clone()
    changed[1:] = 7.0
    torch.testing.assert_close(hypernet(coords, changed)[0], together[0], rtol=1e-12, atol=1e-12)
    alone = torch.cat([hypernet(coords, one[None]) for one in values])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-12)
    (whole,) = torch.autograd.grad(hypernet.loss(coords, values).sum(), hypernet.start)
    parts = [torch.autograd.grad(hypernet.loss(coords, one[None]).sum(), hypernet.start)[0] for one in values]
    torch.testing.assert_close(whole, torch.stack(parts).sum(0), rtol=1e-9, atol=1e-10)


def test_one_step_of_a_learned_init_is_a_gradient_step():
    hypernet = tiny("learned_init", inner_steps=1, inner_lr=0.03)
    coords, values = signals(1, dtype=DOUBLE)
    adapted = hypernet(coords, values)
    for one, weights in zip(values, adapted, strict=True):
        start = hypernet.start.detach().clone().requires_grad_()
        (hypernet.inr(start, coords) - one).square().mean().backward()
        torch.testing.assert_close(weights, start - 0.03 * start.grad)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_step_of_cavia_is_scaled_by_the_squared_norm(scale):
    """n.13. The INR does not change with the scale of V, so neither does the relative length of the step."""
    hypernet = tiny("cavia", "relu_mlp", inner_steps=1, inner_lr=0.02)
    reference = hypernet.start.detach().clone()
    with torch.no_grad():
        hypernet.start.mul_(scale)
    coords, values = signals(1, dtype=DOUBLE)
    start = hypernet.start.detach().expand(3, -1).clone().requires_grad_()
    hypernet.reconstruction_loss(hypernet.weights(start), coords, values).sum().backward()
    expected = start - 0.02 * hypernet.start.square().sum() * start.grad
    moved = hypernet.instances(coords, values)
    torch.testing.assert_close(moved, expected)
    with torch.no_grad():
        hypernet.start.copy_(reference)
    torch.testing.assert_close(moved / scale, hypernet.instances(coords, values), rtol=1e-8, atol=1e-10)


def test_second_step_of_cavia_is_scaled_by_each_signals_own_norm():
    one, two = tiny("cavia", "relu_mlp", inner_steps=1), tiny("cavia", "relu_mlp", inner_steps=2)
    coords, values = signals(1, dtype=DOUBLE)
    start = one.instances(coords, values).detach().requires_grad_()
    one.reconstruction_loss(one.weights(start), coords, values).sum().backward()
    norms = start.square().sum(dim=1, keepdim=True)
    assert (norms[0] - norms[1]).abs() > 1e-6
    torch.testing.assert_close(two.instances(coords, values), start - 0.01 * norms * start.grad)


def test_learned_rates_are_of_each_number_and_step():
    hypernet = tiny("learned_init", learned_rates=(0.01, 0.1), inner_steps=2)
    assert hypernet.rates.shape == (2, hypernet.inr.layout.num_params)
    with torch.no_grad():
        hypernet.rates[0] = 0.02
        hypernet.rates[1] = 0.02
        hypernet.rates[:, 3] = 0.0
    coords, values = signals(1, dtype=DOUBLE)
    offsets = hypernet.instances(coords, values)
    assert (offsets[:, 3] == 0).all()
    assert (offsets[:, :3] != 0).all()
    shared = tiny("learned_init", learned_rates=(0.01, 0.1), share_rates=True, inner_steps=5)
    assert shared.rates.shape == (1, hypernet.inr.layout.num_params)
    assert ((shared.rates > -0.2) & (shared.rates < 0.3)).all()
    assert shared(coords, values).isfinite().all()


@pytest.mark.parametrize(
    "adapt, fixed",
    [("all", set()), ("matrices", {"bias_0", "bias_1", "bias_2", "bias_3"}), ("hidden", {"weight_3", "bias_3"})],
)
def test_only_what_is_adapted_changes(adapt, fixed):
    hypernet = tiny("learned_init", adapt=adapt)
    before = hypernet.inr.layout.split(hypernet.start)
    after = hypernet.inr.layout.split(hypernet(*signals(1, dtype=DOUBLE)))
    assert {key for key in before if torch.equal(after[key], before[key].expand_as(after[key]))} == fixed


def test_reptile_moves_the_start_towards_the_adapted_weights():
    hypernet = tiny("learned_init", algorithm="reptile", inner_steps=3)
    coords, values = signals(1, dtype=DOUBLE)
    adapted = hypernet(coords, values)
    hypernet.loss(coords, values).mean().backward()
    torch.testing.assert_close(hypernet.start.grad, hypernet.start.detach() - adapted.detach().mean(0))
    hypernet.eval()
    errors = (hypernet.inr(hypernet(coords, values), coords) - values).square().mean(dim=(1, 2))
    torch.testing.assert_close(hypernet.loss(coords, values), errors)
    with pytest.raises(InrzooError, match="reptile"):
        tiny("learned_init", algorithm="reptile", learned_rates=(0.1, 1.0))


@pytest.mark.parametrize("name", OPTIMISED)
def test_subsets_of_coordinates(name):
    """Random and of each signal in training, for ever the same in evaluation."""
    hypernet = tiny(name, inner_fraction=0.4)
    coords, values = signals(1, dtype=DOUBLE)
    where, what = hypernet.inner_subset(coords, values, 0)
    assert where.shape == (3, 4, 1)
    for points, numbers, whole in zip(where, what, values, strict=True):
        places = [(coords == point).all(dim=1).nonzero().item() for point in points]
        assert len(set(places)) == 4
        assert torch.equal(numbers, whole[places])
    assert (hypernet(coords, values) != hypernet(coords, values)).any()
    hypernet.eval()
    steps = [hypernet.inner_subset(coords, values, step)[0] for step in (0, 0, 1)]
    assert torch.equal(steps[0], steps[1])
    assert not torch.equal(steps[0], steps[2])
    assert torch.equal(hypernet(coords, values), hypernet(coords, values))


@pytest.mark.parametrize("name", OPTIMISED)
def test_more_steps_lower_the_error(name):
    rates = {"learned_rates": (0.01, 0.01), "share_rates": True}
    hypernet = tiny(name, **rates).eval()
    coords, values = signals(1, dtype=DOUBLE)
    errors = []
    for steps in (0, 1, 5, 20):
        hypernet.inner_steps = steps
        if name == "cavia":
            hypernet.rates.data.fill_(1e-4)
        errors.append(hypernet.loss(coords, values).detach())
    assert all((later < earlier).all() for earlier, later in itertools.pairwise(errors))


@pytest.mark.parametrize("name", OPTIMISED)
def test_a_learned_start_is_exported_as_builds_read_it(name, tmp_path):
    hypernet = randomise_(make(name))
    path = tmp_path / "start.safetensors"
    path.write_bytes(b"an older one")
    write_init(path, hypernet.start_weights())
    found = read_init(path)
    assert found.dtype == np.float32
    assert np.array_equal(found[0], hypernet.start_weights().numpy())
    assert [entry.name for entry in tmp_path.iterdir()] == ["start.safetensors"]
    hypernet.inner_steps = 0
    coords, values = signals()
    torch.testing.assert_close(hypernet(coords, values)[1], torch.from_numpy(found[0]))


def test_a_start_that_cannot_be_exported(tmp_path):
    with pytest.raises(InrzooError, match="finite"):
        write_init(tmp_path / "start.safetensors", torch.tensor([1.0, torch.inf]))
    with pytest.raises(InrzooError, match="cannot write"):
        write_init(tmp_path / "absent" / "start.safetensors", torch.zeros(3))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("inr_name", ["siren", "relu_mlp"])
def test_activation_maps_lead_to_the_values(inr_name):
    inr = make_inr(inr_name)
    weights = torch.randn(2, inr.layout.num_params, dtype=DOUBLE)
    coords, _ = signals(dtype=DOUBLE)
    maps = activation_maps(inr, weights, coords)
    assert [tuple(part.shape) for part in maps] == [(2, 35, 6)] * 3
    tensors = inr.layout.split(weights)
    values = maps[-1] @ tensors["weight_3"].mT + tensors["bias_3"][:, None]
    torch.testing.assert_close(values, inr(weights, coords))


def test_activation_maps_of_other_inrs_are_refused():
    inr = make_inr("fourier_net")
    assert "fourier_net" in INRS
    with pytest.raises(InrzooError, match="need a multilayer perceptron"):
        activation_maps(inr, torch.zeros(inr.layout.num_params), torch.zeros(4, 2))


@pytest.mark.parametrize("name", OPTIMISED)
def test_each_step_has_its_own_rate(name):
    """A second step with rates of 0 changes nothing; a first one with rates of 0 leaves one step."""
    hypernet = tiny(name, learned_rates=(0.01, 0.1), inner_steps=2)
    coords, values = signals(1, dtype=DOUBLE)
    rates = hypernet.rates.detach().clone()
    hypernet.inner_steps = 1
    one = hypernet.instances(coords, values)
    hypernet.inner_steps = 2
    with torch.no_grad():
        hypernet.rates[1] = 0.0
    torch.testing.assert_close(hypernet.instances(coords, values), one)
    with torch.no_grad():
        hypernet.rates.copy_(torch.stack([torch.zeros_like(rates[0]), rates[0]]))
    torch.testing.assert_close(hypernet.instances(coords, values), one)


@pytest.mark.skipif(library.unavailable() is not None, reason=str(library.unavailable()))
@pytest.mark.parametrize("fields", [{}, {"inner_fraction": 0.4}, {"second_order": False}], ids=str)
@pytest.mark.parametrize("inr_name", ["siren", "relu_mlp"])
@pytest.mark.parametrize("name", ["learned_init", "cavia"])
def test_native_steps_are_those_of_autograd(name, inr_name, fields, monkeypatch):
    monkeypatch.setattr(curvature, "LEAST_PRODUCTS", 1)
    omega_0 = {"omega_0": 4.0} if inr_name == "siren" else {}
    hypernet = make(name, make_inr(inr_name, **omega_0), learned_rates=(0.01, 0.1), inner_steps=3, **fields)
    coords, values = signals()
    assert hypernet.compares_natively(hypernet.start_weights()[None], coords)
    results = []
    for native in (True, False):
        hypernet.native = native
        torch.manual_seed(1)
        losses = hypernet.loss(coords, values)
        results.append([losses, *torch.autograd.grad(losses.sum(), list(hypernet.parameters()), allow_unused=True)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.detach().abs().max()))


@pytest.mark.parametrize("name", OPTIMISED)
def test_what_makes_stores_is_autograds(name):
    hypernet, coords = make(name, make_inr("siren")), torch.zeros(2**18, 2)
    assert hypernet.compares_natively(hypernet.start_weights()[None], coords) is (library.unavailable() is None)
    assert not hypernet.eval().compares_natively(hypernet.start_weights()[None], coords)
