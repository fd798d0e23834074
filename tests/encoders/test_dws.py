"""DWSNet: with deep sets and means its layers are all equivariant linear maps; features are those of a loop."""

import math
from itertools import permutations, product

import pytest
import torch
from weight_inrs import INRS, require_any_numbering, weights_of

from inrzoo.encoders._equivariant_linear import at_place
from inrzoo.encoders.dws import DeepSet, Dws, DwsLayer, SetAttention, SetOfSets
from inrzoo.errors import InrzooError
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.siren import Siren
from inrzoo.weights import FIXED_AXES, WeightLayout, WeightTensor

SMALL = {"hidden_features": 4, "num_layers": 3, "num_heads": 2}
# One number at every place of an MLP with two hidden layers of 3 and 2 neurons and two channels.
PLACES = WeightLayout(
    (
        WeightTensor("a", (3,), ("h0",)),
        WeightTensor("b", (2, 3), ("h1", "h0")),
        WeightTensor("c", (2,), ("h1",)),
        WeightTensor("d", (2,), ("out",)),
    )
)


def made(layout: WeightLayout, **arguments) -> Dws:
    torch.manual_seed(0)
    encoder = Dws(layout=layout, **{**SMALL, **arguments}).double().eval()
    for norm in encoder.norms.modules():
        if isinstance(norm, torch.nn.BatchNorm1d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return encoder


def test_with_deep_sets_and_means_a_layer_is_every_equivariant_linear_map():
    """A space of equivariant maps has the dimension mean over the group of (number of fixed points)²."""
    elements = [
        PLACES.permutation({"h0": first, "h1": second})
        for first, second in product(permutations(range(3)), permutations(range(2)))
    ]
    dimension = sum(int((index == range(PLACES.num_params)).sum()) ** 2 for index in elements) / len(elements)
    layer = DwsLayer(PLACES, 1, 1, "mean", "ds", 1).double()

    def apply(weights_BP):
        parts = PLACES.split(weights_BP)
        new = layer([at_place(parts[tensor.name][..., None], tensor.axes) for tensor in PLACES.tensors])
        new[1] = new[1].transpose(1, 2)  # places have sorted axes
        return torch.cat([values.flatten(1) for values in new], -1)

    matrices = []
    for _ in range(int(dimension) + 3):
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter)
        zero = torch.zeros(1, PLACES.num_params, dtype=torch.float64)
        matrices.append((apply(torch.eye(PLACES.num_params, dtype=torch.float64)) - apply(zero)).detach().T)
    for matrix, index in product(matrices[:3], elements):
        torch.testing.assert_close(matrix[index][:, index], matrix)
    assert torch.linalg.matrix_rank(torch.stack(matrices).flatten(1)) == dimension


POOL = {"max": lambda rows: rows.amax(0), "mean": lambda rows: rows.mean(0), "sum": lambda rows: rows.sum(0)}


def by_neurons(encoder: Dws, layout: WeightLayout, weights: torch.Tensor) -> torch.Tensor:
    """The features of one INR, neuron by neuron."""
    pool, tensors = POOL[encoder.reduction], layout.split(weights)
    axes = [sorted(axis for axis in tensor.axes if axis not in FIXED_AXES) for tensor in layout.tensors]
    states = []
    for tensor, own in zip(layout.tensors, axes, strict=True):
        state: dict[tuple, list] = {}
        for index in product(*map(range, tensor.shape)):
            at = dict(zip(tensor.axes, index, strict=True))
            state.setdefault(tuple(at[axis] for axis in own), []).append(tensors[tensor.name][index][None])
        states.append({at: torch.cat(parts) for at, parts in state.items()})

    def of_set(block, rows, at):
        """What a member of a set gets; rows by its number."""
        everyone = torch.stack([rows[n] for n in sorted(rows)])
        if isinstance(block, DeepSet):
            return block.each(rows[at]) - block.whole(pool(everyone))
        heads = []
        width = block.out.in_features // block.num_heads
        for h in range(block.num_heads):
            part = slice(h * width, (h + 1) * width)
            query = block.query(rows[at])[part]
            scores = [(query * block.key(row)[part]).sum() / math.sqrt(block.out.in_features) for row in everyone]
            values = torch.stack([block.value(row)[part] for row in everyone])
            heads.append(query + (torch.stack(scores).softmax(0)[:, None] * values).sum(0))
        joined = torch.cat(heads)
        return joined + block.out(joined).relu()

    for number, layer in enumerate(encoder.layers):
        new = []
        for target, own in enumerate(axes):
            rows = {}
            for at in states[target]:
                total = 0
                for source, block in enumerate(layer.blocks[target]):
                    shared = [axis for axis in axes[source] if axis in own]
                    pooled: dict[tuple, list] = {}
                    for there, values in states[source].items():
                        pooled.setdefault(tuple(there[axes[source].index(axis)] for axis in shared), []).append(values)
                    reduced = {key: pool(torch.stack(values)) for key, values in pooled.items()}
                    mine = tuple(at[own.index(axis)] for axis in shared)
                    if isinstance(block, SetOfSets):
                        row = pool(torch.stack([v for k, v in reduced.items() if k[1] == mine[1]]))
                        column = pool(torch.stack([v for k, v in reduced.items() if k[0] == mine[0]]))
                        both = pool(torch.stack(list(reduced.values())))
                        parts = (
                            block.all(reduced[mine]),
                            block.rows(row),
                            block.columns(column),
                            block.both(both),
                        )
                        total = total + sum(parts) / 4
                    elif shared:
                        total = total + of_set(block, {key[0]: values for key, values in reduced.items()}, mine[0])
                    else:
                        total = total + block(reduced[()])
                rows[at] = total / len(axes)
            new.append(rows)
        if number < len(encoder.norms):
            for norm, rows in zip(encoder.norms[number], new, strict=True):
                for at, values in rows.items():
                    parts = values.reshape(-1, encoder.hidden_features)
                    rows[at] = norm(parts).flatten()
        states = [{at: values.relu() for at, values in rows.items()} for rows in new]
    return torch.cat([pool(torch.stack(list(rows.values()))) for rows in states])


