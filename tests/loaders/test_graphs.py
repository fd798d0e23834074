"""INRs as graphs: signals that travel along the edges are the values of the INR.

Shape letters: B INRs of a batch, N nodes, K coordinates.
"""

import importlib.util
import sys

import pytest
import torch

import inrzoo
from inrzoo.errors import InrzooError
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren
from inrzoo.loaders import to_pyg
from inrzoo.loaders.graphs import graph_tensors

SHAPE = {"in_features": 2, "out_features": 3}
needs_geometric = pytest.mark.skipif(
    importlib.util.find_spec("torch_geometric") is None, reason="torch_geometric is not installed"
)


@pytest.mark.parametrize(
    "inr, layers, activation",
    [
        (Siren(**SHAPE, hidden_features=5, hidden_layers=1, omega_0=3.0), 3, lambda a: torch.sin(3.0 * a)),
        (ReluMlp(**SHAPE, hidden_features=4, hidden_layers=2), 4, torch.relu),
    ],
)
def test_what_travels_along_the_edges_arrives_as_the_values(inr, layers, activation):
    weights = torch.randn(3, inr.layout.num_params, generator=torch.Generator().manual_seed(0))
    coords = torch.rand(7, 2, generator=torch.Generator().manual_seed(1))
    graph = graph_tensors(weights, inr.layout)
    assert graph.node_kinds == ("bias",) and graph.edge_kinds == ("weight",)
    (start, end), num_nodes = graph.edge_index, graph.x.shape[1]
    state_BNK = torch.zeros(3, num_nodes, 7)
    state_BNK[:, :2] = coords.T
    for layer in range(layers):
        along_BEK = graph.edge_attr * state_BNK[:, start]
        arrived_BNK = torch.zeros_like(state_BNK).index_add(1, end, along_BEK) + graph.x
        reached_BNK = arrived_BNK if layer == layers - 1 else activation(arrived_BNK)
        state_BNK = torch.cat([state_BNK[:, :2], reached_BNK[:, 2:]], dim=1)
    torch.testing.assert_close(state_BNK[:, -3:].mT, inr(weights, coords), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("graph", ["merged", "products"])
@pytest.mark.parametrize("inr", [FourierNet(**SHAPE, hidden_features=4), GaborNet(**SHAPE, hidden_features=4)])
def test_every_parameter_is_at_one_node_or_edge(inr, graph):
    weights = 1.0 + torch.arange(inr.layout.num_params)[None]
    tensors = graph_tensors(weights, inr.layout, graph)
    numbers = torch.cat([tensors.x.flatten(), tensors.edge_attr.flatten()])
    assert sorted(numbers[numbers > 0].tolist()) == weights[0].tolist()
    assert tensors.edge_attr.shape == (1, tensors.edge_index.shape[1], len(tensors.edge_kinds))
    assert len(tensors.node_type) == tensors.x.shape[1] and len(tensors.edge_type) == tensors.edge_index.shape[1]


def test_an_unknown_construction_is_refused():
    inr = Siren(**SHAPE)
    with pytest.raises(InrzooError, match="graph = 'cubes' is not known; there are: merged, products"):
        graph_tensors(torch.zeros(1, inr.layout.num_params), inr.layout, "cubes")


def test_a_missing_torch_geometric_is_one_line(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_geometric", None)
    monkeypatch.setitem(sys.modules, "torch_geometric.data", None)
    with pytest.raises(InrzooError, match=r"^graphs need PyTorch Geometric: pip install torch_geometric$"):
        inrzoo.load(made).to_pyg()


@needs_geometric
def test_graphs_of_geometric_hold_the_inr_and_its_labels(made):
    from torch_geometric.data import Batch, Data
    from torch_geometric.loader import DataLoader

    dataset = inrzoo.load(made, normalise="none")
    one, several = to_pyg(dataset[4], dataset.layout), to_pyg(dataset[[4, 2, 9]], dataset.layout)
    tensors = graph_tensors(dataset[4].weights, dataset.layout)
    assert isinstance(one, Data) and isinstance(several, Batch) and several.num_graphs == 3
    assert torch.equal(one.x, tensors.x) and torch.equal(one.edge_attr, tensors.edge_attr)
    assert one.validate() and torch.equal(several[0].edge_attr, one.edge_attr)
    batch = dataset[[4, 2, 9]]
    assert torch.equal(several.y, batch.label) and torch.equal(several.label_drawer, batch.labels["drawer"])
    assert torch.equal(several.signal, batch.signal) and torch.equal(several.seed, batch.seed)
    read = list(DataLoader(dataset.to_pyg(), batch_size=16))
    assert sum(graphs.num_graphs for graphs in read) == len(dataset)
    assert torch.equal(torch.cat([graphs.signal for graphs in read]), dataset[:].signal)
    assert torch.equal(read[0][3].x, to_pyg(dataset[3], dataset.layout).x)
