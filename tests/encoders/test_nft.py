"""NFT: attention is that of a loop over the vectors along each axis, and only learned vectors tell tensors apart."""

import math
from itertools import product

import pytest
import torch
from weight_inrs import INRS, require_any_numbering, weights_of

from inrzoo.encoders.nfn import INRS_AT_ONCE
from inrzoo.encoders.nft import CrossAttention, Nft, WeightSpaceAttention
from inrzoo.errors import InrzooError
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.siren import Siren
from inrzoo.weights import FIXED_AXES, WeightLayout, WeightTensor

SMALL = {
    "hidden_features": 4,
    "num_layers": 2,
    "num_heads": 2,
    "num_latents": 2,
    "latent_features": 3,
    "out_features": 5,
    "num_frequencies": 2,
}


def made(layout: WeightLayout, **arguments) -> Nft:
    torch.manual_seed(0)
    return Nft(layout=layout, **{**SMALL, **arguments}).double().eval()


def by_vectors(attention: WeightSpaceAttention, layout: WeightLayout, states: dict) -> dict:
    """What the numbers of one INR receive: tensor name -> index -> (C,)."""
    indices = {tensor.name: list(product(*map(range, tensor.shape))) for tensor in layout.tensors}
    axes = {tensor.name: tensor.axes for tensor in layout.tensors}

    def per_head(number):
        return [part.reshape(attention.num_heads, -1) for part in attention.project(number).chunk(3)]

    projected = {(name, at): per_head(states[name][at]) for name in indices for at in indices[name]}

    def attended(query, keys, values, size):
        """All of one head; keys and queries are lists over the places of a vector."""
        scores = [sum((q * k).sum() for q, k in zip(query, key, strict=True)) / math.sqrt(size) for key in keys]
        return (torch.stack(scores).softmax(0)[:, None] * torch.stack(values)).sum(0)

    received = {name: {} for name in indices}
    means = {
        name: [
            torch.stack([attention.project(states[name][at]).chunk(3)[i] for at in indices[name]])
            .mean(0)
            .reshape(attention.num_heads, -1)
            for i in range(3)
        ]
        for name in indices
    }
    for name, at in projected:
        heads = []
        for h in range(attention.num_heads):
            width = means[name][0][h].numel()
            keys, values = [[mean[1][h]] for mean in means.values()], [mean[2][h] for mean in means.values()]
            total = attended([means[name][0][h]], keys, values, width)
            for axis, here in zip(axes[name], at, strict=True):
                place, size = axes[name].index(axis), layout.axes[axis]
                vector = [(*at[:place], n, *at[place + 1 :]) for n in range(size)]
                query = [projected[name, where][0][h] for where in vector]
                keys, values = [], []
                for other in indices:
                    if axis not in axes[other]:
                        continue
                    position = axes[other].index(axis)
                    for first in (index for index in indices[other] if index[position] == 0):
                        along = [(*first[:position], n, *first[position + 1 :]) for n in range(size)]
                        keys.append([projected[other, where][1][h] for where in along])
                        values.append(projected[other, along[here]][2][h])
                total = total + attended(query, keys, values, size * width)
            heads.append(total)
        received[name][at] = torch.cat(heads)
    return received


@pytest.mark.parametrize(
    "layout",
    [
        Siren(in_features=2, out_features=2, hidden_features=3).layout,
        FourierNet(in_features=2, out_features=1, hidden_features=2, num_filters=2).layout,
    ],
)
@torch.no_grad()
def test_attention_is_that_of_a_loop_over_vectors(layout):
    torch.manual_seed(0)
    attention = WeightSpaceAttention(layout.tensors, 4, 2, 0.0).double()
    states = [torch.randn(1, *tensor.shape, 4, dtype=torch.float64) for tensor in layout.tensors]
    single = {
        tensor.name: {at: state[0][at] for at in product(*map(range, tensor.shape))}
        for tensor, state in zip(layout.tensors, states, strict=True)
    }
    expected = by_vectors(attention, layout, single)
    for tensor, found in zip(layout.tensors, attention(states), strict=True):
        assert found.shape == (1, *tensor.shape, 4)
        for at, value in expected[tensor.name].items():
            torch.testing.assert_close(found[0][at], value)


@pytest.mark.parametrize("name", INRS)
def test_features_do_not_depend_on_the_numbering_of_neurons(name):
    layout = INRS[name].layout
    require_any_numbering(made(layout), layout, 1e-4)


def test_only_learned_vectors_tell_coordinates_and_channels_apart():
    layout = INRS["siren_rgb"].layout
    renamed = {"in": "x", "out": "y"}
    free = WeightLayout(
        tuple(
            WeightTensor(tensor.name, tensor.shape, tuple(renamed.get(axis, axis) for axis in tensor.axes))
            for tensor in layout.tensors
        )
    )
    encoder, weights = made(layout), weights_of(layout).double()
    moved = [free.permute(weights, {axis: [2, 0, 1]}) for axis in renamed.values()]
    assert all((encoder(each) - encoder(weights)).abs().max() > 1e-6 for each in moved)
    with torch.no_grad():
        for axis in layout.axes.keys() & set(FIXED_AXES):
            encoder.axis_vectors[axis].zero_()
    for each in moved:
        torch.testing.assert_close(encoder(each), encoder(weights))


def test_latents_attend_in_one_head_and_pass_a_gated_mlp():
    torch.manual_seed(0)
    cross = CrossAttention(2, 3, 4, 0.0).double()
    members = torch.randn(1, 5, 4, dtype=torch.float64)
    for m in range(2):
        query = cross.query(cross.norm(cross.latents[m]))
        key, value = zip(*(cross.key_value(cross.input_norm(member)).chunk(2) for member in members[0]), strict=True)
        weights = torch.stack([(query * each).sum() / 2 for each in key]).softmax(0)
        latent = cross.latents[m] + cross.out(sum(w * v for w, v in zip(weights, value, strict=True)))
        values, gates = cross.gated(cross.mlp_norm(latent)).chunk(2)
        expected = latent + cross.mlp_out(values * torch.nn.functional.gelu(gates))
        torch.testing.assert_close(cross(members)[0, m], expected)


def test_features_are_as_published_where_the_sizes_agree():
    assert isinstance(made(INRS["siren"].layout).embed, torch.nn.Identity)
    assert isinstance(made(INRS["siren"].layout, num_frequencies=3).embed, torch.nn.Linear)


def test_features_do_not_depend_on_how_many_are_computed_together():
    layout = INRS["siren"].layout
    encoder, weights = made(layout), weights_of(layout, 2 * INRS_AT_ONCE + 3).double()
    torch.testing.assert_close(encoder(weights), torch.cat([encoder(one[None]) for one in weights]))


def test_impossible_arguments_are_refused_in_one_line():
    with pytest.raises(InrzooError, match="nft cannot take a tensor with an axis twice"):
        made(WeightLayout((WeightTensor("weight", (3, 3), ("hidden", "hidden")),)))
    with pytest.raises(InrzooError, match="hidden_features = 6 is not allowed; it must be a multiple of num_heads = 4"):
        made(INRS["siren"].layout, hidden_features=6, num_heads=4)
