"""The contract of every component: each test runs over all that the registry finds."""

import dataclasses
import inspect
import json

import numpy as np
import pytest
import torch
from inr_contract import with_base

from inrzoo import registry
from inrzoo.inrs import INR
from inrzoo.seeding import Stream
from inrzoo.sources import Source
from inrzoo.weights import FIXED_AXES

INRS = registry.names("inrs")
SOURCES = registry.names("sources")
B, K = 3, 17


def make(name: str, in_features: int = 2, out_features: int = 3, **fields) -> INR:
    inr = registry.make("inrs", {"name": name, **fields}, in_features=in_features, out_features=out_features)
    return inr if inr.base_layout is None else with_base(inr)


def starts(inr: INR, count: int = B) -> torch.Tensor:
    """Weights of different INRs: random starts, or latents, whose start is 0."""
    if inr.base_layout is not None:
        return torch.randn(count, inr.layout.num_params, generator=torch.Generator().manual_seed(1))
    return torch.from_numpy(np.stack([inr.init(Stream("init", "test", 0, str(i))) for i in range(count)]))


def points(inr: INR, *lead: int) -> torch.Tensor:
    return torch.rand(*lead, K, inr.in_features, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("kind, name", [("inrs", name) for name in INRS] + [("sources", name) for name in SOURCES])
def test_component_is_a_documented_frozen_dataclass(kind, name):
    cls = registry.find(kind, name)
    assert issubclass(cls, {"inrs": INR, "sources": Source}[kind])
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert not inspect.isabstract(cls)
    assert len((cls.__dict__.get("__doc__") or "").split()) > 5
    assert not cls.__doc__.startswith(f"{cls.__name__}(")  # what dataclass writes where there is none
    for key in dataclasses.fields(cls):
        if key.default is not dataclasses.MISSING:
            json.dumps(key.default)
        if key.default_factory is not dataclasses.MISSING:
            json.dumps(key.default_factory())


@pytest.mark.parametrize("name", INRS)
def test_fields_of_an_inr_survive_json(name):
    inr = make(name)
    again = registry.make("inrs", {"name": name, **json.loads(json.dumps(dataclasses.asdict(inr)))})
    assert again == inr
    with pytest.raises(dataclasses.FrozenInstanceError):
        inr.in_features = 5


@pytest.mark.parametrize("in_features", [1, 2, 3])
@pytest.mark.parametrize("out_features", [1, 3])
@pytest.mark.parametrize("name", INRS)
def test_any_number_of_coordinates_and_channels(name, in_features, out_features):
    inr = make(name, in_features, out_features)
    weights = inr.init(Stream("init", "test", 0))
    assert weights.dtype == np.float32
    assert weights.shape == (inr.layout.num_params,)
    assert np.isfinite(weights).all()
    axes = (inr.layout if inr.base_layout is None else inr.base_layout).axes
    assert axes["in"] == in_features
    assert axes["out"] == out_features
    values = inr(torch.from_numpy(weights), points(inr))
    assert values.shape == (K, out_features)
    assert values.isfinite().all()


@pytest.mark.parametrize("name", INRS)
def test_init_depends_on_the_stream_alone(name):
    inr = make(name)
    first = inr.init(Stream("init", "test", 0, "a"))
    other = inr.init(Stream("init", "test", 0, "b"))
    assert np.array_equal(inr.init(Stream("init", "test", 0, "a")), first)
    assert np.array_equal(make(name).init(Stream("init", "test", 0, "a")), first)
    assert (first != other).mean() > 0.5 if inr.base_layout is None else not first.any()


@pytest.mark.parametrize("name", INRS)
def test_a_batch_equals_one_by_one(name):
    inr = make(name)
    weights, coords = starts(inr), points(inr)
    together = inr(weights, coords)
    assert together.shape == (B, K, 3)
    torch.testing.assert_close(together, torch.stack([inr(one, coords) for one in weights]))
    assert not torch.allclose(together[0], together[1])


@pytest.mark.parametrize("name", INRS)
def test_coordinates_of_their_own_for_each_inr(name):
    inr = make(name)
    weights, coords = starts(inr), points(inr, B)
    one_by_one = torch.stack([inr(one, where) for one, where in zip(weights, coords, strict=True)])
    torch.testing.assert_close(inr(weights, coords), one_by_one)


@pytest.mark.parametrize("name", INRS)
def test_leading_dimensions_count_inrs(name):
    inr = make(name)
    weights = starts(inr, 6)
    flat = inr(weights, points(inr))
    torch.testing.assert_close(inr(weights.reshape(2, 3, -1), points(inr)), flat.reshape(2, 3, K, 3))
    own = points(inr, 6)
    nested = inr(weights.reshape(2, 3, -1), own.reshape(2, 3, K, -1))
    torch.testing.assert_close(nested, inr(weights, own).reshape(2, 3, K, 3))


@pytest.mark.parametrize("name", INRS)
def test_shapes_that_do_not_fit_are_refused(name):
    inr = make(name)
    weights, coords = starts(inr), points(inr)
    for bad_weights, bad_coords in [
        (weights[:, :-1], coords),
        (weights, coords[:, :1]),
        (weights, points(inr, B + 1)),
        (weights[0], points(inr, B)),
    ]:
        with pytest.raises(ValueError):
            inr(bad_weights, bad_coords)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", INRS)
def test_values_follow_device_and_dtype_of_the_inputs(name, dtype, device):
    inr = make(name)
    values = inr(starts(inr).to(device, dtype), points(inr).to(device, dtype))
    assert values.dtype == dtype
    assert values.device.type == device


@pytest.mark.parametrize("name", INRS)
def test_inputs_are_not_changed_and_calls_leave_no_trace(name):
    inr = make(name)
    weights, coords = starts(inr), points(inr)
    first = inr(weights, coords)
    inr(starts(inr, 5) * 2, points(inr) / 2)
    assert torch.equal(weights, starts(inr))
    assert torch.equal(coords, points(inr))
    assert torch.equal(inr(weights, coords), first)


@pytest.mark.parametrize("name", INRS)
def test_differentiable_in_weights_and_coordinates(name):
    inr = make(name)
    weights, coords = starts(inr).requires_grad_(), points(inr).requires_grad_()
    inr(weights, coords).square().sum().backward()
    for grad in (weights.grad, coords.grad):
        assert grad.isfinite().all()
        assert (grad != 0).any(dim=-1).all()


@pytest.mark.parametrize("name", INRS)
def test_gradients_equal_finite_differences(name):
    inr = make(name, 2, 1, hidden_features=3)
    weights, coords = starts(inr, 2).double().requires_grad_(), points(inr)[:3].double().requires_grad_()
    assert torch.autograd.gradcheck(inr, (weights, coords))


@pytest.mark.parametrize("name", INRS)
def test_renumbering_neurons_leaves_the_function_unchanged(name):
    inr = make(name)
    weights, coords = starts(inr), points(inr)
    assert bool(inr.layout.neuron_axes) == (inr.base_layout is None), "a latent has no neurons"
    orders = {
        axis: np.random.default_rng(number).permutation(size)
        for number, (axis, size) in enumerate(inr.layout.neuron_axes.items())
    }
    for some in [{axis: order} for axis, order in orders.items()] + ([orders] if orders else []):
        permuted = inr.layout.permute(weights, some)
        assert not torch.equal(permuted, weights)
        torch.testing.assert_close(inr(permuted, coords), inr(weights, coords), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", INRS)
def test_coordinates_and_channels_are_never_renumbered(name):
    layout = make(name).layout
    fixed = [axis for axis in FIXED_AXES if axis in layout.axes]
    assert fixed in (["in", "out"], ["latent"])
    for axis in fixed:
        with pytest.raises(ValueError, match="cannot be permuted"):
            layout.permutation({axis: np.arange(layout.axes[axis])[::-1]})
