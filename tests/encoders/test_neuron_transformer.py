"""The neuron transformer: tokens hold what touches a neuron, and symmetries are those that it declares."""

import pytest
import torch
from weight_inrs import INRS, orders_of, weights_of

from inrzoo.encoders.neuron_transformer import NeuronTransformer
from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import Siren


def small(layout, **changes):
    torch.manual_seed(0)
    return NeuronTransformer(layout=layout, hidden_features=16, num_layers=2, num_heads=2, **changes).eval()


def test_a_token_holds_what_enters_and_what_leaves_its_neuron():
    inr = Siren(in_features=2, out_features=1, hidden_features=3, hidden_layers=1)
    weights_BP = weights_of(inr.layout, 2)
    parts = inr.layout.split(weights_BP)
    tokens_BLN = small(inr.layout).tokens(parts, "hidden_0")
    assert tokens_BLN.shape == (2, 3, 2 + 1 + 3)
    for j in range(3):
        whole = [parts["weight_0"][:, j], parts["bias_0"][:, j, None], parts["weight_1"][:, :, j]]
        torch.testing.assert_close(tokens_BLN[:, j], torch.cat(whole, dim=-1), rtol=0, atol=0)


@pytest.mark.parametrize("name", INRS)
@pytest.mark.parametrize("sort_neighbours", [True, False])
def test_it_has_the_symmetry_exactly_where_it_says_so(name, sort_neighbours):
    layout = INRS[name].layout
    encoder, weights_BP = small(layout, sort_neighbours=sort_neighbours), weights_of(layout)
    change = (encoder(layout.permute(weights_BP, orders_of(layout))) - encoder(weights_BP)).abs().max()
    assert encoder.symmetries == (("permutation",) if sort_neighbours else ())
    assert change < 1e-5 if sort_neighbours else change > 1e-2


def test_one_hidden_layer_needs_no_sorting():
    inr = Siren(in_features=2, out_features=3, hidden_features=8, hidden_layers=0)
    encoder, weights_BP = small(inr.layout), weights_of(inr.layout)
    assert encoder.symmetries == ("permutation",)
    permuted = inr.layout.permute(weights_BP, orders_of(inr.layout))
    torch.testing.assert_close(encoder(permuted), encoder(weights_BP), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", INRS)
def test_every_parameter_is_read_and_inrs_are_strangers(name):
    layout = INRS[name].layout
    encoder, weights_BP = small(layout), weights_of(layout, 3).requires_grad_()
    features = encoder(weights_BP)
    features[1].square().sum().backward()
    assert weights_BP.grad[1].ne(0).all() and not weights_BP.grad[[0, 2]].any()
    alone = torch.cat([encoder(weights_P[None]) for weights_P in weights_BP])
    torch.testing.assert_close(features, alone, rtol=0, atol=1e-5)


def test_impossible_arguments_are_refused():
    with pytest.raises(
        InrzooError, match="hidden_features = 16 is not allowed; it must be a multiple of num_heads = 3"
    ):
        NeuronTransformer(layout=INRS["siren"].layout, hidden_features=16, num_heads=3)
