"""The graph network of neural-graphs: one round is that of a loop over nodes and edges, for every family."""

import math

import pytest
import torch
from weight_inrs import INRS, require_any_numbering, weights_of

from inrzoo.encoders.neural_graph import INRS_AT_ONCE, SMALL, NeuralGraph
from inrzoo.errors import InrzooError
from inrzoo.weights import WeightLayout, WeightTensor


def made(layout, **arguments) -> NeuralGraph:
    torch.manual_seed(0)
    small = {"hidden_features": 4, "num_layers": 2, "out_features": 5, "num_frequencies": 3}
    return NeuralGraph(layout=layout, **{**small, **arguments}).double().eval()


def by_nodes(encoder: NeuralGraph, layout: WeightLayout, weights: torch.Tensor) -> torch.Tensor:
    """The features of one INR, node by node and edge by edge."""
    tensors = layout.split(weights)
    kind = {tensor.name: tensor.name.rstrip("0123456789").rstrip("_") for tensor in layout.tensors}
    nodes, edges = {}, {}
    for axis, size in layout.axes.items():
        for i in range(size):
            position = encoder.position[axis]
            nodes[axis, i] = position[i] if len(position) == size else position[0]
    for tensor in layout.tensors:
        for place in torch.cartesian_prod(*(torch.arange(size) for size in tensor.shape)).reshape(-1, len(tensor.axes)):
            number = tensors[tensor.name][tuple(place)]
            state = encoder.embed[kind[tensor.name]](encoder.fourier(number))
            if len(place) == 1:
                nodes[tensor.axes[0], int(place[0])] = nodes[tensor.axes[0], int(place[0])] + state
            else:
                ends = tuple(zip(tensor.axes, map(int, place), strict=True))
                edges[tensor.name, *ends] = state
    degree = {node: sum(node in edge[1:] for edge in edges) for node in nodes}
    delta = sum(math.log(d + 1) for d in degree.values()) / len(degree)

    def message(network, to, sender, edge):
        inner = torch.nn.functional.silu(network.receiver(to) + network.sender(sender))
        return network.scale(edge) * network.out(inner) + network.shift(edge)

    for number, layer in enumerate(encoder.layers):
        last, new = number == len(encoder.layers) - 1, dict(nodes)
        for node, state in nodes.items():
            if last and node[0] != "out":
                continue
            got = []
            for (_, to, sender), edge in edges.items():
                if to == node:
                    got.append(message(layer.along, state, nodes[sender], edge))
                if sender == node and not last:
                    got.append(message(layer.against, state, nodes[to], edge))
            stacked = torch.stack(got)
            spread = (stacked.var(0, correction=0) + SMALL).sqrt()
            pooled = torch.cat([stacked.mean(0), stacked.amin(0), stacked.amax(0), spread])
            amplified = pooled * math.log(degree[node] + 1) / delta
            new[node] = layer.norm(state + layer.node(torch.cat([state, pooled, amplified])))
        nodes = new
        if not last:
            edges = {
                (name, to, sender): layer.edge_norm(edge + layer.edge(torch.cat([nodes[to], nodes[sender], edge])))
                for (name, to, sender), edge in edges.items()
            }
    return encoder.read_out(torch.cat([nodes["out", i] for i in range(layout.axes["out"])]))


@pytest.mark.parametrize("name", INRS)
def test_features_are_those_of_a_loop_over_nodes_and_edges(name):
    layout = INRS[name].layout
    encoder, weights = made(layout), weights_of(layout, 2).double()
    expected = torch.stack([by_nodes(encoder, layout, each) for each in weights])
    torch.testing.assert_close(encoder(weights), expected)


@pytest.mark.parametrize("name", INRS)
def test_features_do_not_depend_on_the_numbering_of_neurons(name):
    layout = INRS[name].layout
    require_any_numbering(made(layout), layout, 1e-3)


def test_features_do_not_depend_on_how_many_are_computed_together():
    layout = INRS["siren"].layout
    encoder, weights = made(layout), weights_of(layout, 2 * INRS_AT_ONCE + 3).double()
    torch.testing.assert_close(encoder(weights), torch.cat([encoder(one[None]) for one in weights]))


def test_what_is_no_graph_is_refused():
    with pytest.raises(InrzooError, match="3 axes; a graph takes tensors with one or two"):
        made(WeightLayout((WeightTensor("cube", (2, 2, 2), ("out", "hidden", "in")),)))
    with pytest.raises(InrzooError, match="needs output nodes"):
        made(WeightLayout((WeightTensor("weight", (3, 2), ("hidden", "in")),)))
