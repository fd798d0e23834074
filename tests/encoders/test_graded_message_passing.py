"""Graded messages: the same as neuron by neuron, and unchanged by every symmetry of a SIREN, conventions included."""

import math

import pytest
import torch
from weight_inrs import SIRENS, fitted_weights_of

from inrzoo.encoders.graded_message_passing import SMALL, GradedMessagePassing
from inrzoo.inrs.siren import Siren


def made(inr: Siren, **arguments) -> GradedMessagePassing:
    torch.manual_seed(0)
    small = {"hidden_features": 4, "num_layers": 2, "out_features": 5, "num_frequencies": 3}
    return GradedMessagePassing(layout=inr.layout, inr=inr, **{**small, **arguments}).double().eval()


@pytest.mark.parametrize("name", SIRENS)
def test_all_weights_of_one_function_have_the_same_features(name):
    """Random numberings, signs and up to four half turns of each neuron."""
    inr = SIRENS[name]
    encoder, weights = made(inr), fitted_weights_of(inr)
    member = inr.random_member(weights, torch.Generator().manual_seed(0))
    assert (member - weights).abs().max() > 0.05
    torch.testing.assert_close(encoder(member), encoder(weights), rtol=0, atol=1e-9)
    assert encoder(weights).std(0).max() > 1e-3


def by_neurons(encoder: GradedMessagePassing, inr: Siren, weights: torch.Tensor) -> torch.Tensor:
    """The features of one INR, neuron by neuron."""
    tensors, last = inr.layout.split(weights), inr.hidden_layers + 1
    phases = [factor * tensors[f"bias_{i}"] for i, factor in enumerate(inr.bias_omegas)]
    rows = [tensors[f"weight_{i}"] / encoder.sines.scales[i] for i in range(last + 1)]
    even, odd = {}, {}
    for i in range(last):
        for j, (phase, row) in enumerate(zip(phases[i], rows[i], strict=True)):
            sine, cosine, double = phase.sin(), phase.cos(), (2 * phase).cos()
            starts = [double[None], (row.square().mean().sqrt())[None]], [sine[None]]
            if i == 0:
                angle = encoder.frequencies.T @ row
                starts[0].extend([angle.cos(), angle.cos() * double, angle.sin() * (2 * phase).sin()])
                starts[1].extend([angle.sin() * cosine, angle.cos() * sine])
            even[i, j] = encoder.even_start[i](torch.cat(starts[0]))
            odd[i, j] = encoder.odd_start[i](torch.cat(starts[1]))
    outputs = list(encoder.output_start)
    for layer in encoder.layers:
        new_even, new_odd, new_outputs = {}, {}, []
        for i, j in even:
            if i + 1 == last:
                sent_back = sum(rows[last][k, j] * outputs[k] for k in range(len(outputs)))
                received = [odd[i, j], sent_back / math.sqrt(len(outputs))]
            else:
                behind = range(len(phases[i + 1]))
                sent_back = sum(rows[i + 1][k, j] * odd[i + 1, k] * phases[i + 1][k].cos() for k in behind)
                received = [odd[i, j], sent_back / math.sqrt(len(behind))]
            if i > 0:
                row = rows[i][j]
                sent = sum(row[k] * odd[i - 1, k] for k in range(len(row))) / math.sqrt(len(row))
                received += [sent * phases[i][j].cos(), sent.cos() * phases[i][j].sin()]
            numbers, update = torch.cat(received), layer[f"hidden_{i}"]
            first, second = update.mix(numbers / (numbers.square().mean() + SMALL).sqrt()).chunk(2)
            change, gain = update.network(torch.cat([update.norm(even[i, j]), first * second])).chunk(2)
            new_even[i, j], new_odd[i, j] = even[i, j] + change, odd[i, j] + (1 + gain) * first
        for k, state in enumerate(outputs):
            row = rows[last][k]
            sent = sum(row[j] * odd[last - 1, j] for j in range(len(row))) / math.sqrt(len(row))
            new_outputs.append(state + layer["out"](torch.cat([state, sent])))
        even, odd, outputs = new_even, new_odd, new_outputs
    pooled = [torch.cat(outputs), tensors[f"bias_{last}"]]
    for i in range(last):
        evens = torch.stack([even[i, j] for j in range(len(phases[i]))])
        odds = torch.stack([odd[i, j] for j in range(len(phases[i]))])
        pooled += [evens.mean(0), evens.amax(0), (odds.square().mean(0) + SMALL).sqrt()]
    return encoder.read_out(torch.cat(pooled))


@pytest.mark.parametrize("name", SIRENS)
def test_messages_are_those_of_a_loop_over_neurons(name):
    inr = SIRENS[name]
    encoder, weights = made(inr), fitted_weights_of(inr)
    torch.testing.assert_close(encoder(weights), torch.stack([by_neurons(encoder, inr, each) for each in weights]))


def test_a_weight_matrix_is_divided_by_the_spread_of_its_draw():
    inr = SIRENS["sound"]
    bounds = inr.init_bounds()
    assert made(inr).sines.scales == [bounds[f"weight_{i}"] / math.sqrt(3) for i in range(3)]
    normal = Siren(in_features=2, out_features=1, hidden_features=16, convention="fit_a_nef")
    assert made(normal).sines.scales[-1] == 1 / math.sqrt(16)
