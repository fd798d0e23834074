"""The contract of every encoder: each test runs over all that the registry finds, on layouts of three INRs."""

import inspect
import json

import numpy as np
import pytest
import torch

from inrzoo import registry
from inrzoo.coords import grid
from inrzoo.encoders import SYMMETRIES, Domain, Encoder, pixel_layout, point_layout
from inrzoo.errors import InrzooError
from inrzoo.seeding import Stream
from inrzoo.weights import WeightLayout

ENCODERS = registry.names("encoders")
OF_WEIGHTS = [name for name in ENCODERS if registry.find("encoders", name).reads == "weights"]
OF_FUNCTIONS = [name for name in ENCODERS if registry.find("encoders", name).reads == "function"]
OF_SIGNALS = sorted(set(ENCODERS) - set(OF_WEIGHTS) - set(OF_FUNCTIONS))
OF_SINES = ["graded_message_passing", "scale_gmn"]
DOMAIN = Domain(extent=2.0, sizes=(16, 12), coords=torch.from_numpy(grid((16, 12), extent=2.0)))
INRS = {
    "siren": {"hidden_features": 8, "hidden_layers": 2},
    "relu_mlp": {"hidden_features": 8},
    "gabor_net": {},
}
SMALL = {
    "dws": {"hidden_features": 8, "num_layers": 2},
    "nfn": {"hidden_features": 16, "out_features": 32, "num_frequencies": 8},
    "point_net": {"num_points": 16},
    "nft": {
        "hidden_features": 16,
        "num_layers": 2,
        "num_latents": 2,
        "latent_features": 16,
        "out_features": 32,
        "num_frequencies": 8,
    },
}
"""Sizes of encoders whose defaults are published ones, for GPUs."""
B = 5
SIGNALS = {"conv_net": pixel_layout((16, 16), 3), "point_net": point_layout(48, 3, 1)}
"""Signals that each encoder of signals reads."""
PAIRS = [
    (name, family) for name in OF_WEIGHTS + OF_FUNCTIONS for family in INRS if family == "siren" or name not in OF_SINES
]


def siren(name: str = "siren"):
    return registry.make("inrs", {"name": name, **INRS[name]}, in_features=2, out_features=3)


def encoder(name: str, layout, seed: int = 0, inr=None, **arguments) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        table = {"name": name, **SMALL.get(name, {}), **arguments}
        made = registry.make("encoders", table, layout=layout, inr=inr or siren(), domain=DOMAIN)
        return made.eval()


def weights(inr, seed: int = 0, reads: str = "weights") -> torch.Tensor:
    """Normal numbers, as normalised weights are; for encoders that read the function, weights of sensible functions."""
    if reads == "function":
        return torch.from_numpy(np.stack([inr.init(Stream("test", "", seed, number)) for number in range(B)]))
    return torch.randn(B, inr.layout.num_params, generator=torch.Generator().manual_seed(seed))


def orders(layout) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {axis: rng.permutation(size) for axis, size in layout.neuron_axes.items()}


