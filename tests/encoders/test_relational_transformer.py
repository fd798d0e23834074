"""The relational transformer against loops over edges, its symmetry, its memory, its numbers of parameters."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from weight_inrs import INRS, orders_of, weights_of

from inrzoo.encoders.relational_transformer import RelationalLayer, RelationalTransformer
from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import Siren

SMALL = {
    "num_layers": 3,
    "num_heads": 2,
    "node_features": 8,
    "edge_features": 6,
    "attention_features": 12,
    "node_hidden": 10,
    "edge_hidden": 9,
    "out_features": 5,
    "num_frequencies": 4,
}


def small(layout, **changes):
    torch.manual_seed(0)
    return RelationalTransformer(layout=layout, **SMALL | changes).eval()


# --- the slow reference: docs/derivations/encoders.md#relational-attention, one node and one edge at a time, float64 --


def state(module):
    return {name: value.detach().double().numpy() for name, value in module.state_dict().items()}


def norm(x, weights, name):
    x = (x - x.mean()) / math.sqrt(x.var() + 1e-5)
    return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(x):
    return x * np.array([(1 + math.erf(value / math.sqrt(2))) / 2 for value in x])


def apply(x, weights, name):
    return weights[f"{name}.weight"] @ x + weights.get(f"{name}.bias", 0)


def mlp(x, weights, name):
    return apply(gelu(apply(x, weights, f"{name}.0")), weights, f"{name}.2")


def slow_layer(layer, nodes, edges):
    """One layer; nodes [N] and edges [N][N] are lists of vectors."""
    weights, heads = state(layer), layer.attention.num_heads
    size = len(weights["attention.out.weight"][0])
    width = size // heads
    attended = []
    for i in range(len(nodes)):
        query_i = apply(nodes[i], weights, "attention.of_nodes")[:size]
        logits, values = np.zeros((len(nodes), heads)), np.zeros((len(nodes), size))
        for j in range(len(nodes)):
            _, key_j, value_j = apply(nodes[j], weights, "attention.of_nodes").reshape(3, size)
            query, key, factor, value = apply(edges[i][j], weights, "attention.of_edges").reshape(4, size)
            query, key = query_i + query, key_j + key
            values[j] = value_j * factor + value
            for h in range(heads):
                part = slice(h * width, (h + 1) * width)
                logits[j, h] = query[part] @ key[part] / math.sqrt(size)
        share = np.exp(logits) / np.exp(logits).sum(0)
        attended.append(apply((share.repeat(width, axis=1) * values).sum(0), weights, "attention.out"))
    new_nodes = []
    for node, out in zip(nodes, attended, strict=True):
        node = norm(node + apply(out, weights, "out"), weights, "norm")
        new_nodes.append(norm(node + mlp(node, weights, "mlp"), weights, "mlp_norm"))
    if layer.edges is None:
        return new_nodes, edges
    new_edges = [[None] * len(nodes) for _ in nodes]
    for i in range(len(nodes)):
        for j in range(len(nodes)):
            hidden = apply(np.concatenate([edges[i][j], edges[j][i]]), weights, "edges.of_edges")
            hidden = (
                hidden + apply(new_nodes[i], weights, "edges.of_from") + apply(new_nodes[j], weights, "edges.of_to")
            )
            edge = norm(edges[i][j] + apply(gelu(hidden), weights, "edges.out"), weights, "edges.norm")
            new_edges[i][j] = norm(edge + mlp(edge, weights, "edges.mlp"), weights, "edges.mlp_norm")
    return new_nodes, new_edges


@pytest.mark.parametrize("num_nodes", [1, 2, 7])
@pytest.mark.parametrize("update_edges", [True, False])
def test_a_layer_equals_loops_over_the_edges_of_random_graphs(num_nodes, update_edges):
    torch.manual_seed(num_nodes)
    layer = RelationalLayer(
        node_features=8,
        edge_features=6,
        attention_features=12,
        num_heads=3,
        node_hidden=10,
        edge_hidden=9,
        dropout=0.0,
        update_edges=update_edges,
    )
    for parameter in layer.parameters():  # biases and scales start at 0 and 1, where errors in them would not show
        torch.nn.init.normal_(parameter, std=0.5)
    nodes_BNF, edges_BNNE = torch.randn(2, num_nodes, 8), torch.randn(2, num_nodes, num_nodes, 6)
    fast_nodes, fast_edges = layer(nodes_BNF, edges_BNNE)
    for b in range(2):
        nodes, edges = slow_layer(layer, list(nodes_BNF[b].double().numpy()), edges_BNNE[b].double().numpy())
        np.testing.assert_allclose(fast_nodes[b].detach(), np.array(nodes), atol=1e-5)
        np.testing.assert_allclose(fast_edges[b].detach(), np.array(edges), atol=1e-5)


def slow_features(encoder, inr, weights_P):
    """The whole encoder on a SIREN: its tensors, put into nodes and edges by hand."""
    weights, parts = state(encoder), inr.layout.split(weights_P.double().numpy())
    num_maps = inr.hidden_layers + 2
    sizes = [inr.in_features, *[inr.hidden_features] * (num_maps - 1), inr.out_features]
    first = np.concatenate([[0], np.cumsum(sizes)])
    num_nodes = first[-1]
    bias, weight, position = np.zeros(num_nodes), np.zeros((num_nodes, num_nodes)), []
    for layer, size in enumerate(sizes):
        fixed = layer in (0, num_maps)
        start = position[-1] + 1 if position else 0
        position += [start + k if fixed else start for k in range(size)]
        for k in range(size):
            if layer:
                bias[first[layer] + k] = parts[f"bias_{layer - 1}"][k]
                for source in range(sizes[layer - 1]):
                    weight[first[layer - 1] + source, first[layer] + k] = parts[f"weight_{layer - 1}"][k, source]

    def embed(value, name):
        angles = 2 * math.pi * value * weights[f"{name}.features.frequencies"]
        features = np.concatenate([np.cos(angles), np.sin(angles)])
        return apply(apply(features, weights, f"{name}.maps.0"), weights, f"{name}.out")

    nodes = [embed(bias[i], "embed_nodes") + weights["position.weight"][position[i]] for i in range(num_nodes)]
    edges = [[embed(weight[i, j], "embed_edges") for j in range(num_nodes)] for i in range(num_nodes)]
    for layer in encoder.layers:
        nodes, edges = slow_layer(layer, nodes, edges)
    return np.maximum(apply(np.concatenate(nodes[first[-2] :]), weights, "read_out.0"), 0)


def test_features_of_a_siren_equal_loops_over_its_edges():
    inr = Siren(in_features=2, out_features=3, hidden_features=3, hidden_layers=1)
    encoder, weights_BP = small(inr.layout), weights_of(inr.layout, 2)
    slow = np.stack([slow_features(encoder, inr, weights_P) for weights_P in weights_BP])
    assert slow.max() > 0.1
    np.testing.assert_allclose(encoder(weights_BP).detach(), slow, atol=1e-5)


# --- symmetry and independence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", ["merged", "products"])
@pytest.mark.parametrize("name", INRS)
def test_features_do_not_depend_on_the_numbering_of_neurons(name, graph):
    layout = INRS[name].layout
    encoder, weights_BP = small(layout, graph=graph), weights_of(layout)
    features = encoder(weights_BP)
    torch.testing.assert_close(encoder(layout.permute(weights_BP, orders_of(layout))), features, rtol=0, atol=1e-5)
    assert (features.std(0) > 1e-3).any()  # of INRs, so that constants do not pass


@pytest.mark.parametrize(
    "name, tensor, dimension",
    [
        ("siren_rgb", "weight_0", 1),
        ("siren_rgb", "weight_2", 0),
        ("gabor_net", "omega_1", 1),
        ("gabor_net", "bias_1", 0),
    ],
)
def test_coordinates_and_channels_keep_their_meaning(name, tensor, dimension):
    """Exchanging two coordinates or channels changes the features."""
    layout = INRS[name].layout
    parts = layout.split(weights_of(layout))
    changed = layout.join(parts | {tensor: parts[tensor].flip(1 + dimension)})
    encoder = small(layout)
    assert (encoder(changed) - encoder(layout.join(parts))).abs().max() > 1e-4  # ten times the tolerance above


def test_features_of_an_inr_depend_on_no_other_and_on_no_slice():
    layout = INRS["fourier_net"].layout
    weights_BP = weights_of(layout, 7)
    alone = torch.cat([small(layout)(weights_P[None]) for weights_P in weights_BP])
    order = torch.tensor([3, 6, 0, 5, 1, 4, 2])
    for inrs_at_once in (0, 1, 3, 16):
        encoder = small(layout, inrs_at_once=inrs_at_once)
        torch.testing.assert_close(encoder(weights_BP), alone, rtol=0, atol=1e-5)
        torch.testing.assert_close(encoder(weights_BP[order]), alone[order], rtol=0, atol=1e-5)


def test_computing_twice_changes_no_gradient():
    layout = INRS["siren"].layout
    gradients = []
    for inrs_at_once in (0, 2):
        encoder = small(layout, inrs_at_once=inrs_at_once).double()
        encoder(weights_of(layout).double()).square().sum().backward()
        gradients.append([parameter.grad for parameter in encoder.parameters()])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, plain, rtol=1e-9, atol=1e-12)


def test_gradients_equal_finite_differences():
    inr = Siren(in_features=1, out_features=1, hidden_features=2, hidden_layers=0)
    encoder = small(inr.layout, sigma=0.2, num_layers=2).double()
    weights_BP = weights_of(inr.layout, 1).double().requires_grad_()
    assert encoder(weights_BP).gt(0).any()
    assert torch.autograd.gradcheck(encoder, (weights_BP,))
    parameters = [parameter for parameter in encoder.parameters() if parameter.numel() < 20]
    assert torch.autograd.gradcheck(lambda *_: encoder(weights_BP.detach()), parameters)


# --- numbers --------------------------------------------------------------------------------------------------------


def test_number_of_parameters_is_that_of_the_specification():
    """Summed up by hand for 2/32/32/1; the paper's classifier has one more map, 128 to 10."""
    node, edge, attention, node_hidden, edge_hidden, out, features, layers = 64, 32, 128, 128, 64, 128, 256, 4
    embedding = (features * node + node) + (node * node + node) + (features * edge + edge) + (edge * edge + edge)
    positions = (2 + 2 + 1) * node
    attend = node * 3 * attention + edge * 4 * attention + (attention * node + node) + (node * node + node)
    node_rest = 4 * node + node * node_hidden + (node_hidden * node + node)
    edge_update = (2 * edge * edge_hidden + edge_hidden) + 2 * (node * edge_hidden + edge_hidden)
    edge_update += (edge_hidden * edge + edge) + 4 * edge + edge * edge_hidden + (edge_hidden * edge + edge)
    total = embedding + positions + layers * (attend + node_rest) + (layers - 1) * edge_update + node * out + out
    encoder = RelationalTransformer(layout=Siren(in_features=2, out_features=1).layout)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == total == 375296


