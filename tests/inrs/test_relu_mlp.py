"""ReLU MLP: its function, its encodings and its initial distribution.

Shape letters: N INRs, K coordinates, D in_features, M encoding frequencies.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.seeding import Stream

N = 6
ENCODINGS = {
    "none": {},
    "positional": {"encoding": "positional", "num_frequencies": 5},
    "log_spaced": {"encoding": "log_spaced", "num_frequencies": 7, "sigma": 12.0},
    "fourier": {"encoding": "fourier", "num_frequencies": 12, "sigma": 3.0},
}
every_encoding = pytest.mark.parametrize("encoding", ENCODINGS)


def make(encoding: str = "none", **fields) -> ReluMlp:
    fields = {"in_features": 2, "out_features": 3, "hidden_features": 16, **ENCODINGS[encoding], **fields}
    return ReluMlp(**fields)


def starts(mlp: ReluMlp, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.from_numpy(np.stack([mlp.init(Stream("init", "test", 0, str(i))) for i in range(N)])).to(dtype)


def random_points(count: int = 1000, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.rand(count, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 2 - 1).to(dtype)


def encode(encoding: str, mlp: ReluMlp, x: torch.Tensor) -> torch.Tensor:
    """The papers' formulas, one feature at a time."""
    if encoding == "none":
        return x
    angles = []
    for axis in range(x.shape[-1]) if encoding != "fourier" else ():
        for k in range(mlp.num_frequencies):
            step = k / (mlp.num_frequencies - 1)
            angles.append(math.pi * (2**k if encoding == "positional" else mlp.sigma**step) * x[:, axis])
    if encoding == "fourier":
        gaussian = Stream("encoding", "relu_mlp", mlp.encoding_seed).normal(mlp.num_frequencies * x.shape[-1])
        rows = mlp.sigma * gaussian.reshape(mlp.num_frequencies, x.shape[-1])
        angles = [2 * math.pi * sum(b * x[:, axis] for axis, b in enumerate(row)) for row in rows]
    return torch.stack([torch.cos(angle) for angle in angles] + [torch.sin(angle) for angle in angles], dim=-1)


@every_encoding
@pytest.mark.parametrize("hidden_layers", [0, 1, 3])
def test_agrees_with_a_plain_module(encoding, hidden_layers):
    mlp = make(encoding, hidden_layers=hidden_layers)
    coords = random_points(50, torch.float64)
    features = encode(encoding, mlp, coords)
    sizes = [features.shape[-1], *[16] * (hidden_layers + 1), 3]
    torch.manual_seed(0)
    layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())][:-1]
    network = nn.Sequential(*layers).double()
    weights = nn.utils.parameters_to_vector(network.parameters())
    torch.testing.assert_close(mlp(weights, coords), network(features))


def test_parameter_count_of_table_7():
    """2×64×64×64×1."""
    mlp = ReluMlp(in_features=2, out_features=1)
    assert mlp.layout.num_params == (2 * 64 + 64) + 2 * (64 * 64 + 64) + (64 + 1)
    assert [tensor.shape for tensor in mlp.layout.tensors][::2] == [(64, 2), (64, 64), (64, 64), (1, 64)]


@pytest.mark.parametrize("encoding, size", [("none", 2), ("positional", 20), ("log_spaced", 28), ("fourier", 24)])
def test_the_input_axis_runs_over_the_features_and_is_no_neuron_axis(encoding, size):
    layout = make(encoding).layout
    assert layout.axes["in"] == size
    assert list(layout.neuron_axes) == ["hidden_0", "hidden_1", "hidden_2"]


@every_encoding
def test_initial_distribution_is_torchs(encoding):
    """U(±1/√in), weights and biases."""
    mlp = make(encoding)
    fresh_NP = np.stack([mlp.init(Stream("init", "test", 0, str(i))) for i in range(3000)]).astype(np.float64)
    for name, tensor in mlp.layout.split(fresh_NP).items():
        bound = 1 / np.sqrt(mlp.layout.axes["in"] if name in ("weight_0", "bias_0") else 16)
        assert tensor.std() == pytest.approx(bound / np.sqrt(3), rel=0.01), name
        assert 0.999 * bound < np.abs(tensor).max() <= bound * (1 + 1e-7), name