@pytest.mark.parametrize("arguments", [{}, {"set_layer": "ds", "reduction": "mean"}, {"reduction": "sum"}])
@pytest.mark.parametrize(
    "layout",
    [
        Siren(in_features=2, out_features=3, hidden_features=3).layout,
        FourierNet(in_features=2, out_features=1, hidden_features=2).layout,
    ],
)
@torch.no_grad()
def test_features_are_those_of_a_loop_over_neurons(layout, arguments):
    encoder, weights = made(layout, num_layers=2, **arguments), weights_of(layout, 1).double()
    torch.testing.assert_close(encoder(weights)[0], by_neurons(encoder, layout, weights[0]))


@pytest.mark.parametrize("name", INRS)
def test_features_do_not_depend_on_the_numbering_of_neurons(name):
    layout = INRS[name].layout
    require_any_numbering(made(layout), layout, 1e-3)


def test_blocks_are_those_of_the_paper_s_tables():
    """Of each pair of tensors of a network with four layers of weights, as in Appendix A."""
    layout = Siren(in_features=2, out_features=1, hidden_layers=2).layout
    (blocks,) = [layer.blocks for layer in made(layout, num_layers=1, num_heads=1).layers]
    names = [tensor.name for tensor in layout.tensors]

    def kind(source, target):
        return type(blocks[names.index(target)][names.index(source)])

    assert kind("weight_1", "weight_1") is SetOfSets
    for source, target in [
        ("weight_0", "weight_1"),
        ("weight_1", "weight_0"),
        ("bias_1", "weight_1"),
        ("bias_0", "bias_0"),
    ]:
        assert kind(source, target) is SetAttention
    for source, target in [
        ("weight_0", "weight_2"),
        ("weight_3", "bias_3"),
        ("bias_3", "bias_0"),
        ("bias_0", "bias_2"),
    ]:
        assert kind(source, target) is torch.nn.Linear


def test_weights_begin_with_the_authors_spread():
    torch.manual_seed(0)
    linear = DwsLayer(PLACES, 64, 256, "max", "ds", 1).blocks[0][3].requires_grad_(False)
    assert linear.weight.std() == pytest.approx(math.sqrt(2 / (128 + 256)) * math.sqrt(2 * 128 / 256), rel=0.02)
    assert linear.bias.abs().max() <= 1e-4


def test_batch_norm_is_of_a_batch_only_in_training():
    layout = INRS["siren"].layout
    encoder, weights = made(layout), weights_of(layout, 9).double()
    torch.testing.assert_close(encoder(weights), torch.cat([encoder(one[None]) for one in weights]))
    encoder.train()
    assert (encoder(weights)[0] - encoder(weights[:4])[0]).abs().max() > 1e-3


def test_impossible_arguments_are_refused_in_one_line():
    with pytest.raises(InrzooError, match="dws takes up to two axes of neurons, once each"):
        made(WeightLayout((WeightTensor("weight", (3, 3), ("hidden", "hidden")),)))
    with pytest.raises(InrzooError, match="hidden_features = 5 is not allowed; it must be a multiple of num_heads = 2"):
        made(PLACES, hidden_features=5)
