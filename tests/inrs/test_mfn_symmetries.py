"""Multiplicative filter networks: what changes the weights and not the function, and the canonical form.

Shape letters: B batch of INRs.
"""

import math

import numpy as np
import pytest
import torch

from inrzoo.inrs import MultiplicativeFilterNetwork
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.seeding import Stream

B = 20
CLASSES = [FourierNet, GaborNet]
BOTH = pytest.mark.parametrize("cls", CLASSES)


def make(cls: type, **fields) -> MultiplicativeFilterNetwork:
    return cls(**{"in_features": 2, "out_features": 3, "input_scale": 30.0, **fields})


def starts(net: MultiplicativeFilterNetwork, count: int = B) -> torch.Tensor:
    return torch.from_numpy(np.stack([net.init(Stream("init", "test", 0, str(i))) for i in range(count)]))


def points(net: MultiplicativeFilterNetwork, count: int = 1000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return (torch.rand(count, net.in_features, generator=generator) * 2 - 1).double()


def same_function(net: MultiplicativeFilterNetwork, one: torch.Tensor, other: torch.Tensor, tolerance: float) -> bool:
    coords = points(net)
    return torch.allclose(net(one.double(), coords), net(other.double(), coords), rtol=0, atol=tolerance)


def filters_of(net: MultiplicativeFilterNetwork) -> list[str]:
    return [f"filter_{i}" for i in range(net.num_filters)]


def elsewhere_in_the_orbit(net: MultiplicativeFilterNetwork, weights: torch.Tensor, seed: int) -> torch.Tensor:
    """A random element of the group for every INR and unit: signs, half turns, scales of both signs, permutations."""
    generator = torch.Generator().manual_seed(seed)
    shape = (*weights.shape[:-1], net.hidden_features)

    def drawn(low: int, high: int) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=generator)

    for _ in range(2):
        weights = net.shift_phases(weights, {axis: drawn(-4, 5) for axis in filters_of(net)})
        weights = net.scale_linear(
            weights,
            {axis: (1 - 2 * drawn(0, 2)) * torch.exp2(drawn(-20, 21) / 10) for axis in filters_of(net)[1:]},
        )
        weights = net.flip_filters(weights, {axis: 1 - 2 * drawn(0, 2) for axis in filters_of(net)})
        orders = {axis: torch.rand(shape, generator=generator).argsort(-1) for axis in filters_of(net)}
        weights = net.layout.permute_each(weights, orders)
    return weights


@BOTH
@pytest.mark.parametrize("i", range(3))
def test_a_flipped_filter_leaves_the_function(cls, i):
    net = make(cls)
    weights = starts(net).double()
    signs = torch.where(torch.rand(B, 16, generator=torch.Generator().manual_seed(i)) < 0.5, -1, 1)
    flipped = net.flip_filters(weights, {f"filter_{i}": signs})
    before, after = net.layout.split(weights), net.layout.split(flipped)
    assert torch.equal(after[f"omega_{i}"], before[f"omega_{i}"] * signs[..., None])
    assert torch.equal(after[f"phi_{i}"], before[f"phi_{i}"] * signs)
    assert same_function(net, flipped, weights, 1e-12)
    assert torch.equal(net.flip_filters(flipped, {f"filter_{i}": signs}), weights)


@BOTH
@pytest.mark.parametrize("i", range(3))
def test_half_turns_of_a_phase_leave_the_function(cls, i):
    net = make(cls)
    weights = starts(net).double()
    turns = torch.randint(-3, 4, (B, 16), generator=torch.Generator().manual_seed(i))
    shifted = net.shift_phases(weights, {f"filter_{i}": turns})
    difference = net.layout.split(shifted)[f"phi_{i}"] - net.layout.split(weights)[f"phi_{i}"]
    torch.testing.assert_close(difference, math.pi * turns.double())
    assert same_function(net, shifted, weights, 1e-12)
    torch.testing.assert_close(net.shift_phases(shifted, {f"filter_{i}": -turns}), weights)


@BOTH
@pytest.mark.parametrize("i", [1, 2])
def test_scales_of_the_linear_branch_leave_the_function(cls, i):
    net = make(cls)
    weights = starts(net).double()
    factors = torch.randn(B, 16, generator=torch.Generator().manual_seed(i)).double() * 3
    scaled = net.scale_linear(weights, {f"filter_{i}": factors})
    before, after = net.layout.split(weights), net.layout.split(scaled)
    assert torch.equal(after[f"bias_{i - 1}"], before[f"bias_{i - 1}"] * factors)
    assert same_function(net, scaled, weights, 1e-12)
    torch.testing.assert_close(net.scale_linear(scaled, {f"filter_{i}": 1 / factors}), weights)


@BOTH
def test_one_choice_serves_all_inrs_of_a_batch(cls):
    net = make(cls)
    weights = starts(net).double()
    signs, turns, factors = torch.tensor([1, -1] * 8), torch.arange(16), torch.linspace(0.5, 2, 16)
    for change, unit in [(net.flip_filters, signs), (net.shift_phases, turns), (net.scale_linear, factors)]:
        each = change(weights, {"filter_1": unit.expand(B, 16)})
        assert not torch.equal(each, weights)
        assert torch.equal(change(weights, {"filter_1": unit}), each)


@BOTH
def test_symmetries_that_do_not_exist_are_refused(cls):
    net = make(cls)
    with pytest.raises(ValueError, match="filter 0 has no linear layer"):
        net.scale_linear(starts(net), {"filter_0": torch.ones(16)})
    for change in (net.flip_filters, net.shift_phases, net.scale_linear):
        for axis in ("in", "out", "filter_3"):
            with pytest.raises(ValueError, match="filter_0, filter_1, filter_2"):
                change(starts(net), {axis: torch.ones(16)})