def test_gaussian_frequencies_have_the_spread_asked_for_and_belong_to_the_family():
    mlp = make("fourier", num_frequencies=20000, sigma=4.0)
    cycles = mlp.frequencies / (2 * np.pi)
    assert cycles.shape == (20000, 2)
    assert cycles.std() == pytest.approx(4.0, rel=0.02)
    assert abs(cycles.mean()) < 0.1
    assert abs(np.corrcoef(cycles.T)[0, 1]) < 0.03
    again = make("fourier", num_frequencies=20000, sigma=4.0, hidden_features=3)
    assert np.array_equal(again.frequencies, mlp.frequencies)
    assert not np.isclose(make("fourier", encoding_seed=1).frequencies, make("fourier").frequencies).any()


def test_frequencies_of_each_axis():
    octaves = np.array([1, 2, 4, 8, 16]) * np.pi
    none = np.zeros(5)
    expected = np.stack([np.append(octaves, none), np.append(none, octaves)], axis=-1)
    np.testing.assert_allclose(make("positional").frequencies, expected)
    log_spaced = make("log_spaced", num_frequencies=5, sigma=16.0)  # from 1 to 16 in five steps: the same octaves
    np.testing.assert_allclose(log_spaced.frequencies, expected)


@every_encoding
def test_coordinates_shared_and_repeated_give_the_same(encoding):
    """A shared grid is encoded once; values and gradients do not show it."""
    mlp = make(encoding)
    weights = starts(mlp, torch.float64)
    shared = random_points(40, torch.float64).requires_grad_()
    repeated = shared.detach().repeat(N, 1, 1).requires_grad_()
    torch.testing.assert_close(mlp(weights, shared), mlp(weights, repeated))
    mlp(weights, shared).square().sum().backward()
    mlp(weights, repeated).square().sum().backward()
    torch.testing.assert_close(shared.grad, repeated.grad.sum(0))


@every_encoding
def test_coordinates_of_their_own_are_encoded_for_each_inr(encoding):
    mlp = make(encoding)
    weights, coords = starts(mlp, torch.float64), random_points(N * 20, torch.float64).reshape(N, 20, 2)
    alone = torch.stack([mlp(one, where) for one, where in zip(weights, coords, strict=True)])
    torch.testing.assert_close(mlp(weights, coords), alone)


@every_encoding
def test_gradients_equal_finite_differences(encoding):
    mlp = make(encoding, hidden_features=3, hidden_layers=1)
    weights, coords = starts(mlp, torch.float64)[:2].requires_grad_(), random_points(3, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(mlp, (weights, coords))


@pytest.mark.parametrize(
    "field, value",
    [
        ("hidden_features", 0),
        ("hidden_layers", -1),
        ("encoding", "nerf"),
        ("num_frequencies", 0),
        ("sigma", 0.0),
        ("sigma", float("inf")),
        ("in_features", 0),
    ],
)
def test_impossible_fields(field, value):
    with pytest.raises(InrzooError, match=f"{field} = .* is not allowed; it must be"):
        ReluMlp(**{"in_features": 2, "out_features": 1, field: value})


def test_equal_frequencies_are_refused():
    with pytest.raises(InrzooError, match=r"sigma = 1\.0 is not allowed; it must be above 1"):
        make("log_spaced", sigma=1.0)


def test_an_unknown_encoding_in_a_manifest_names_those_that_exist():
    spec = {"name": "relu_mlp", "encoding": "nerf"}
    with pytest.raises(InrzooError, match="'none', 'positional', 'log_spaced', 'fourier'"):
        registry.make("inrs", spec, in_features=2, out_features=1)
