"""The contract of every decoder: each test runs over all that the registry finds, on layouts of three INRs."""

import inspect
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from inrzoo import registry
from inrzoo.coords import grid
from inrzoo.decoders import Decoder, NormalisedDecoder
from inrzoo.encoders import SYMMETRIES, Domain
from inrzoo.errors import InrzooError
from inrzoo.seeding import Stream
from inrzoo.trust import trust

DECODERS = registry.names("decoders")
INRS = {
    "siren": {"hidden_features": 6, "hidden_layers": 1, "omega_0": 10.0},
    "relu_mlp": {"hidden_features": 6},
    "gabor_net": {"hidden_features": 5, "num_filters": 2},
}
SIZES = (7, 5)
DOMAIN = Domain(extent=1.0, sizes=SIZES, coords=torch.from_numpy(grid(SIZES)))
B = 3
PAIRS = [(name, family) for name in DECODERS for family in INRS]


def inr_of(family: str):
    return registry.make("inrs", {"name": family, **INRS[family]}, in_features=2, out_features=3)


def decoder_of(name: str, inr) -> Decoder:
    """A decoder whose changes are of order 1, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = registry.make("decoders", {"name": name}, layout=inr.layout, inr=inr, domain=DOMAIN)
    if isinstance(made, NormalisedDecoder):
        torch.nn.init.ones_(made.scales)
    return made.double().eval()


def weights_of(inr) -> torch.Tensor:
    starts = [inr.init(Stream("test", "", 0, number)) for number in range(B)]
    noise = torch.randn(B, inr.layout.num_params, generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(np.stack(starts)).double() + 0.05 * noise


def symmetries_of(family: str, inr):
    """Functions that move weights by one symmetry, by the name of the symmetry."""
    rng = np.random.default_rng(1)
    orders = {axis: rng.permutation(size) for axis, size in inr.layout.neuron_axes.items()}
    moves = {"permutation": lambda weights: inr.layout.permute(weights, orders)}
    if family == "siren":
        signs = {axis: torch.tensor([1.0, -1.0]).repeat(size // 2) for axis, size in inr.layout.neuron_axes.items()}
        turns = {axis: torch.arange(size) % 4 - 1 for axis, size in inr.layout.neuron_axes.items()}
        moves["sign"] = lambda weights: inr.flip_neurons(weights, signs)
        moves["phase"] = lambda weights: inr.shift_phases(weights, turns)
    return moves


def check_equivariance(decoder: Decoder, family: str) -> None:
    """The edit of moved weights is the moved edit, for the symmetries that are declared and for no other."""
    inr = inr_of(family)
    given = weights_of(inr)
    edited = given + decoder(given)
    size = float((edited - given).detach().abs().max())
    assert size > 1e-3
    for symmetry, move in symmetries_of(family, inr).items():
        difference = float((move(given) + decoder(move(given)) - move(edited)).detach().abs().max()) / size
        assert (difference < 1e-5) == (symmetry in decoder.symmetries), (symmetry, difference)


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_is_a_documented_module_of_plain_arguments(name):
    cls = registry.find("decoders", name)
    assert issubclass(cls, Decoder) and not inspect.isabstract(cls)
    assert len((cls.__dict__.get("__doc__") or "").split()) > 5
    assert set(cls.symmetries) <= set(SYMMETRIES)
    for key, parameter in inspect.signature(cls).parameters.items():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        if key not in ("layout", "inr", "domain"):
            json.dumps(parameter.default)


@pytest.mark.parametrize("name, family", PAIRS)
def test_the_edit_of_moved_weights_is_the_moved_edit(name, family):
    check_equivariance(decoder_of(name, inr_of(family)), family)


@pytest.mark.parametrize("arguments", [{"num_probes": 6}, {"hidden_features": 8, "num_layers": 1}])
def test_messages_stay_equivariant_with_other_arguments(arguments):
    inr = inr_of("siren")
    torch.manual_seed(0)
    table = {"name": "neural_graph", **arguments}
    made = registry.make("decoders", table, layout=inr.layout, inr=inr, domain=DOMAIN).double()
    torch.nn.init.ones_(made.scales)
    check_equivariance(made, "siren")


@pytest.mark.parametrize("name, family", PAIRS)
def test_a_change_has_the_shape_of_the_weights_and_depends_on_every_inr_alone(name, family):
    inr = inr_of(family)
    decoder, given = decoder_of(name, inr), weights_of(inr)
    changes = decoder(given)
    assert changes.shape == given.shape
    torch.testing.assert_close(changes, torch.cat([decoder(each[None]) for each in given]))
    with torch.no_grad():
        torch.testing.assert_close(decoder(given), changes)


@pytest.mark.parametrize("name", DECODERS)
def test_every_parameter_learns_and_every_tensor_changes(name):
    inr = inr_of("siren")
    decoder, given = decoder_of(name, inr), weights_of(inr)
    changes = decoder(given)
    assert all(float(part.abs().max()) > 0 for part in inr.layout.split(changes.detach()).values())
    inr(given + changes, DOMAIN.coords.double()).square().sum().backward()
    idle = [key for key, parameter in decoder.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert not idle


@pytest.mark.parametrize("name", DECODERS)
def test_an_untrained_decoder_changes_the_function_little(name):
    inr = inr_of("siren")
    torch.manual_seed(0)
    decoder = registry.make("decoders", {"name": name}, layout=inr.layout, inr=inr, domain=DOMAIN).double()
    given, coords = weights_of(inr), DOMAIN.coords.double()
    before, after = inr(given, coords), inr(given + decoder(given), coords).detach()
    assert float((after - before).square().mean() / before.var()) < 0.25


def test_learned_descent_stays_at_its_goal_and_its_steps_are_as_long_as_the_goal_is_far():
    inr = inr_of("siren")
    table = {"name": "learned_descent", "num_steps": 1}
    decoder = registry.make("decoders", table, layout=inr.layout, inr=inr, domain=DOMAIN).double()
    last, given, changes = decoder.correction[-1], weights_of(inr), {}
    torch.nn.init.zeros_(last.weight)
    for distance in (0.0, 0.1, 0.2):  # what the last layer adds to every value
        torch.nn.init.constant_(last.bias, distance)
        changes[distance] = decoder(given).detach()
    assert not changes[0.0].any()
    assert float(changes[0.1].abs().max()) > 1e-4
    torch.testing.assert_close(changes[0.2], 2 * changes[0.1], rtol=1e-2, atol=1e-6)


def test_learned_descent_comes_near_its_goal():
    inr = inr_of("siren")
    table = {"name": "learned_descent", "num_steps": 30}
    torch.manual_seed(0)
    decoder = registry.make("decoders", table, layout=inr.layout, inr=inr, domain=DOMAIN).double()
    given, coords = weights_of(inr), DOMAIN.coords.double()
    with torch.no_grad():
        goal, before = decoder.goal(given), inr(given, coords)
        after = inr(given + decoder(given), coords)
    assert float((after - goal).square().mean()) < 0.5 * float((before - goal).square().mean())


def test_one_round_of_messages_reaches_every_neuron():
    """The last round of the encoder updates the outputs alone; a decoder reads all nodes and edges."""
    inr = inr_of("siren")
    table = {"name": "neural_graph", "num_layers": 1}
    decoder = registry.make("decoders", table, layout=inr.layout, inr=inr, domain=DOMAIN).double()
    given = weights_of(inr).requires_grad_()
    inr.layout.split(decoder(given))["bias_0"].sum().backward()
    assert inr.layout.split(given.grad)["weight_1"].abs().min() > 0


class Mirrored(Decoder):
    """Changes that follow the number of a neuron and not the neuron: the contract notices."""

    symmetries = ("permutation",)

    def forward(self, weights):
        return weights.flip(-1)


def test_the_contract_notices_a_decoder_that_follows_the_numbering():
    inr = inr_of("siren")
    with pytest.raises(AssertionError, match="permutation"):
        check_equivariance(Mirrored(inr.layout), "siren")


def test_the_contract_notices_a_symmetry_that_is_not_declared():
    inr = inr_of("siren")
    decoder = decoder_of("learned_descent", inr)
    decoder.symmetries = ("permutation",)
    with pytest.raises(AssertionError, match="sign"):
        check_equivariance(decoder, "siren")


def test_a_decoder_of_ones_own_is_named_by_its_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my_decoder.py").write_text(
        "from inrzoo.decoders import Decoder\n\n\nclass Same(Decoder):\n    def forward(self, weights):\n"
        "        return 0 * weights\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "trusted", {})
    inr = inr_of("siren")
    name = trust("decoders", "my_decoder:Same")
    made = registry.make("decoders", {"name": name}, layout=inr.layout, inr=inr, domain=DOMAIN)
    assert not made(weights_of(inr)).any()
    sys.modules.pop("my_decoder")


@pytest.mark.parametrize(
    "table, message",
    [
        ({"name": "learned_descent", "num_layers": 1}, "num_layers = 1 is not allowed; it must be at least 2"),
        (
            {"name": "learned_descent", "kernel_size": 2},
            "kernel_size = 2 is not allowed; it must be odd",
        ),
        ({"name": "neuron_transformer", "product_features": 0}, "product_features = 0"),
        ({"name": "neural_graph", "sigma": 0.0}, "sigma = 0.0"),
        ({"name": "equivariant_mlp", "dropout": 1.0}, "dropout = 1.0"),
    ],
)
def test_an_impossible_argument_is_one_line(table, message):
    inr = inr_of("siren")
    with pytest.raises(InrzooError, match=message):
        registry.make("decoders", table, layout=inr.layout, inr=inr, domain=DOMAIN)


@pytest.mark.parametrize("sizes", [(9,), (4, 3, 5)])
def test_learned_descent_reads_sounds_and_volumes(sizes):
    inr = registry.make("inrs", {"name": "siren", "hidden_features": 6}, in_features=len(sizes), out_features=2)
    domain = Domain(extent=1.0, sizes=sizes, coords=torch.from_numpy(grid(sizes)))
    table = {"name": "learned_descent", "num_steps": 2}
    decoder = registry.make("decoders", table, layout=inr.layout, inr=inr, domain=domain).double()
    given = weights_of(inr)
    orders = {axis: np.random.default_rng(1).permutation(size) for axis, size in inr.layout.neuron_axes.items()}
    moved = decoder(inr.layout.permute(given, orders))
    torch.testing.assert_close(moved, inr.layout.permute(decoder(given), orders))


def test_learned_descent_needs_a_grid():
    inr = inr_of("siren")
    with pytest.raises(InrzooError, match="signals on a grid of one to three axes"):
        registry.make("decoders", {"name": "learned_descent"}, layout=inr.layout, inr=inr, domain=Domain(extent=1.0))