MEMORY = """
import re, torch
from pathlib import Path
from inrzoo.encoders.relational_transformer import RelationalTransformer
from inrzoo.inrs.siren import Siren
torch.set_num_threads(1)
encoder = RelationalTransformer(layout=Siren(in_features=2, out_features=1).layout, dropout=0.2)
def peak():  # of this process; ru_maxrss begins at that of the one that started it
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 2**20
before = peak()
encoder(torch.randn(128, 1185)).square().sum().backward()
print(before, peak())
"""


@pytest.mark.slow
def test_a_training_step_of_128_inrs_stays_below_8_gib():
    """2/32/32/1, all defaults, the peak of a process of its own; about a minute."""
    output = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    before, peak = map(float, output.stdout.split())
    assert before < peak < 8


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"num_heads": 5}, "attention_features = 12 is not allowed; it must be a multiple of num_heads = 5"),
        ({"num_layers": 0}, "num_layers = 0 is not allowed; it must be at least 1"),
        ({"dropout": 1.0}, "dropout = 1.0 is not allowed"),
        ({"graph": "dense"}, "there are: merged, products"),
        ({"inrs_at_once": -1}, "inrs_at_once = -1"),
    ],
)
def test_impossible_arguments_are_refused(changes, words):
    with pytest.raises(InrzooError, match=words):
        small(INRS["siren"].layout, **changes)
