"""Equivariant layers: every equivariant linear map and no other, and features that keep the symmetry."""

from itertools import permutations, product

import pytest
import torch
from weight_inrs import INRS, orders_of, weights_of

from inrzoo.encoders.equivariant_mlp import INRS_AT_ONCE, EquivariantLayer, EquivariantMlp
from inrzoo.errors import InrzooError
from inrzoo.weights import WeightLayout, WeightTensor

# One number at every place of an MLP with two hidden layers of 3 and 2 neurons: places are tensors here.
PLACES = WeightLayout(
    (
        WeightTensor("a", (3,), ("h0",)),
        WeightTensor("b", (3, 2), ("h0", "h1")),
        WeightTensor("c", (2,), ("h1",)),
        WeightTensor("d", (1,), ("out",)),
    )
)


def group():
    """Index of every renumbering of PLACES: 3! · 2! of them."""
    for first, second in product(permutations(range(3)), permutations(range(2))):
        yield PLACES.permutation({"h0": first, "h1": second})


def linear_part(layer):
    """The layer before norm and activation, as a function of the flat weights of PLACES."""
    layer.norms = torch.nn.ModuleList(torch.nn.Identity() for _ in layer.places)

    def apply(weights_BP):
        parts = PLACES.split(weights_BP)
        places = [("h0",), ("h0", "h1"), ("h1",), ()]
        at_places = {place: part[..., None] for place, part in zip(places, parts.values(), strict=True)}
        at_places[()] = parts["d"]
        new = layer(at_places)
        shapes = [tensor.shape for tensor in PLACES.tensors]
        whole = [new[place].reshape(-1, *shape) for place, shape in zip(places, shapes, strict=True)]
        return PLACES.join(dict(zip("abcd", whole, strict=True)))

    return apply


def test_a_layer_is_every_equivariant_linear_map(monkeypatch):
    """The maps of a layer span a space as large as that of all equivariant maps.

    Its dimension is the mean over the group of (number of fixed points)²: the multiplicity of the trivial
    representation in the maps from the weights to themselves.
    """
    elements = list(group())
    dimension = sum(int((index == range(PLACES.num_params)).sum()) ** 2 for index in elements) / len(elements)
    monkeypatch.setattr(torch.nn.functional, "gelu", lambda values: values)
    layer = EquivariantLayer([("h0",), ("h0", "h1"), ("h1",), ()], 1, 0.0).double()
    apply, zero = linear_part(layer), torch.zeros(1, PLACES.num_params, dtype=torch.float64)
    matrices = []
    for _ in range(40):
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter)
        matrices.append((apply(torch.eye(PLACES.num_params, dtype=torch.float64)) - apply(zero)).detach().T)
    for matrix in matrices[:3]:
        for index in elements:
            torch.testing.assert_close(matrix[index][:, index], matrix)
    assert torch.linalg.matrix_rank(torch.stack(matrices).flatten(1)) == dimension == 25


@pytest.mark.parametrize("num_frequencies", [0, 4])
@pytest.mark.parametrize("name", INRS)
def test_features_do_not_depend_on_the_numbering_of_neurons(name, num_frequencies):
    layout = INRS[name].layout
    torch.manual_seed(0)
    encoder = EquivariantMlp(layout=layout, hidden_features=8, num_frequencies=num_frequencies).eval()
    weights_BP = weights_of(layout)
    features = encoder(weights_BP)
    torch.testing.assert_close(encoder(layout.permute(weights_BP, orders_of(layout))), features, rtol=0, atol=1e-5)
    assert (features.std(0) > 1e-3).any()


@pytest.mark.parametrize("name", INRS)
def test_every_parameter_is_read(name):
    layout = INRS[name].layout
    torch.manual_seed(0)
    encoder = EquivariantMlp(layout=layout, hidden_features=8)
    weights_BP = weights_of(layout, 8).requires_grad_()
    encoder(weights_BP).sum().backward()
    assert weights_BP.grad.abs().amax(0).gt(0).all()


def test_features_of_an_inr_depend_on_no_other():
    layout = INRS["gabor_net"].layout
    torch.manual_seed(0)
    encoder, weights_BP = EquivariantMlp(layout=layout, hidden_features=8), weights_of(layout, 5)
    alone = torch.cat([encoder(weights_P[None]) for weights_P in weights_BP])
    torch.testing.assert_close(encoder(weights_BP), alone, rtol=0, atol=1e-5)


def test_an_axis_twice_is_refused():
    layout = WeightLayout((WeightTensor("weight", (3, 3), ("hidden", "hidden")),))
    with pytest.raises(InrzooError, match="equivariant_mlp cannot take a tensor with an axis twice"):
        EquivariantMlp(layout=layout)


def test_features_do_not_depend_on_how_many_are_computed_together():
    layout = INRS["siren"].layout
    torch.manual_seed(0)
    encoder = EquivariantMlp(layout=layout, hidden_features=4, num_layers=2, out_features=3).double()
    weights = weights_of(layout, 2 * INRS_AT_ONCE + 3).double()
    one_by_one = torch.cat([encoder(one[None]) for one in weights])
    torch.testing.assert_close(encoder(weights), one_by_one)
    assert encoder(weights[:0]).shape == (0, 3)
