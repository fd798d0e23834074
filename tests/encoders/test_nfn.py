"""NFN: its layers are all equivariant linear maps of each group, and a network is that of a loop over neurons."""

import math
from itertools import combinations, permutations, product

import pytest
import torch
from weight_inrs import INRS, require_any_numbering, weights_of

from inrzoo.encoders._equivariant_linear import EquivariantLinear, at_place, place_of
from inrzoo.encoders.nfn import INRS_AT_ONCE, Nfn, encoded_place
from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import Siren
from inrzoo.weights import FIXED_AXES, WeightLayout, WeightTensor

SMALL = {"hidden_features": 3, "num_layers": 2, "out_features": 5, "num_frequencies": 2}
MLP = WeightLayout(
    (
        WeightTensor("weight_0", (3, 2), ("hidden_0", "in")),
        WeightTensor("bias_0", (3,), ("hidden_0",)),
        WeightTensor("weight_1", (2, 3), ("out", "hidden_0")),
        WeightTensor("bias_1", (2,), ("out",)),
    )
)
SIREN = Siren(in_features=2, out_features=1).layout
FREE = WeightLayout(  # the same tensors, of which coordinates and channels may be renumbered
    tuple(
        WeightTensor(tensor.name, tensor.shape, tuple({"in": "x", "out": "y"}.get(axis, axis) for axis in tensor.axes))
        for tensor in MLP.tensors
    )
)


def made(layout: WeightLayout, **arguments) -> Nfn:
    torch.manual_seed(0)
    return Nfn(layout=layout, **{**SMALL, **arguments}).double().eval()


@pytest.mark.parametrize("group", ["hnp", "np"])
def test_a_layer_is_every_linear_map_that_its_group_allows_and_no_other(group):
    """A space of equivariant maps has the dimension mean over the group of (number of fixed points)²."""
    axes = {"hidden_0": 3} if group == "hnp" else {"hidden_0": 3, "x": 2, "y": 2}
    orders = product(*(permutations(range(size)) for size in axes.values()))
    elements = [FREE.permutation(dict(zip(axes, each, strict=True))) for each in orders]
    dimension = sum(int((index == range(MLP.num_params)).sum()) ** 2 for index in elements) / len(elements)
    fixed = FIXED_AXES if group == "hnp" else ()
    sizes = made(MLP, group=group)._sizes(1)
    layer = EquivariantLinear(sizes, sizes).double()

    def apply(weights_BP):
        parts, at_places = MLP.split(weights_BP), {place: [] for place in sizes}
        for tensor in MLP.tensors:
            at_places[place_of(tensor.axes, fixed)].append(at_place(parts[tensor.name][..., None], tensor.axes, fixed))
        new = layer({place: torch.cat(values, -1) for place, values in at_places.items()})
        flat = []
        for tensor in MLP.tensors:
            place, kept = place_of(tensor.axes, fixed), [axis for axis in tensor.axes if axis in fixed]
            width = math.prod(MLP.axes[axis] for axis in kept)
            mine, new[place] = new[place][..., :width], new[place][..., width:]
            have = (*place, *kept)
            mine = mine.reshape(-1, *(MLP.axes[axis] for axis in have))
            flat.append(mine.permute(0, *(1 + have.index(axis) for axis in tensor.axes)).flatten(1))
        return torch.cat(flat, -1)

    matrices = []
    for _ in range(int(dimension) + 3):
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter)
        zero = torch.zeros(1, MLP.num_params, dtype=torch.float64)
        matrices.append((apply(torch.eye(MLP.num_params, dtype=torch.float64)) - apply(zero)).detach().T)
    for matrix, index in product(matrices[:2], elements):
        torch.testing.assert_close(matrix[index][:, index], matrix)
    assert torch.linalg.matrix_rank(torch.stack(matrices).flatten(1)) == dimension


def by_neurons(encoder: Nfn, layout: WeightLayout, weights: torch.Tensor) -> torch.Tensor:
    """The features of one INR, neuron by neuron: means are taken over all places that share the neurons kept."""
    tensors, fixed = layout.split(weights), encoder.fixed
    numbers: dict[tuple, dict[tuple, list]] = {}
    for tensor in layout.tensors:
        axes = sorted(axis for axis in tensor.axes if axis not in fixed)
        place = numbers.setdefault(tuple(axes), {})
        for index in product(*(range(size) for size in tensor.shape)):
            at = dict(zip(tensor.axes, index, strict=True))
            features = encoder.fourier(tensors[tensor.name][index])
            if encoder.encoded:
                encoding = encoder.get_buffer(f"encoding_{tensor.name}").double()
                where = tuple(at[axis] if axis in FIXED_AXES else 0 for axis in tensor.axes)
                features = torch.cat([features, encoding[where]])
            place.setdefault(tuple(at[axis] for axis in axes), []).append(features)
    state = {place: {at: torch.cat(parts) for at, parts in rows.items()} for place, rows in numbers.items()}
    for layer in encoder.layers:
        new = {}
        for place, maps in zip(layer.places, layer.maps, strict=True):
            kept_sets = [kept for size in range(len(place) + 1) for kept in combinations(place, size)]
            for at in state[place]:
                total = 0
                for kept, linear in zip(kept_sets, maps, strict=True):
                    inputs = []
                    for source in layer.places:
                        if set(kept) <= set(source):
                            rows = [
                                values
                                for there, values in state[source].items()
                                if all(there[source.index(axis)] == at[place.index(axis)] for axis in kept)
                            ]
                            inputs.append(torch.stack(rows).mean(0))
                    total = total + linear(torch.cat(inputs))
                new.setdefault(place, {})[at] = total.relu()
        state = new
    return encoder.head(torch.cat([torch.stack(list(rows.values())).mean(0) for rows in state.values()]))


