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

    def hidden(self, i, hidden):
        return torch.sin(self.omega_0 * self.linears[i](hidden))

    def forward(self, hidden):
        for i in range(len(self.linears) - 1):
            hidden = self.hidden(i, hidden)
        return self.linears[-1](hidden)


class BiasOutside(SineNetwork):
    """Eq. 3 of the contrastive paper: sin(Ω₀ W h + b)."""

    def hidden(self, i, hidden):
        return torch.sin(self.omega_0 * hidden @ self.linears[i].weight.T + self.linears[i].bias)


class DwsNetwork(SineNetwork):
    """DWSNets adds 0.5 to the output."""

    def forward(self, hidden):
        return super().forward(hidden) + 0.5


class MwtNetwork(SineNetwork):
    """MWT multiplies by ω in its first layer only."""

    def hidden(self, i, hidden):
        linear = self.linears[i](hidden)
        return torch.sin(self.omega_0 * linear) if i == 0 else torch.sin(linear)


class MwtBiasOutside(BiasOutside):
    """Both: ω in the first layer only, and not on the bias."""

    def hidden(self, i, hidden):
        return super().hidden(i, hidden) if i == 0 else torch.sin(self.linears[i](hidden))


class DwsBiasOutside(BiasOutside, DwsNetwork):
    """Both: the offset, and ω not on the bias."""


CONVENTIONS = [
    (SineNetwork, {}),
    (BiasOutside, {"bias_inside": False}),
    (DwsNetwork, {"convention": "dws", "output_offset": 0.5}),
    (DwsBiasOutside, {"convention": "dws", "output_offset": 0.5, "bias_inside": False}),
    (MwtNetwork, {"convention": "mwt"}),
    (MwtBiasOutside, {"convention": "mwt", "bias_inside": False}),
]


@pytest.mark.parametrize("sizes", [[2, 32, 32, 1], [1, 8, 3], [3, 16, 16, 16, 16, 2]])
@pytest.mark.parametrize("omega_0", [30.0, 7.5])
@pytest.mark.parametrize("module, fields", CONVENTIONS)
def test_agrees_with_a_plain_module(sizes, omega_0, module, fields):
    torch.manual_seed(0)
    network = module(sizes, omega_0).double()
    siren = Siren(
        in_features=sizes[0],
        out_features=sizes[-1],
        hidden_features=sizes[1],
        hidden_layers=len(sizes) - 3,
        omega_0=omega_0,
        **fields,
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


@pytest.mark.parametrize(
    "convention, w0, b0, w1, b1, w2, b2",
    [
        # Sec. 3.2 and the authors' code: first ±1/in, then ±√(6/in)/ω₀, biases ±1/√in as nn.Linear.
        ("sitzmann", 1 / 2, 1 / 2**0.5, np.sqrt(6 / 32) / 30, 1 / 32**0.5, np.sqrt(6 / 32) / 30, 1 / 32**0.5),
        # DWSNets nn/inr.py: the first layer as a hidden one (±0.0577), no biases, output as nn.Linear.
        ("dws", np.sqrt(6 / 2) / 30, 0, np.sqrt(6 / 32) / 30, 0, 1 / 32**0.5, 1 / 32**0.5),
        # MWT: no ω in the hidden bound, no biases, a tenth of nn.Linear at the output.
        ("mwt", 1 / 2, 0, np.sqrt(6 / 32), 0, 0.1 / 32**0.5, 0.1 / 32**0.5),
    ],
)
def test_initial_distribution_is_the_authors(convention, w0, b0, w1, b1, w2, b2):
    """All uniform around 0; the std of a uniform is bound/√3."""
    bounds = {"weight_0": w0, "bias_0": b0, "weight_1": w1, "bias_1": b1, "weight_2": w2, "bias_2": b2}
    siren = Siren(in_features=2, out_features=3, convention=convention)
    fresh_NP = np.stack([siren.init(Stream("init", "test", 0, str(i))) for i in range(6000)]).astype(np.float64)
    tensors = siren.layout.split(fresh_NP)
    assert tensors.keys() == bounds.keys()
    for name, bound in bounds.items():
        assert tensors[name].std() == pytest.approx(bound / np.sqrt(3), rel=0.01), name
        assert 0.999 * bound <= np.abs(tensors[name]).max() <= bound * (1 + 1e-7), name
        assert abs(tensors[name].mean()) <= 4 * bound / np.sqrt(3 * tensors[name].size), name


@pytest.mark.parametrize("convention", ["sitzmann", "dws", "mwt"])
def test_fresh_functions_do_not_depend_on_where_the_bias_stands(convention):
    """b outside is ω · b inside: drawn from one stream, both are the same function."""
    inside, outside = (
        Siren(in_features=2, out_features=3, hidden_layers=2, convention=convention, bias_inside=bias_inside)
        for bias_inside in (True, False)
    )
    weights = [torch.from_numpy(siren.init(Stream("init", "test", 0))) for siren in (inside, outside)]
    coords = torch.rand(50, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(outside(weights[1], coords), inside(weights[0], coords), rtol=0, atol=1e-5)
    biases = [siren.layout.split(one)["bias_0"] for siren, one in zip((inside, outside), weights, strict=True)]
    torch.testing.assert_close(biases[1], 30 * biases[0])


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
        ("convention", "orig"),
        ("output_offset", float("nan")),
        ("in_features", 0),
        ("out_features", 0),
    ],
)
def test_impossible_fields(field, value):
    with pytest.raises(InrzooError, match=f"{field} = .* is not allowed; it must be"):
        Siren(**{"in_features": 2, "out_features": 1, field: value})
