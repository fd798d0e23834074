"""The contract of every hypernetwork: each test runs over all that the registry finds."""

import json

import pytest
import torch
from small import FIELDS, INRS, NAMES, SIGNALS, TARGETS, make, make_inr, randomise_, signals, target

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.hypernets import Hypernet, optimise_at_test_time
from inrzoo.inrs import INR


def test_all_are_tested_and_documented():
    assert set(NAMES) == set(FIELDS)
    for name in NAMES:
        cls = registry.find("hypernets", name)
        assert issubclass(cls, Hypernet)
        assert len(cls.__doc__.split()) > 20
        assert set(INRS) == set(registry.names("inrs"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_signals_of_any_axes_and_channels(name, axes):
    inr = make_inr(target(name), axes=axes)
    coords, values = signals(axes)
    hypernet = make(name, inr)
    weights = hypernet(coords, values)
    assert weights.shape == (3, inr.layout.num_params)
    rendered = hypernet.inr(weights, coords)
    assert rendered.shape == values.shape
    assert rendered.isfinite().all()
    assert (weights[0] != weights[1]).any()


@pytest.mark.parametrize(
    "inr_name, name",
    [
        (inr_name, name)
        for inr_name in INRS
        for name in NAMES
        if inr_name == TARGETS.get(name) or (name not in TARGETS and inr_name not in TARGETS.values())
    ],
)
def test_any_inr_is_a_target_and_can_be_learned(name, inr_name):
    inr = make_inr(inr_name)
    hypernet = make(name, inr, **({"inner_lr": 1e-3} if name in ("learned_init", "cavia") else {}))
    if name == "end_to_end":
        with torch.no_grad():
            hypernet.rates *= 1e-2
    coords, values = signals()
    parameters = [hypernet.start] if name == "end_to_end" else list(hypernet.parameters())
    adam = torch.optim.Adam(parameters, lr=1e-2)
    losses = []
    for _ in range(15):
        loss = hypernet.loss(coords, values).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert sum(losses[-3:]) < 0.97 * sum(losses[:3])


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_gradient(name):
    hypernet = randomise_(make(name))
    coords, values = signals()
    if name == "end_to_end":
        task, error, _ = hypernet.losses(coords, values, torch.tensor([0, 1, 2]))
        (task + error).mean().backward()
    else:
        hypernet.loss(coords, values).sum().backward()
    for key, parameter in hypernet.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert (parameter.grad != 0).any(), key


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_one_by_one(name):
    hypernet = make(name).eval()
    coords, values = signals()
    together = hypernet(coords, values)
    alone = torch.cat([hypernet(coords, one[None]) for one in values])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_is_a_function_of_the_signal(name):
    hypernet = make(name).eval()
    coords, values = signals()
    first = hypernet(coords, values)
    torch.rand(3)
    assert torch.equal(hypernet(coords, values), first)
    with torch.no_grad():
        assert torch.equal(hypernet(coords, values), first)
    own = hypernet(coords.expand(3, -1, -1), values)
    torch.testing.assert_close(own, first)


@pytest.mark.parametrize("name", NAMES)
def test_seed_decides_the_start(name):
    first, again = make(name), make(name)
    for left, right in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(left, right)
    torch.manual_seed(7)
    runtime = {"num_classes": 4} if name == "end_to_end" else {}
    spec = {"name": name, **FIELDS[name]}
    other = registry.make("hypernets", spec, inr=first.inr, sizes=first.sizes, **runtime)
    assert any((left != right).any() for left, right in zip(first.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_state_survives_saving(name, tmp_path):
    hypernet = randomise_(make(name)).eval()
    torch.save(hypernet.state_dict(), tmp_path / "state.pt")
    again = make(name).eval()
    coords, values = signals()
    assert (again(coords, values) != hypernet(coords, values)).any()
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(again(coords, values), hypernet(coords, values))


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_the_mean_squared_error_of_each_signal(name):
    hypernet = make(name).eval()
    coords, values = signals()
    rendered = hypernet.inr(hypernet(coords, values), coords)
    expected = torch.stack([((one - two) ** 2).mean() for one, two in zip(rendered, values, strict=True)])
    torch.testing.assert_close(hypernet.loss(coords, values), expected)
    torch.testing.assert_close(hypernet.loss(coords, values, len(coords)), expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_subset_of_coordinates_estimates_the_loss(name):
    hypernet = make(name).eval()
    coords, values = signals()
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = torch.stack([hypernet.loss(coords, values, 5) for _ in range(100)])
        exact = hypernet.loss(coords, values)
    assert (drawn[0] != drawn[1]).all()
    assert ((drawn.mean(0) - exact).abs() < 5 * drawn.std(0) / 10).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", ["all", "instance"])
def test_test_time_optimisation_lowers_every_error(name, part):
    hypernet = make(name)
    before_state = {key: value.clone() for key, value in hypernet.state_dict().items()}
    coords, values = signals()
    with torch.no_grad():
        start = hypernet.eval()(coords, values)
        before = hypernet.reconstruction_loss(start, coords, values)
    hypernet.train()
    assert torch.equal(optimise_at_test_time(hypernet, coords, values, steps=0, part=part), start)
    weights = optimise_at_test_time(hypernet, coords, values, steps=60, lr=3e-3, part=part)
    assert hypernet.training
    assert (hypernet.reconstruction_loss(weights, coords, values) < before).all()
    assert all(parameter.grad is None for parameter in hypernet.parameters())
    assert all(torch.equal(value, before_state[key]) for key, value in hypernet.state_dict().items())
    alone = optimise_at_test_time(hypernet, coords, values[1:2], steps=60, lr=3e-3, part=part)
    torch.testing.assert_close(alone, weights[1:2], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_optimising_the_instance_part_leaves_the_rest_shared(name):
    hypernet = make(name)
    coords, values = signals()
    weights = optimise_at_test_time(hypernet, coords, values, steps=3, lr=1e-2, part="instance", num_coords=9)
    with torch.no_grad():
        instances = hypernet.eval().instances(coords, values)
        moved = hypernet.weights(instances + torch.randn_like(instances))
        shared = (moved == hypernet.weights(instances)).all(dim=0)
    expected = {"learned_init": 0.0, "functa": 0.0, "end_to_end": 0.1, "trans_inr": 0.1}.get(name, 0.4)
    assert shared.float().mean() >= expected
    assert (weights[:, shared] == weights[:1, shared]).all()
    everything = optimise_at_test_time(hypernet, coords, values, steps=3, lr=1e-2, num_coords=9)
    assert name in ("learned_init", "functa") or (everything[0, shared] != everything[1, shared]).any()


@pytest.mark.parametrize("name", NAMES)
def test_wrong_shapes_are_refused(name):
    hypernet = make(name)
    coords, values = signals()
    for bad_coords, bad_values in [
        (coords[:, :1], values),
        (coords[:-1], values),
        (coords, values[0]),
        (coords.expand(1, 2, -1, -1), values),
    ]:
        with pytest.raises(ValueError, match="signals"):
            hypernet(bad_coords, bad_values)
    if name in ("trans_inr", "instance_patterns"):
        with pytest.raises(ValueError, match="not the grid"):
            hypernet(coords[:-1], values[:, :-1])


@pytest.mark.parametrize("name", NAMES)
def test_unknown_fields_are_refused_in_one_line(name):
    with pytest.raises(InrzooError, match=f"{name} has no field 'widht'") as caught:
        make(name, widht=3)
    assert "\n" not in str(caught.value)
    with pytest.raises(InrzooError, match="at least one point on each axis"):
        runtime = {"num_classes": 4} if name == "end_to_end" else {}
        registry.make("hypernets", {"name": name, **FIELDS[name]}, inr=make_inr(target(name)), sizes=(0, 3), **runtime)


@pytest.mark.parametrize(
    "name, field, value",
    [
        ("trans_inr", "groups", 0),
        ("trans_inr", "groups", "64"),
        ("trans_inr", "grouping", "cyclic"),
        ("trans_inr", "row_norm", "rows"),
        ("trans_inr", "patch", 0),
        ("trans_inr", "patch", [3, 3, 3]),
        ("trans_inr", "num_heads", 3),
        ("instance_patterns", "rank", 0),
        ("instance_patterns", "layer", 0),
        ("instance_patterns", "layer", 9),
        ("instance_patterns", "modulation", "v"),
        ("learned_init", "algorithm", "foo"),
        ("learned_init", "adapt", "biases"),
        ("learned_init", "inner_steps", -1),
        ("learned_init", "inner_lr", 0),
        ("learned_init", "inner_fraction", 0.0),
        ("learned_init", "learned_rates", [1.0, 0.1]),
        ("cavia", "inner_fraction", 1.5),
        ("end_to_end", "task_weight", -0.1),
        ("end_to_end", "head_features", 3),
    ],
)
def test_impossible_values_are_refused_in_one_line(name, field, value):
    with pytest.raises(InrzooError) as caught:
        make(name, **{field: value})
    message = str(caught.value)
    assert "\n" not in message
    shown = tuple(value) if isinstance(value, list) else value
    assert str(shown) in message or str(value) in message
    assert field in message


def test_defaults_can_be_written_to_a_manifest():
    for name in NAMES:
        import inspect

        for key, parameter in inspect.signature(registry.find("hypernets", name)).parameters.items():
            if parameter.default is not inspect.Parameter.empty:
                json.dumps(parameter.default)
            else:
                assert key in ("inr", "sizes", "num_classes")


def test_an_inr_is_what_renders():
    assert isinstance(make("cavia").inr, INR)
    assert SIGNALS[2][0] == make("cavia").sizes
