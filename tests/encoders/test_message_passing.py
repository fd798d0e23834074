"""Messages between neurons: the same as in a loop over neurons, and features that an INR's layers are among."""

import math

import pytest
import torch
from weight_inrs import INRS, orders_of, weights_of

from inrzoo.encoders.message_passing import MessagePassing
from inrzoo.errors import InrzooError
from inrzoo.weights import WeightLayout, WeightTensor


def made(layout, **arguments):
    torch.manual_seed(0)
    small = {"hidden_features": 6, "num_layers": 2, "out_features": 5, "num_frequencies": 3}
    return MessagePassing(layout=layout, **{**small, **arguments}).double().eval()


def by_loops(encoder, layout, weights):
    """The features of one INR, neuron by neuron and weight by weight."""
    tensors = layout.split(weights)
    states = {}
    for axis, embed in encoder.embed.items():
        states[axis] = []
        for j in range(layout.axes[axis]):
            own = [tensors[t.name].select(t.axes.index(axis), j).reshape(-1) for t in embed.own]
            angles = [sum(x * b for x, b in zip(torch.cat(own), column, strict=True)) for column in embed.frequencies.T]
            parts = [*own, torch.stack([a.cos() for a in angles]), torch.stack([a.sin() for a in angles])]
            states[axis].append(embed.map(torch.cat(parts)))
    states |= {axis: list(start) for axis, start in encoder.start.items()}
    for layer in encoder.layers:
        new = {axis: [] for axis in states}
        for axis, members in states.items():
            for j, state in enumerate(members):
                known = [state]
                for t in layout.tensors:
                    if len(t.axes) < 2 or t.axes[1] == "in" or axis not in t.axes:
                        continue
                    other = t.axes[1 - t.axes.index(axis)]
                    row = tensors[t.name].select(t.axes.index(axis), j)
                    sent = sum(weight * sender for weight, sender in zip(row, states[other], strict=True))
                    known.append(sent / math.sqrt(len(row)))
                new[axis].append(state + layer[axis](torch.cat(known)))
        states = new
    pooled = [tensors[t.name].reshape(-1) for t in layout.tensors if set(t.axes) <= {"in", "out"}]
    for axis, members in states.items():
        stacked = torch.stack(members)
        pooled += [stacked.reshape(-1)] if axis == "out" else [stacked.mean(0), stacked.amax(0)]
    return encoder.read_out(torch.cat(pooled))


@pytest.mark.parametrize("name", INRS)
def test_messages_are_those_of_a_loop_over_neurons(name):
    layout = INRS[name].layout
    encoder, weights = made(layout), weights_of(layout, 3).double()
    expected = torch.stack([by_loops(encoder, layout, one) for one in weights])
    torch.testing.assert_close(encoder(weights), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", INRS)
def test_features_are_the_same_for_every_numbering(name):
    layout = INRS[name].layout
    encoder, weights = made(layout), weights_of(layout).double()
    torch.testing.assert_close(encoder(layout.permute(weights, orders_of(layout))), encoder(weights))


def test_a_first_layer_is_one_of_the_features():
    """With B = ω (x, 1) the sine of a neuron's Fourier feature is what the neuron makes of x."""
    inr = INRS["siren"]
    encoder, weights = made(inr.layout), weights_of(inr.layout).double()
    embed, x = encoder.embed["hidden_0"], torch.tensor([0.3, -0.7], dtype=torch.float64)
    names = [tensor.name for tensor in embed.own]
    assert names == ["weight_0", "bias_0"]
    tensors = inr.layout.split(weights)
    expected = torch.sin(inr.omega_0 * (tensors["weight_0"] @ x + tensors["bias_0"]))
    with torch.no_grad():
        embed.frequencies[:, 0] = inr.omega_0 * torch.cat([x, torch.ones(1).double()])
        embed.map.weight.zero_()
        embed.map.bias.zero_()
        embed.map.weight[0, 3 + 3] = 1.0  # behind three numbers and three cosines
    torch.testing.assert_close(embed(tensors)[..., 0], expected)


def test_a_network_without_output_nodes_has_features_too():
    """The first layers alone, as the few-shot paper's ablation reads them."""
    whole = INRS["siren"].layout
    layout = WeightLayout(tuple(tensor for tensor in whole.tensors if "out" not in tensor.axes))
    features = made(layout)(weights_of(layout).double())
    assert features.shape == (4, 5) and features.isfinite().all()


@pytest.mark.parametrize(
    "tensors, message",
    [
        ((WeightTensor("a", (2, 2, 2), ("h0", "h1", "in")),), "a has 3 axes"),
        (
            (WeightTensor("a", (2, 2), ("h0", "h1")), WeightTensor("b", (2,), ("h0",))),
            "the neurons h1 have no parameters of their own",
        ),
    ],
)
def test_what_is_no_such_graph_is_refused(tensors, message):
    with pytest.raises(InrzooError, match=message):
        MessagePassing(layout=WeightLayout(tensors))


@pytest.mark.parametrize("arguments", [{"num_layers": 0}, {"sigma": 0.0}, {"num_frequencies": -1}, {"dropout": 1.0}])
def test_arguments_out_of_range_are_named(arguments):
    with pytest.raises(InrzooError, match=next(iter(arguments))):
        made(INRS["siren"].layout, **arguments)