def flipped(inr, given: torch.Tensor) -> torch.Tensor:
    """Every second hidden neuron of a SIREN negated."""
    signs = {axis: torch.tensor([1.0, -1.0]).repeat(size // 2) for axis, size in inr.layout.neuron_axes.items()}
    return inr.flip_neurons(given, signs)


def shifted(inr, given: torch.Tensor) -> torch.Tensor:
    """Phases of a SIREN's hidden neurons shifted by −1 to 2 half turns."""
    turns = {axis: torch.arange(size) % 4 - 1 for axis, size in inr.layout.neuron_axes.items()}
    return inr.shift_phases(given, turns)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_is_a_documented_module_of_plain_arguments(name):
    cls = registry.find("encoders", name)
    assert issubclass(cls, Encoder)
    assert not inspect.isabstract(cls)
    assert len((cls.__dict__.get("__doc__") or "").split()) > 5
    assert set(cls.symmetries) <= set(SYMMETRIES)
    for key, parameter in inspect.signature(cls).parameters.items():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        if key not in ("layout", "inr", "domain"):
            json.dumps(parameter.default)


@pytest.mark.parametrize("name, family", PAIRS)
def test_features_have_the_declared_shape_and_depend_on_every_inr_alone(name, family):
    inr = siren(family)
    made = encoder(name, inr.layout, inr=inr)
    given = weights(inr, reads=made.reads)
    features = made(given)
    assert features.shape == (B, made.out_features)
    one_by_one = torch.cat([made(each[None]) for each in given])
    torch.testing.assert_close(features, one_by_one, rtol=1e-4, atol=1e-5)
    assert torch.unique(features.round(decimals=4), dim=0).shape[0] == B


def check_symmetries(made: Encoder, family: str) -> None:
    """The encoder has the symmetries that it declares, and no other of `SYMMETRIES`."""
    inr = siren(family)
    made, given = made.double(), weights(inr, reads=made.reads).double()
    moved = {"permutation": inr.layout.permute(given, orders(inr.layout))}
    if family == "siren":
        moved |= {"sign": flipped(inr, given), "phase": shifted(inr, given)}
    for symmetry, changed in moved.items():
        difference = float((made(changed) - made(given)).abs().max().detach())
        assert (difference < 1e-5) == (symmetry in made.symmetries), (symmetry, difference)


@pytest.mark.parametrize("name, family", PAIRS)
def test_declared_symmetries_hold_and_no_others(name, family):
    check_symmetries(encoder(name, siren(family).layout, inr=siren(family)), family)


@pytest.mark.parametrize("family", INRS)
@pytest.mark.parametrize("name", OF_FUNCTIONS)
def test_all_weights_of_one_function_have_the_same_features_to_rounding(name, family):
    """Under every symmetry that the family knows, whole turns of phases and scales of ReLU neurons included."""
    inr = siren(family)
    made, given = encoder(name, inr.layout, inr=inr).double(), weights(inr, reads="function").double()
    member = inr.random_member(given, torch.Generator().manual_seed(0))
    assert (member - given).abs().max() > 0.1
    torch.testing.assert_close(made(member), made(given), rtol=0, atol=1e-9)


class Sorted(Encoder):
    """The weights' greatest entries: neither order nor, with `absolute`, signs matter."""

    def __init__(self, layout, absolute: bool, symmetries: tuple[str, ...]) -> None:
        super().__init__(layout)
        self.absolute, self.symmetries, self.out_features = absolute, symmetries, 4

    def forward(self, weights):
        return (weights.abs() if self.absolute else weights).sort(-1).values[:, -4:]


@pytest.mark.parametrize(
    "absolute, symmetries, kept",
    [
        (True, ("permutation", "sign"), True),
        (False, ("permutation",), True),
        (False, ("permutation", "sign"), False),
        (True, ("permutation", "sign", "phase"), False),
        (True, ("permutation",), False),
        (False, (), False),
    ],
)
def test_the_contract_notices_an_encoder_that_promises_too_much_or_too_little(absolute, symmetries, kept):
    toy = Sorted(siren().layout, absolute, symmetries)
    if kept:
        check_symmetries(toy, "siren")
        return
    with pytest.raises(AssertionError):
        check_symmetries(toy, "siren")


@pytest.mark.parametrize("name", OF_WEIGHTS + OF_FUNCTIONS)
def test_gradients_reach_every_parameter(name):
    inr = siren()
    made = encoder(name, inr.layout)
    # The sum of squares of a LayerNorm's output is constant; a random direction is not.
    features = made(weights(inr, reads=made.reads))
    direction = torch.randn(features.shape, generator=torch.Generator().manual_seed(1))
    if not list(made.parameters()):
        return
    (features * direction).sum().backward()
    for key, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and (parameter.grad != 0).any(), key


@pytest.mark.parametrize("name", ENCODERS)
def test_state_brings_back_the_features(name):
    inr = siren()
    layout = SIGNALS.get(name, inr.layout)
    given = torch.randn(B, layout.num_params, generator=torch.Generator().manual_seed(2))
    given = weights(inr, reads="function") if name in OF_FUNCTIONS else given
    first, other = encoder(name, layout, seed=0), encoder(name, layout, seed=1)
    if list(first.parameters()):
        assert not torch.equal(first(given), other(given))
    other.load_state_dict(first.state_dict())
    assert torch.equal(first(given), other(given))


@pytest.mark.parametrize("name", OF_SIGNALS)
def test_networks_on_signals_refuse_weights_and_read_each_signal_alone(name):
    others = [layout for other, layout in SIGNALS.items() if other != name]
    for layout in (siren().layout, *others):
        with pytest.raises(InrzooError, match=f"{name} reads p"):
            encoder(name, layout)
    made = encoder(name, SIGNALS[name])
    signals = torch.randn(B, SIGNALS[name].num_params, generator=torch.Generator().manual_seed(3))
    assert made(signals).shape == (B, made.out_features)
    torch.testing.assert_close(made(signals)[2:3], made(signals[2:3]), rtol=1e-4, atol=1e-5)


def test_a_pixel_moves_the_feature_of_its_place():
    """Rows and columns are not exchanged on the way in: an image and its transpose are different."""
    made = encoder("conv_net", pixel_layout((16, 16), 1))
    image = torch.randn(1, 16, 16, generator=torch.Generator().manual_seed(4))
    direct = made.blocks(image[:, None]).flatten(1)
    torch.testing.assert_close(made(image.flatten(1)), direct)


def test_the_paper_s_mlp_reads_the_stack_between_hidden_layers():
    inr = siren()
    made = encoder("flat_mlp", inr.layout)
    assert made.network[0].in_features == 2 * (8 + 1) * 8  # L (H + 1) H of Sec. 2.3
    given = weights(inr)
    changed = given.clone()
    for name in ("weight_0", "bias_0", "weight_3", "bias_3"):
        inr.layout.split(changed)[name].add_(1)
    assert torch.equal(made(given), made(changed))
    inr.layout.split(changed)["bias_2"].add_(1)
    assert not torch.equal(made(given), made(changed))
    assert encoder("flat_mlp", inr.layout, tensors="all").network[0].in_features == inr.layout.num_params


def test_a_single_hidden_layer_has_no_stack():
    layout = registry.make("inrs", {"name": "siren", "hidden_layers": 0}, in_features=2, out_features=1).layout
    with pytest.raises(InrzooError, match='use tensors = "all"'):
        encoder("flat_mlp", layout)


def test_the_transformer_has_a_token_for_every_weight_and_every_bias():
    inr = siren()
    made = encoder("layer_transformer", inr.layout)
    assert len(made.projections) == 8  # four linear maps
    assert made.out_features == 8 * 64
    assert len(made.transformer.layers) == 4
    assert made.transformer.layers[0].self_attn.num_heads == 4


@pytest.mark.parametrize(
    "arguments",
    [{"readout": "cls"}, {"readout": "mean"}, {"position": "none"}, {"last_norm": True}, {"projection": "mlp"}],
)
def test_every_choice_that_the_paper_leaves_open_is_another_network(arguments):
    inr = siren()
    usual, other = encoder("layer_transformer", inr.layout), encoder("layer_transformer", inr.layout, **arguments)
    assert {key: value.shape for key, value in usual.state_dict().items()} != {
        key: value.shape for key, value in other.state_dict().items()
    } or usual.out_features != other.out_features


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("layer_transformer", {"hidden_features": 10}, "multiple of num_heads"),
        ("layer_transformer", {"readout": "sum"}, "expected one of 'mean', 'cls', 'concat'"),
        ("layer_transformer", {"width": 3}, "has no field 'width'"),
        ("layer_transformer", {"dropout": 1.0}, "below 1"),
        ("flat_mlp", {"hidden_features": 0}, "at least 1"),
        ("deep_sets", {"out_features": 0}, "at least 1"),
        ("raw", {"size": 1}, "it has: none"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(name, arguments, message):
    with pytest.raises(InrzooError, match=message) as caught:
        encoder(name, siren().layout, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", OF_SINES)
def test_encoders_of_sines_refuse_other_networks_and_parts_of_networks_in_one_line(name):
    for inr in (siren("relu_mlp"), siren("gabor_net")):
        with pytest.raises(InrzooError, match="reads perceptrons with sines"):
            encoder(name, inr.layout, inr=inr)
    inr = siren()
    with pytest.raises(InrzooError, match="some layers are missing"):
        encoder(name, WeightLayout(inr.layout.tensors[:4]), inr=inr)


def test_statistics_of_layers_are_numpy_s():
    inr = siren()
    given = weights(inr).double()
    found = encoder("layer_statistics", inr.layout).double().statistics(given).detach().numpy()
    for row, tensors in zip(found, map(inr.layout.split, given.numpy()), strict=True):
        wanted = [[t.mean(), t.var(), *np.quantile(t, [0, 0.25, 0.5, 0.75, 1])] for t in tensors.values()]
        np.testing.assert_allclose(row, np.concatenate(wanted), rtol=0, atol=1e-12)
