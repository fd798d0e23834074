"""Hypernetworks on posed views: rays beside colours, any number of views in any order, gradients through rendering."""

import math

import numpy as np
import pytest
import torch
from small import FIELDS, TRANSFORMER, assert_gradients_are_finite_differences, randomise_

from inrzoo import registry
from inrzoo.hypernets import Hypernet, optimise_at_test_time
from inrzoo.hypernets.starts import matched_start, shuffled_start
from inrzoo.observations.rays import looking_at_0, rays_of
from inrzoo.volume_rendering import VolumeRenderer

SIZE = (4, 5)
"""Rows and columns of a view, neither a multiple of the patch."""
INR = {
    "name": "relu_mlp", "hidden_features": 6, "hidden_layers": 1, "encoding": "log_spaced", "num_frequencies": 3,
    "sigma": 4.0,
}  # fmt: skip
TOKENS = ["trans_inr", "instance_patterns"]
STEPS = ["learned_init", "cavia"]


def make(name: str, inr: dict = INR, density: str = "softplus", **fields) -> Hypernet:
    """A hypernetwork of views in training mode, the same at every call."""
    torch.manual_seed(0)
    spec = {"name": name, **FIELDS[name], **fields}
    made = registry.make("inrs", inr, in_features=3, out_features=4)
    network = randomise_(registry.make("hypernets", spec, inr=made, sizes=SIZE, views=True))
    network.compare_by(VolumeRenderer(samples=5, density=density, density_scale=3.0, density_shift=0.5), "mse")
    return network


