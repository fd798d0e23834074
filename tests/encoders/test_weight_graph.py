"""The graph of an INR: every parameter once, edges where the INR has them, and as many nodes as
docs/derivations/encoders.md#graph-of-an-inr and docs/derivations/encoders.md#graph-of-a-filter-network say.
"""

import numpy as np
import pytest
from weight_inrs import INRS, orders_of

from inrzoo.errors import InrzooError
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.siren import Siren
from inrzoo.weight_graph import WeightGraph
from inrzoo.weights import WeightLayout, WeightTensor

BOTH = pytest.mark.parametrize("construction", ["merged", "products"])


def tables(graph, weights_P):
    """Return the values at each node and edge, by kind; NaN where there is none."""
    nodes = {v.kind: np.full(graph.num_nodes, np.nan) for v in graph.node_values}
    edges = {v.kind: np.full(graph.num_nodes**2, np.nan) for v in graph.edge_values}
    for into, values in ((nodes, graph.node_values), (edges, graph.edge_values)):
        for value in values:
            into[value.kind][value.place] = weights_P[value.index]
    return nodes, {kind: table.reshape(graph.num_nodes, -1) for kind, table in edges.items()}


@pytest.mark.parametrize(
    "inr, merged, products",
    [
        (Siren(in_features=2, out_features=1), 67, 67),
        (FourierNet(in_features=2, out_features=1), 51, 83),
        (GaborNet(in_features=2, out_features=3), 53, 85),
    ],
)
def test_number_of_nodes(inr, merged, products):
    assert WeightGraph.from_layout(inr.layout).num_nodes == merged
    assert WeightGraph.from_layout(inr.layout, "products").num_nodes == products


@BOTH
@pytest.mark.parametrize("name", INRS)
def test_every_parameter_stands_at_one_place_of_its_own(name, construction):
    layout = INRS[name].layout
    graph = WeightGraph.from_layout(layout, construction)
    for values in (*graph.node_values, *graph.edge_values):
        assert len(set(values.place.tolist())) == len(values.place), values.kind
    index = np.concatenate([values.index for values in (*graph.node_values, *graph.edge_values)])
    assert sorted(index.tolist()) == list(range(layout.num_params))


def test_an_mlp_has_super_diagonal_blocks_of_weights_and_biases_at_nodes():
    """e_ij is the weight from i to j: docs/derivations/encoders.md#graph-of-an-inr."""
    inr = Siren(in_features=2, out_features=1, hidden_features=3, hidden_layers=1)
    weights_P = np.arange(1.0, 1 + inr.layout.num_params)
    parts = inr.layout.split(weights_P)
    nodes, edges = tables(WeightGraph.from_layout(inr.layout), weights_P)
    assert list(nodes) == ["bias"] and list(edges) == ["weight"]
    expected = np.full((9, 9), np.nan)
    expected[0:2, 2:5], expected[2:5, 5:8], expected[5:8, 8:9] = (parts[f"weight_{i}"].T for i in range(3))
    np.testing.assert_array_equal(edges["weight"], expected)
    np.testing.assert_array_equal(nodes["bias"][2:], np.concatenate([parts[f"bias_{i}"] for i in range(3)]))
    assert np.isnan(nodes["bias"][:2]).all()


def evaluate(graph, weights_P, x_D):
    """A FourierNet, read off its graph of products: node by node along the edges."""
    nodes, edges = tables(graph, weights_P)
    product = graph.edge_type.reshape(graph.num_nodes, -1) == graph.edge_type.max()
    value = np.full(graph.num_nodes, np.nan)
    value[: len(x_D)] = x_D
    while np.isnan(value).any():
        for j in np.flatnonzero(np.isnan(value)):
            sources = {kind: np.flatnonzero(~np.isnan(table[:, j])) for kind, table in edges.items()}
            factors = np.flatnonzero(product[:, j])
            if np.isnan(value[np.concatenate([*sources.values(), factors])]).any():
                continue
            total = sum(edges[kind][sources[kind], j] @ value[sources[kind]] for kind in sources)
            is_filter = not np.isnan(nodes["phi"][j])
            value[j] = (
                np.sin(total + nodes["phi"][j]) if is_filter else (total + nodes["bias"][j]) * value[factors].prod()
            )
    return value[graph.outputs]


def test_the_graph_of_products_is_the_computation(num_channels=2):
    """Evaluating a FourierNet along the edges of its graph gives the FourierNet."""
    import torch

    inr = FourierNet(in_features=2, out_features=num_channels, hidden_features=4, num_filters=3)
    rng = np.random.default_rng(0)
    weights_P, x_D = rng.normal(size=inr.layout.num_params), rng.uniform(-1, 1, 2)
    expected = inr(torch.from_numpy(weights_P)[None], torch.from_numpy(x_D)[None])[0, 0].numpy()
    np.testing.assert_allclose(
        evaluate(WeightGraph.from_layout(inr.layout, "products"), weights_P, x_D), expected, atol=1e-12
    )


@BOTH
@pytest.mark.parametrize("name", INRS)
def test_renumbering_neurons_renumbers_nodes(name, construction):
    """Some order of the nodes does what the order of the neurons did; it leaves positions, outputs and types alone."""
    layout = INRS[name].layout
    graph = WeightGraph.from_layout(layout, construction)
    weights_P = np.random.default_rng(0).normal(size=layout.num_params)
    orders = {axis: order.numpy() for axis, order in orders_of(layout).items()}
    before_nodes, before_edges = tables(graph, weights_P)
    after_nodes, after_edges = tables(graph, layout.permute(weights_P, orders))
    node_order = np.arange(graph.num_nodes)
    for value in graph.node_values:  # where the numbers at nodes went says where the nodes went
        where = {number: place for place, number in enumerate(before_nodes[value.kind].tolist())}
        for place in value.place:
            node_order[place] = where[after_nodes[value.kind][place]]
    np.testing.assert_array_equal(graph.position[node_order], graph.position)
    np.testing.assert_array_equal(node_order[graph.outputs], graph.outputs)
    types = graph.edge_type.reshape(graph.num_nodes, -1)
    np.testing.assert_array_equal(types[np.ix_(node_order, node_order)], types)
    for kind, table in before_edges.items():
        np.testing.assert_array_equal(after_edges[kind], table[np.ix_(node_order, node_order)])


def test_what_is_no_graph_is_refused():
    with pytest.raises(InrzooError, match="graph = 'dense' is not known; there are: merged, products"):
        WeightGraph.from_layout(INRS["siren"].layout, "dense")
    with pytest.raises(InrzooError, match="pixels has 3 axes; a graph takes tensors with one or two"):
        WeightGraph.from_layout(WeightLayout((WeightTensor("pixels", (2, 2, 1), ("row", "col", "channel")),)))
    with pytest.raises(InrzooError, match="no axis 'out' among hidden_0, in"):
        WeightGraph.from_layout(WeightLayout((WeightTensor("weight_0", (3, 2), ("hidden_0", "in")),)))