@pytest.mark.parametrize("group", ["hnp", "np"])
@pytest.mark.parametrize("name", ["siren_rgb", "fourier_net"])
def test_features_are_those_of_a_loop_over_neurons(name, group):
    layout = INRS[name].layout
    encoder, weights = made(layout, group=group), weights_of(layout, 1).double()
    torch.testing.assert_close(encoder(weights)[0], by_neurons(encoder, layout, weights[0]))


def test_np_reads_the_means_of_equation_3():
    """Of a hidden matrix: itself, rows and columns of it and its neighbours, biases, and everything."""
    layer = made(SIREN, group="np").layers[0]
    at = ("hidden_0", "hidden_1")
    assert layer.sources[at] == [at]
    assert layer.sources[("hidden_0",)] == [("hidden_0", "in"), ("hidden_0",), at]
    assert layer.sources[("hidden_1",)] == [at, ("hidden_1",), ("hidden_1", "out")]
    assert len(layer.sources[()]) == 6
    assert set(layer.sources) == {(), ("in",), ("out",), ("hidden_0",), ("hidden_1",), *layer.places}


@pytest.mark.parametrize("group", ["hnp", "np"])
@pytest.mark.parametrize("name", INRS)
def test_features_do_not_depend_on_the_numbering_of_neurons(name, group):
    layout = INRS[name].layout
    require_any_numbering(made(layout, group=group), layout, 1e-4)


@pytest.mark.parametrize("arguments, tells", [({"num_bands": 0}, False), ({"num_bands": 3}, True)])
def test_np_tells_coordinates_and_channels_apart_by_their_encoding_alone(arguments, tells):
    encoder, weights = made(MLP, group="np", **arguments), weights_of(MLP).double()
    for axis in ("x", "y"):
        moved = FREE.permute(weights, {axis: [1, 0]})
        difference = (encoder(moved) - encoder(weights)).abs().max()
        assert (difference > 1e-6) == tells
    hidden = made(MLP, group="hnp")
    assert (hidden(FREE.permute(weights, {"x": [1, 0]})) - hidden(weights)).abs().max() > 1e-6


def test_numbers_are_encoded_by_sines_and_cosines():
    encoding = encoded_place(WeightTensor("weight", (5, 3), ("hidden_0", "in")), 2, 4.0)
    assert encoding.shape == (1, 3, 5)
    x = torch.tensor([-1.0, 0.0, 1.0])
    expected = [(math.pi * x).sin(), (2 * math.pi * x).sin(), (math.pi * x).cos(), (2 * math.pi * x).cos(), x]
    torch.testing.assert_close(encoding[0], torch.stack(expected, -1), atol=1e-6, rtol=0)
    assert not encoded_place(WeightTensor("bias", (5,), ("hidden_0",)), 2, 4.0).any()


def test_np_layers_have_the_parameters_of_the_authors_code():
    """One bias where theirs have several that add up."""
    C, E = 16, 2 * 4 + 7
    layers = made(SIREN, group="np", hidden_features=C, num_frequencies=4).layers
    inputs = {"weight": [1 + 1 + 3 + 6, 1 + 3 + 3 + 6, 1 + 3 + 2 + 6], "bias": [3 + 6, 3 + 6, 2 + 6]}
    for number, layer in enumerate(layers):
        expected = sum((n * (C if number else E) + 1) * C for kind in inputs.values() for n in kind)
        assert sum(parameter.numel() for parameter in layer.parameters()) == expected


def test_whole_features_are_dropped():
    encoder = made(INRS["siren"].layout, dropout=0.5).train()
    dropped = encoder._dropped(torch.ones(2, 7, 7, 40, dtype=torch.float64))
    assert ((dropped == 0) | (dropped == 2)).all() and 0 < (dropped[:, 0, 0] == 0).double().mean() < 1
    assert torch.equal(dropped, dropped[:, :1, :1].expand_as(dropped))


def test_features_do_not_depend_on_how_many_are_computed_together():
    layout = INRS["siren"].layout
    encoder, weights = made(layout), weights_of(layout, 2 * INRS_AT_ONCE + 3).double()
    torch.testing.assert_close(encoder(weights), torch.cat([encoder(one[None]) for one in weights]))


def test_an_axis_twice_is_refused():
    with pytest.raises(InrzooError, match="nfn cannot take a tensor with an axis twice"):
        made(WeightLayout((WeightTensor("weight", (3, 3), ("hidden", "hidden")),)))
