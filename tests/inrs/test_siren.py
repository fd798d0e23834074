"""SIREN: the authors' function and the authors' initial distribution.

Shape letters: N fresh INRs, K coordinates.
"""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import Siren
from inrzoo.seeding import Stream


class SineNetwork(nn.Module):
    """As vsitzmann/siren has it: sin(ω₀ · linear) at every layer but the last; `nn.Linear` holds weight, then bias."""

    def __init__(self, sizes: list[int], omega_0: float = 30.0):
        super().__init__()
        self.omega_0 = omega_0
        self.linears = nn.ModuleList([nn.Linear(*pair) for pair in pairwise(sizes)])

    def forward(self, hidden):
        for linear in self.linears[:-1]:
            hidden = torch.sin(self.omega_0 * linear(hidden))
        return self.linears[-1](hidden)


@pytest.mark.parametrize("sizes", [[2, 32, 32, 1], [1, 8, 3], [3, 16, 16, 16, 16, 2]])
@pytest.mark.parametrize("omega_0", [30.0, 7.5])
def test_agrees_with_a_plain_module(sizes, omega_0):
    torch.manual_seed(0)
    network = SineNetwork(sizes, omega_0).double()
    siren = Siren(
        in_features=sizes[0],
        out_features=sizes[-1],
        hidden_features=sizes[1],
        hidden_layers=len(sizes) - 3,
        omega_0=omega_0,
    )
    weights = nn.utils.parameters_to_vector(network.parameters())  # the module's own order of parameters is ours
    coords = torch.rand(50, sizes[0], dtype=torch.float64) * 2 - 1
    torch.testing.assert_close(siren(weights, coords), network(coords))


@pytest.mark.parametrize("hidden_features, hidden_layers, num_params", [(32, 1, 1185), (64, 3, 12737)])
def test_parameter_counts_of_the_papers(hidden_features, hidden_layers, num_params):
    siren = Siren(in_features=2, out_features=1, hidden_features=hidden_features, hidden_layers=hidden_layers)
    assert siren.layout.num_params == num_params


def test_layout_is_that_of_the_state_dict():
    layout = Siren(in_features=2, out_features=3, hidden_features=32, hidden_layers=1).layout
    assert [(tensor.name, tensor.shape, tensor.axes) for tensor in layout.tensors] == [
        ("weight_0", (32, 2), ("hidden_0", "in")),
        ("bias_0", (32,), ("hidden_0",)),
        ("weight_1", (32, 32), ("hidden_1", "hidden_0")),
        ("bias_1", (32,), ("hidden_1",)),
        ("weight_2", (3, 32), ("out", "hidden_1")),
        ("bias_2", (3,), ("out",)),
    ]


def test_initial_distribution_is_the_authors():
    """Sec. 3.2 and the code: uniform, first ±1/in, then ±√(6/in)/ω₀, biases ±1/√in; std of a uniform is bound/√3."""
    bounds = {
        "weight_0": 1 / 2,
        "bias_0": 1 / np.sqrt(2),
        "weight_1": np.sqrt(6 / 32) / 30,
        "bias_1": 1 / np.sqrt(32),
        "weight_2": np.sqrt(6 / 32) / 30,
        "bias_2": 1 / np.sqrt(32),
    }
    siren = Siren(in_features=2, out_features=3)
    fresh_NP = np.stack([siren.init(Stream("init", "test", 0, str(i))) for i in range(6000)]).astype(np.float64)
    tensors = siren.layout.split(fresh_NP)
    assert tensors.keys() == bounds.keys()
    for name, bound in bounds.items():
        assert tensors[name].std() == pytest.approx(bound / np.sqrt(3), rel=0.01), name
        assert 0.999 * bound < np.abs(tensors[name]).max() <= bound * (1 + 1e-7), name
        assert abs(tensors[name].mean()) < 4 * bound / np.sqrt(3 * tensors[name].size), name


def test_hidden_bounds_shrink_with_omega_0():
    """Drawn from one stream, ω₀ scales the hidden weights and nothing else."""
    slow, fast = (Siren(in_features=2, out_features=1, omega_0=omega_0) for omega_0 in (10.0, 30.0))
    at_10, at_30 = (siren.layout.split(siren.init(Stream("init", "test", 0))) for siren in (slow, fast))
    for name in at_10:
        factor = 3 if name in ("weight_1", "weight_2") else 1
        np.testing.assert_allclose(at_10[name], factor * at_30[name], rtol=1e-6)


@pytest.mark.parametrize(
    "field, value",
    [
        ("hidden_features", 0),
        ("hidden_layers", -1),
        ("omega_0", 0.0),
        ("omega_0", float("nan")),
        ("in_features", 0),
        ("out_features", 0),
    ],
)
def test_impossible_fields(field, value):
    with pytest.raises(InrzooError, match=f"{field} = .* is not allowed; it must be"):
        Siren(**{"in_features": 2, "out_features": 1, field: value})
