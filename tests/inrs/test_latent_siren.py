"""Latents on a shared base: their functions are SIRENs, zero is the base itself, and the base travels by its name."""

import copy
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from inr_contract import with_base
from torch import nn

from inrzoo import bases
from inrzoo.errors import InrzooError
from inrzoo.inrs.latent_siren import LatentSiren
from inrzoo.inrs.siren import Siren
from inrzoo.seeding import Stream

SHAPE = {"in_features": 2, "out_features": 3, "hidden_features": 8, "hidden_layers": 2, "latent_dim": 5, "rank": 4}
KINDS = ("shift", "low_rank")


def drawn(modulation: str, **fields) -> LatentSiren:
    inr = LatentSiren(**SHAPE, modulation=modulation, **fields)
    return replace(inr, base=bases.remember(inr.init_base(Stream("init", "test", 0))))


def cases() -> tuple[torch.Tensor, torch.Tensor]:
    """Latents (4, 5) and coordinates (7, 2)."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    return latents, torch.rand(7, 2, generator=generator, dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("modulation", KINDS)
def test_a_latent_of_zeros_is_the_base(modulation):
    inr, coords = drawn(modulation, omega_0=7.0, output_offset=0.5), cases()[1]
    base = torch.from_numpy(inr.base_weights).double()[: inr.siren.layout.num_params]
    siren = Siren(in_features=2, out_features=3, hidden_features=8, hidden_layers=2, omega_0=7.0, output_offset=0.5)
    torch.testing.assert_close(inr(torch.zeros(5, dtype=torch.float64), coords), siren(base, coords))
    assert not inr.init(Stream("init", "test", 1)).any()


@pytest.mark.parametrize("modulation", KINDS)
def test_the_values_are_those_of_the_formula_layer_by_layer(modulation):
    """h ← sin(ω ((W + U diag(G z) V) h + b + S z)), written once more, for one INR and one coordinate at a time."""
    inr, (latents, coords) = drawn(modulation, omega_0=9.0), cases()
    base = {name: part.astype(np.float64) for name, part in inr.base_layout.split(inr.base_weights).items()}
    for latent, values in zip(latents.numpy(), inr(latents, coords).numpy(), strict=True):
        for x, expected in zip(coords.numpy(), values, strict=True):
            h = x
            for i in range(3):
                weight, bias = base[f"weight_{i}"], base[f"bias_{i}"]
                if modulation == "shift":
                    bias = bias + base[f"shift_{i}"] @ latent
                elif i > 0:
                    weight = weight + base[f"left_{i}"] @ np.diag(base[f"gain_{i}"] @ latent) @ base[f"right_{i}"]
                h = np.sin(9.0 * (weight @ h + bias))
            np.testing.assert_allclose(base["weight_3"] @ h + base["bias_3"], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("modulation", KINDS)
def test_every_latent_is_a_siren_of_its_own(modulation):
    inr, (latents, coords) = drawn(modulation), cases()
    expanded = inr.expand(latents)
    assert expanded.shape == (4, inr.siren.layout.num_params)
    torch.testing.assert_close(inr.siren(expanded, coords), inr(latents, coords))
    assert inr.expand(latents[0]).shape == expanded.shape[1:]


def test_latents_have_no_symmetries():
    inr, (latents, _) = drawn("shift"), cases()
    assert inr.canonicalise(latents) is latents and not inr.layout.neuron_axes


@pytest.mark.parametrize("modulation", KINDS)
def test_a_drawn_base_changes_with_the_latent_as_much_as_a_fit_needs(modulation):
    """A latent of ±1 moves the pre-activations of a layer as much as the layer's own weights do, within a factor 4."""
    inr = LatentSiren(**{**SHAPE, "hidden_features": 64, "latent_dim": 64, "rank": 32}, modulation=modulation)
    base = inr.base_layout.split(inr.init_base(Stream("init", "test", 0)))
    latent = np.sign(np.random.default_rng(0).normal(size=64))
    assert not base["bias_1"].any()
    if modulation == "shift":
        assert 0.5 < np.std(base["shift_1"] @ latent) < 2
    else:
        change = (base["left_1"] * (base["gain_1"] @ latent)) @ base["right_1"]
        assert 0.25 < np.std(change) / np.std(base["weight_1"]) < 4


def test_an_inr_without_its_base_says_what_to_do():
    unnamed, unseen = LatentSiren(**SHAPE), LatentSiren(**SHAPE, base="0" * 64)
    for inr, said in ((unnamed, "--base RUN"), (unseen, "000000000000… of these INRs was not read")):
        with pytest.raises(InrzooError, match=said) as caught:
            inr(torch.zeros(5), torch.zeros(1, 2))
        assert "\n" not in str(caught.value)
    with pytest.raises(InrzooError, match="base = 'abc' is not allowed"):
        LatentSiren(**SHAPE, base="abc")


@pytest.mark.parametrize(
    "fields", [{"latent_dim": 0}, {"rank": 0}, {"omega_0": 0.0}, {"modulation": "low_rank", "hidden_layers": 0}]
)
def test_impossible_fields_are_refused(fields):
    with pytest.raises(InrzooError, match=r"is not allowed; it must be"):
        LatentSiren(**{**SHAPE, **fields})


def test_a_base_is_named_by_its_bytes():
    numbers = np.arange(4, dtype=np.float32)
    name = bases.remember(numbers)
    numbers[0] = 7.0  # what the caller does later changes nothing
    assert bases.remember(np.arange(4, dtype=np.float32)) == name and bases.find(name)[0] == 0.0
    assert bases.remember(numbers) != name


def test_an_inr_brings_its_base_into_another_process(tmp_path):
    inr, (latents, coords) = with_base(LatentSiren(**SHAPE)), cases()
    (tmp_path / "inr.pickle").write_bytes(pickle.dumps((inr, latents.numpy(), coords.numpy())))
    code = "import pickle, sys; inr, z, x = pickle.load(open(sys.argv[1], 'rb')); print(inr(z, x).sum())"
    run = [sys.executable, "-c", code, tmp_path / "inr.pickle"]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert float(printed) == pytest.approx(float(inr(latents, coords).sum()))


def test_a_bound_inr_follows_its_parameter_even_when_both_are_copied():
    parameter = nn.Parameter(torch.zeros(LatentSiren(**SHAPE).base_layout.num_params, dtype=torch.float64))
    bound, copied = copy.deepcopy((LatentSiren(**SHAPE).bound_to(parameter), parameter))
    latents, coords = cases()
    assert bound.base_weights is copied and copied is not parameter
    with torch.no_grad():
        copied[-1] = 1.0
    before = bound(latents, coords)
    with torch.no_grad():
        copied.copy_(torch.randn(len(copied), generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    assert (bound(latents, coords) != before).any()
    bound(latents, coords).sum().backward()
    assert copied.grad is not None and parameter.grad is None
