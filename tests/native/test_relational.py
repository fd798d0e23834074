"""The relational transformer's native layers are those of torch, in double precision and up to rounding."""

import copy

import pytest
import torch

from inrzoo.encoders.relational_transformer import RelationalLayer, RelationalTransformer
from inrzoo.inrs.siren import Siren
from inrzoo.native import library
from inrzoo.native.relational import edge_update, relational_attention

needs_compiler = pytest.mark.skipif(library.unavailable() is not None, reason=str(library.unavailable()))

WIDTHS = [
    {"edge_features": 32, "attention_features": 128, "num_heads": 8, "edge_hidden": 64},
    {"edge_features": 16, "attention_features": 48, "num_heads": 3, "edge_hidden": 16},
]


def layer(widths: dict[str, int], **changes) -> RelationalLayer:
    torch.manual_seed(0)
    fields = {"node_features": 24, "node_hidden": 20, "dropout": 0.0, "update_edges": True, **widths, **changes}
    made = RelationalLayer(**fields)
    with torch.no_grad():
        for parameter in made.parameters():  # biases and norms start at special places
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def graphs(widths: dict[str, int], nodes: int, batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(batch, nodes, 24), torch.randn(batch, nodes, nodes, widths["edge_features"])


def outputs_and_gradients(made: RelationalLayer, nodes: torch.Tensor, edges: torch.Tensor) -> list[torch.Tensor]:
    nodes, edges = nodes.clone().requires_grad_(), edges.clone().requires_grad_()
    results = made(nodes, edges)
    generator = torch.Generator().manual_seed(1)
    upstream = [torch.randn(part.shape, generator=generator, dtype=torch.float64).to(part) for part in results]
    found = torch.autograd.grad(results, [nodes, edges, *made.parameters()], upstream)
    return [*(part.detach() for part in results), *found]


@needs_compiler
@pytest.mark.parametrize("nodes", [1, 5, 31])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_a_layer_and_its_gradients(widths, nodes):
    made, given = layer(widths), graphs(widths, nodes)
    assert made.computes_edges_again(given[1].requires_grad_())
    found = outputs_and_gradients(made, *given)
    exact = outputs_and_gradients(copy.deepcopy(made).double(), *(part.detach().double() for part in given))
    scale = max(float(part.norm()) for part in exact)
    for one, other in zip(found, exact, strict=True):
        assert (one - other).norm() <= 5e-6 * other.norm() + 1e-8 * scale


@needs_compiler
def test_bits_do_not_depend_on_threads():
    made, (_, edges) = layer(WIDTHS[0]), graphs(WIDTHS[0], nodes=9, batch=4)
    edges.requires_grad_()
    update = [
        parameter for name, parameter in made.edges.named_parameters() if not name.startswith(("of_from", "of_to"))
    ]
    by_node = torch.randn(4, 9, 64)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            mixed = relational_attention(torch.ones(4, 9, 3 * 128), edges, made.attention.of_edges.weight, num_heads=8)
            updated = edge_update(edges, by_node, by_node, update)
            found = torch.autograd.grad([mixed, updated], edges, [torch.ones_like(mixed), torch.ones_like(updated)])
            results.append([mixed, updated, *found])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_torch_serves_what_native_code_does_not():
    nodes, edges = graphs(WIDTHS[0], nodes=3)
    edges.requires_grad_()
    assert not layer(WIDTHS[0]).eval().computes_edges_again(edges)
    assert not layer(WIDTHS[0], dropout=0.1).computes_edges_again(edges)
    assert not layer(WIDTHS[0], edge_hidden=24).computes_edges_again(edges)
    assert not layer(WIDTHS[0]).double().computes_edges_again(edges.double())
    assert layer(WIDTHS[0], dropout=0.1)(nodes, edges)[0].isfinite().all()


@needs_compiler
def test_an_encoder_in_training_is_the_encoder_in_evaluation():
    inr = Siren(in_features=2, out_features=1, hidden_features=6)
    torch.manual_seed(0)
    encoder = RelationalTransformer(layout=inr.layout, num_layers=2)
    weights = torch.randn(5, inr.layout.num_params)
    results = []
    for training in (True, False):
        features = encoder.train(training)(weights)
        gradients = torch.autograd.grad(features.square().sum(), list(encoder.parameters()), allow_unused=True)
        results.append([features, *(part for part in gradients if part is not None)])
    for one, other in zip(*results, strict=True):
        assert (one - other).norm() <= 2e-5 * other.norm() + 1e-6