@pytest.mark.parametrize("fields", [{}, {"num_filters": 1}, {"in_features": 1}, {"in_features": 3, "num_filters": 4}])
@BOTH
def test_canonical_form_is_the_same_function(cls, fields):
    net = make(cls, **fields)
    weights = starts(net)
    canonical = net.canonicalise(weights)
    assert canonical.dtype == weights.dtype
    assert not torch.equal(canonical, weights)
    assert same_function(net, canonical, weights, 1e-5)
    assert same_function(net, net.canonicalise(weights.double()), weights, 1e-12)


@pytest.mark.parametrize("fields", [{}, {"num_filters": 1}, {"in_features": 1}, {"in_features": 3, "num_filters": 4}])
@BOTH
def test_all_members_of_an_orbit_have_one_canonical_form(cls, fields):
    net = make(cls, **fields)
    weights = starts(net)
    canonical = net.canonicalise(weights)
    for seed in range(5):
        other = elsewhere_in_the_orbit(net, weights, seed)
        assert same_function(net, other, weights, 1e-4)
        assert (other - weights).abs().amax(-1).min() > 0.5
        torch.testing.assert_close(net.canonicalise(other), canonical, rtol=0, atol=1e-5)


@BOTH
def test_different_functions_have_different_canonical_forms(cls):
    net = make(cls)
    canonical = net.canonicalise(starts(net))
    assert torch.pdist(canonical).min() > 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@BOTH
def test_canonical_form_is_idempotent(cls, dtype):
    net = make(cls)
    canonical = net.canonicalise(starts(net, 200).to(dtype))
    torch.testing.assert_close(net.canonicalise(canonical), canonical, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@BOTH
def test_phases_at_the_ends_of_their_range_stay(cls, dtype):
    """Multiples of π/2, the ends of the canonical range, and the numbers next to them, as rounding leaves them."""
    net = make(cls)
    special = [k * math.pi / 2 for k in range(-4, 5)] + [k * math.pi - 2.0**-10 for k in range(-2, 3)]
    special = torch.tensor(special, dtype=dtype)
    far = torch.full_like(special, 10.0)
    phases = torch.cat([special, special.nextafter(far), special.nextafter(-far)])
    weights = starts(net, len(phases)).to(dtype)
    tensors = net.layout.split(weights)
    for i in range(3):
        tensors[f"phi_{i}"] = phases[:, None].expand(-1, 16)
    weights = net.layout.join(tensors)
    canonical = net.canonicalise(weights)
    assert same_function(net, canonical, weights, 1e-5)
    torch.testing.assert_close(net.canonicalise(canonical), canonical, rtol=0, atol=1e-6)


@BOTH
def test_phases_of_zero_have_one_form_whatever_their_half_turns(cls):
    """As a start without phases has them: float32 multiples of π are not multiples of π, and must not matter."""
    net = make(cls)
    tensors = net.layout.split(starts(net))
    weights = net.layout.join(tensors | {f"phi_{i}": torch.zeros(B, 16) for i in range(3)})
    canonical = net.canonicalise(weights)
    for seed in range(3):
        other = elsewhere_in_the_orbit(net, weights, seed)
        torch.testing.assert_close(net.canonicalise(other), canonical, rtol=0, atol=1e-5)


@BOTH
def test_canonical_form_is_what_it_says(cls):
    net = make(cls)
    weights = starts(net)
    before, tensors = net.layout.split(weights), net.layout.split(net.canonicalise(weights))
    for i in range(3):
        first = tensors[f"omega_{i}"][..., 0]
        assert (first > 0).all()
        assert (first.diff(dim=-1) > 0).all()
        assert (tensors[f"phi_{i}"] >= -(2.0**-10)).all()
        assert (tensors[f"phi_{i}"] < math.pi - 2.0**-10).all()
    for i in range(2):
        rows = torch.cat([tensors[f"weight_{i}"], tensors[f"bias_{i}"][..., None]], -1)
        torch.testing.assert_close(rows.norm(dim=-1), torch.ones(B, 16))
        assert (rows[..., 0] > 0).all()
    assert torch.equal(tensors["bias_2"], before["bias_2"])


@BOTH
def test_zeros_do_not_hurt_the_canonical_form(cls):
    """First entries of 0 pass the decision on; rows of zeros stay."""
    net = make(cls)
    tensors = net.layout.split(starts(net))
    for i in range(3):
        tensors[f"omega_{i}"][..., 0] = 0
        tensors[f"weight_{i}"][..., 3] = 0
    tensors["weight_0"][:, 5], tensors["bias_0"][:, 5] = 0, 0
    tensors["omega_1"][:, 7] = 0
    weights = net.layout.join(tensors)
    canonical = net.canonicalise(weights)
    assert canonical.isfinite().all()
    assert same_function(net, canonical, weights, 1e-5)
    assert (net.layout.split(canonical)["omega_0"][..., 1] > 0).all()
    torch.testing.assert_close(net.canonicalise(canonical), canonical, rtol=0, atol=1e-6)


@BOTH
def test_each_inr_is_canonicalised_for_itself(cls):
    net = make(cls)
    weights = starts(net, 6)
    together = net.canonicalise(weights)
    torch.testing.assert_close(torch.stack([net.canonicalise(one) for one in weights]), together, rtol=0, atol=1e-7)
    assert torch.equal(net.canonicalise(weights.reshape(2, 3, -1)), together.reshape(2, 3, -1))
