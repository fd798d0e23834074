"""Probe features: the activations of each neuron at learned coordinates, whatever the normalisation of weights."""

import math

import pytest
import torch
from weight_inrs import INRS, orders_of

import inrzoo
from inrzoo import registry
from inrzoo.encoders import Domain
from inrzoo.encoders._probe_features import ProbeFeatures
from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import Siren
from inrzoo.weight_graph import WeightGraph
from inrzoo.weights import WeightLayout

SMALL = {
    "neural_graph": {"hidden_features": 4, "num_layers": 2, "out_features": 5, "num_frequencies": 3},
    "relational_transformer": {
        "num_layers": 2,
        "num_heads": 2,
        "node_features": 4,
        "edge_features": 4,
        "attention_features": 4,
        "node_hidden": 4,
        "edge_hidden": 4,
        "out_features": 5,
        "num_frequencies": 3,
    },
}


def made(name: str, inr, **arguments):
    torch.manual_seed(0)
    table = {"name": name, **SMALL[name], **arguments}
    return registry.make("encoders", table, layout=inr.layout, inr=inr, domain=Domain(extent=2.0)).double().eval()


def weights_of(inr, count: int = 4) -> torch.Tensor:
    """Weights of sensible functions, float64."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, inr.layout.num_params, generator=generator, dtype=torch.float64) / 5


def test_features_are_maps_of_what_each_neuron_says():
    """Of a SIREN, neuron by neuron; input nodes say their coordinates."""
    torch.manual_seed(0)
    inr = Siren(in_features=2, out_features=1, hidden_features=3, omega_0=5.0, output_offset=0.5)
    probes = ProbeFeatures(inr.layout, inr, Domain(extent=2.0), 6, 4).double()
    weights = weights_of(inr, 1)
    found = probes(weights)
    for k in range(6):
        assert probes.coords[k].abs().max() <= 2
    tensors = {name: values[0] for name, values in inr.layout.split(weights).items()}
    said = {("in", n): probes.coords[:, n] for n in range(2)}
    for layer, (sender, size) in enumerate([("in", 2), ("hidden_0", 3), ("hidden_1", 3)]):
        weight, bias = tensors[f"weight_{layer}"], tensors[f"bias_{layer}"]
        axis = ["hidden_0", "hidden_1", "out"][layer]
        for n in range(len(bias)):
            total = bias[n] + sum(weight[n, m] * said[sender, m] for m in range(size))
            said[axis, n] = total + 0.5 if axis == "out" else (5.0 * total).sin()
    for (axis, n), activations in said.items():
        expected = probes.out(probes.maps[axis](activations))
        torch.testing.assert_close(found[axis][0, n], expected)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("family", INRS)
def test_features_do_not_depend_on_the_numbering_of_neurons(name, family):
    inr = INRS[family]
    encoder, weights = made(name, inr, num_probes=5), weights_of(inr)
    features = encoder(weights)
    torch.testing.assert_close(encoder(inr.layout.permute(weights, orders_of(inr.layout))), features)
    assert features.std(0).max() > 1e-4


@pytest.mark.parametrize("name", SMALL)
def test_a_neuron_s_features_are_at_its_node(name):
    """A probe that only one neuron answers changes that node's first state, and no other's."""
    inr = INRS["siren"]
    encoder, weights = made(name, inr, num_probes=5), weights_of(inr, 1)
    features = encoder.probes(weights)
    if name == "relational_transformer":
        with_probes = encoder.embed(weights)[0]
        encoder.probes = None
        change = (with_probes - encoder.embed(weights)[0])[0]
        assert [len(features[axis][0]) for axis in ("in", "hidden_0")] == [2, 7]
        order = ["in", "hidden_0", "hidden_1", "hidden_2", "out"]
        torch.testing.assert_close(change, torch.cat([features[axis][0] for axis in order]))
        graph = WeightGraph.from_layout(inr.layout)
        assert graph.num_nodes == len(change) and list(graph.outputs) == [len(change) - 1]
    else:
        seen = {}
        layer = encoder.layers[0]
        layer.register_forward_pre_hook(lambda module, inputs: seen.setdefault("nodes", []).append(inputs[0]))
        encoder(weights)
        encoder.probes = None
        encoder(weights)
        with_probes, without = seen["nodes"]
        for axis in inr.layout.axes:
            torch.testing.assert_close(with_probes[axis] - without[axis], features[axis])


@pytest.mark.parametrize("name", SMALL)
def test_normalised_weights_are_evaluated_as_they_were_fitted(name):
    inr = INRS["siren"]
    encoder, weights = made(name, inr, num_probes=5), weights_of(inr)
    mean, std = torch.randn(2, inr.layout.num_params, dtype=torch.float64)
    std = std.exp()
    before = encoder.probes(weights)
    encoder.set_statistics(mean, std)
    after = encoder.probes((weights - mean) / std)
    for axis, values in before.items():
        torch.testing.assert_close(after[axis], values)
    assert {"probes.mean", "probes.std"} <= set(encoder.state_dict())


@pytest.mark.parametrize("name", SMALL)
def test_an_encoder_says_that_it_reads_the_function_if_it_has_probes(name):
    inr = INRS["siren"]
    assert made(name, inr).reads == "weights" and made(name, inr, num_probes=5).reads == "function"
    assert not any("probes" in key for key in made(name, inr).state_dict())


@pytest.mark.parametrize("name", SMALL)
def test_gradients_reach_probes_and_their_maps(name):
    inr = INRS["siren"]
    encoder = made(name, inr, num_probes=5, num_layers=4)
    features = encoder(weights_of(inr))
    (features * torch.randn_like(features)).sum().backward()
    for key, parameter in encoder.named_parameters():
        if key.startswith("probes."):
            assert parameter.grad is not None and (parameter.grad != 0).any(), key


def test_probes_stay_where_functions_were_fitted():
    encoder = made("neural_graph", INRS["siren"], num_probes=5)
    with torch.no_grad():
        encoder.probes.probes.mul_(10)
    assert encoder.probes.coords.abs().max() == 2.0


class Silent:
    """A family without a formula."""

    in_features = 2

    def __init__(self, layout) -> None:
        self.layout = layout

    def activations(self, weights, coords):
        return inrzoo.inrs.INR.activations(self, weights, coords)

    def formula(self):
        return None


def test_what_cannot_be_probed_is_refused_in_one_line():
    inr = INRS["fourier_net"]
    refused = {
        "needs the INR and where it was fitted": lambda: ProbeFeatures(inr.layout, None, None, 5, 4),
        "num_probes = -1 is not allowed; it must be at least 0": lambda: made("neural_graph", inr, num_probes=-1),
        "must be 0 with graph = 'products'": lambda: made(
            "relational_transformer", inr, num_probes=5, graph="products"
        ),
        "some layers are missing": lambda: ProbeFeatures(
            WeightLayout(inr.layout.tensors[:2]), inr, Domain(extent=1.0), 5, 4
        ),
        "Silent does not say what its neurons say: it does not define formula": lambda: ProbeFeatures(
            inr.layout, Silent(inr.layout), Domain(extent=1.0), 5, 4
        ),
    }
    for message, call in refused.items():
        with pytest.raises(InrzooError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_trained_encoder_evaluates_its_inrs_as_training_did(finished_small, tmp_path):
    """Canonical, normalised weights are of the same functions: the checkpoint carries how to undo it."""
    table = {"name": "neural_graph", **SMALL["neural_graph"], "num_probes": 5}
    fields = {"encoder": table, "inputs": "canonical", "batch_size": 8, "steps": 2, "validate_every": 2, "warmup": 0}
    inrzoo.train("classify", finished_small, out=tmp_path / "run", quiet=True, augment=["none"], **fields)
    encoder = inrzoo.load_encoder(tmp_path / "run").check(finished_small)
    weights = torch.from_numpy(inrzoo.open_store(finished_small).weights[:3, 0, -1])
    probes = encoder.encoder.probes
    torch.testing.assert_close(probes.std, encoder.inputs.std)
    assert (probes.std != 1).any() and encoder.encoder.reads == "function"
    numbers = (encoder.inr.canonicalise(weights) - encoder.inputs.mean) / encoder.inputs.std
    said = {}
    probes.maps["out"].register_forward_pre_hook(lambda module, inputs: said.update(out=inputs[0]))
    encoder(weights)
    expected = encoder.inr(weights, probes.coords).mT
    torch.testing.assert_close(said["out"], expected, rtol=0, atol=1e-4 * math.sqrt(numbers.shape[1]))