def views(count: int, batch: int = 2, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """Rays (B, count · K, 6) of cameras around the cube, and smooth colours (B, count · K, 3)."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(batch, 6, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    poses = np.stack([[looking_at_0(one, 3.0) for one in each] for each in directions])
    intrinsics = np.tile([5.0, 5.0, SIZE[1] / 2, SIZE[0] / 2], (batch, 1))
    rays = torch.from_numpy(rays_of(poses[:, :count], intrinsics, SIZE)).to(dtype)
    return rays, torch.sigmoid(3 * rays[..., 3:] + rays[..., :3])


def reordered(part: torch.Tensor, order: list[int]) -> torch.Tensor:
    return part.unflatten(1, (-1, math.prod(SIZE)))[:, order].flatten(1, 2)


@pytest.mark.parametrize("density", ["softplus", "relu"])
@pytest.mark.parametrize("name", STEPS)
def test_second_order_gradients_through_rays_equal_finite_differences(name, density):
    """Inner steps on the rays of two views, the loss on those of another; samples at the same random places."""
    smooth = {**INR, "name": "siren", "omega_0": 2.0}
    smooth = {key: smooth[key] for key in ("name", "hidden_features", "hidden_layers", "omega_0")}
    network = make(name, smooth, density, inner_steps=2, learned_rates=(0.05, 0.2)).double()
    rays, values = views(3, dtype=torch.float64)
    split = 2 * math.prod(SIZE)

    def outer() -> torch.Tensor:
        torch.manual_seed(3)
        weights = network(rays[:, :split], values[:, :split])
        return network.reconstruction_loss(weights, rays[:, split:], values[:, split:]).mean()

    parameters = dict(network.named_parameters())
    assert_gradients_are_finite_differences(parameters, outer, rel=1e-4, abs_=1e-10, least=1e-7)


@pytest.mark.parametrize("name", STEPS)
def test_first_order_gradients_through_rays_are_others(name):
    network = make(name, inner_steps=1, inner_lr=0.3).double()
    rays, values = views(2, dtype=torch.float64)

    def gradient() -> torch.Tensor:
        torch.manual_seed(3)
        return torch.autograd.grad(network.loss(rays, values).mean(), network.start)[0]

    second = gradient()
    network.second_order = False
    assert (gradient() - second).norm() > 1e-3 * second.norm()


@pytest.mark.parametrize("name", TOKENS)
def test_the_order_of_views_does_not_matter_and_their_number_is_free(name):
    network = make(name, dropout=0.0).eval()
    rays, values = views(3)
    with torch.no_grad():
        weights = network(rays, values)
        order = [2, 0, 1]
        torch.testing.assert_close(
            network(reordered(rays, order), reordered(values, order)), weights, rtol=1e-4, atol=1e-5
        )
        fewer = network(*(part[:, : 2 * math.prod(SIZE)] for part in (rays, values)))
        assert fewer.shape == weights.shape and (fewer - weights).abs().max() > 1e-4
        assert network(*views(5)).isfinite().all()
        # Colours of other rays are another observation.
        assert (network(reordered(rays, order), values) - weights).abs().max() > 1e-4


def test_a_token_has_colours_and_rays_of_a_patch_and_no_position():
    network = make("trans_inr", patch=None)
    assert network.data_tokens.patch == (8, 8) and network.data_tokens.positions is None
    assert network.data_tokens.linear.in_features == 64 * 9
    rays, values = views(2)
    patches = network.data_tokens.patches(network.observed(rays, values)[:, : math.prod(SIZE)])
    padded = patches.reshape(2, 8, 8, 9)[:, 2:6, 1:6]
    torch.testing.assert_close(padded[..., :3], values[:, : math.prod(SIZE)].unflatten(1, SIZE) - 1)
    torch.testing.assert_close(padded[..., 3:], rays[:, : math.prod(SIZE)].unflatten(1, SIZE) / 64)


@pytest.mark.parametrize("name", TOKENS)
def test_attention_is_to_patches_of_each_view(name):
    network = make(name, dropout=0.0).eval()
    rays, values = views(3)
    maps = network.attention_maps(network.observed(rays, values))
    heads, patch = TRANSFORMER["num_heads"], TRANSFORMER["patch"]
    assert maps.shape == (2, heads, len(network.token_names), 3, *(-(-size // patch) for size in SIZE))


@pytest.mark.parametrize("name", TOKENS + STEPS)
def test_views_of_another_size_or_without_rays_are_refused(name):
    network = make(name)
    rays, values = views(2)
    with pytest.raises(ValueError, match="signals"):
        network(rays[0], values)
    if name in TOKENS:
        with pytest.raises(ValueError, match="not the grid"):
            network(rays[:, :-1], values[:, :-1])


def test_optimising_on_rays_of_a_view_fits_that_view():
    network = make("learned_init", {**INR, "hidden_features": 16})
    rays, values = views(1)
    before = network.eval().reconstruction_loss(network(rays, values), rays, values).detach()
    weights = optimise_at_test_time(network, rays, values, steps=60, lr=1e-2, num_coords=10)
    assert (network.reconstruction_loss(weights, rays, values) < 0.75 * before).all()
    again = optimise_at_test_time(network, rays, values, steps=60, lr=1e-2, num_coords=10)
    assert torch.equal(weights, again)


def test_a_shuffled_start_has_the_numbers_of_each_tensor_in_another_order():
    network = make("learned_init")
    inr, start = network.inr, network.start.detach()
    shuffled = shuffled_start(inr, start, 5)
    assert torch.equal(shuffled, shuffled_start(inr, start, 5)) and not torch.equal(shuffled, start)
    for name, part in inr.layout.split(start).items():
        assert torch.equal(inr.layout.split(shuffled)[name].flatten().sort().values, part.flatten().sort().values)
    points = torch.rand(64, 3) * 2 - 1
    assert (inr(shuffled, points) - inr(start, points)).abs().mean() > 0.01


def test_a_matched_start_has_the_function_and_not_the_weights():
    network = make("learned_init")
    inr, start = network.inr, network.start.detach()
    points = torch.rand(256, 3, generator=torch.Generator().manual_seed(9)) * 2 - 1
    fresh, matched = (matched_start(inr, start, 1, steps=steps) for steps in (0, 300))
    errors = [(inr(each, points) - inr(start, points)).square().mean() for each in (fresh, matched)]
    assert errors[1] < 0.05 * errors[0]
    assert (matched - start).norm() > 0.5 * start.norm()
