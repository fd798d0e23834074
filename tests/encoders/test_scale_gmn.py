"""ScaleGMN for sines: its blocks have the signs that they promise, and messages are those of a loop over edges."""

import math

import pytest
import torch
from weight_inrs import SIRENS, fitted_weights_of

from inrzoo.encoders.scale_gmn import INRS_AT_ONCE, ScaleGmn, _Equivariant, _Invariant, _Messages
from inrzoo.inrs.siren import Siren


def made(inr: Siren, **arguments) -> ScaleGmn:
    torch.manual_seed(0)
    small = {"hidden_features": 4, "num_layers": 2, "out_features": 5}
    return ScaleGmn(layout=inr.layout, inr=inr, **{**small, **arguments}).double().eval()


@pytest.mark.parametrize("name", SIRENS)
def test_all_weights_of_one_function_have_the_same_features(name):
    """Random numberings, signs and up to four half turns of each neuron."""
    inr = SIRENS[name]
    encoder, weights = made(inr), fitted_weights_of(inr)
    member = inr.random_member(weights, torch.Generator().manual_seed(0))
    assert (member - weights).abs().max() > 0.05
    torch.testing.assert_close(encoder(member), encoder(weights), rtol=0, atol=1e-9)
    assert encoder(weights).std(0).max() > 1e-3


def test_half_turns_are_removed_by_the_factor_of_the_convention():
    """A bias of 1 is 30 radians: 9 or 10 half turns, and not none."""
    for inr in SIRENS.values():
        encoder, weights = made(inr), fitted_weights_of(inr)
        tensors = inr.layout.split(weights)
        phases, edges = encoder._without_half_turns(encoder.sines.phases(tensors), encoder.sines.rows(tensors))
        factors = inr.bias_omegas
        for i, phase in enumerate(phases):
            assert phase.abs().max() <= math.pi / 2 + 1e-12
            turns = ((factors[i] * tensors[f"bias_{i}"] - phase) / math.pi).round()
            sign = (-1.0) ** turns
            torch.testing.assert_close(
                edges[i + 1], tensors[f"weight_{i + 1}"] / encoder.sines.scales[i + 1] * sign[:, None]
            )


def test_blocks_have_the_signs_that_they_promise():
    torch.manual_seed(0)
    invariant, equivariant = _Invariant(2, 4, 0.0).double(), _Equivariant(2, 4, 0.0).double()
    first, second = torch.randn(2, 7, 4, dtype=torch.float64)
    torch.testing.assert_close(invariant([-first, second]), invariant([first, second]))
    torch.testing.assert_close(equivariant([-first, -second]), -equivariant([first, second]))
    assert not torch.allclose(equivariant([-first, second]), -equivariant([first, second]))


def test_messages_are_those_of_a_loop_over_edges():
    torch.manual_seed(0)
    messages = _Messages(4, 0.0).double()
    own, sender = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 5, 4, dtype=torch.float64)
    edge = torch.randn(2, 3, 5, dtype=torch.float64)
    found = messages(own, sender, edge)
    for b in range(2):
        for n in range(3):
            each = [
                messages.message([own[b, n], messages.sender(sender[b, m]) * edge[b, n, m] * messages.edge])
                for m in range(5)
            ]
            torch.testing.assert_close(found[b, n], torch.stack(each).mean(0))


def test_features_do_not_depend_on_how_many_are_computed_together():
    inr = SIRENS["mwt"]
    encoder, weights = made(inr), fitted_weights_of(inr, 2 * INRS_AT_ONCE + 3)
    torch.testing.assert_close(encoder(weights), torch.cat([encoder(one[None]) for one in weights]))
