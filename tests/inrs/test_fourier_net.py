"""FourierNet: the function, the start and the spectrum of Fathony et al. 2021.

Shape letters: N fresh INRs, F filters, D coordinate dimensions.
"""

import numpy as np
import pytest
import torch

from inrzoo.errors import InrzooError
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.seeding import Stream


def by_the_paper(net: FourierNet, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """f(x) at one point, filter by filter and unit by unit, numbers counted from 1 as in the paper."""
    part = net.layout.split(weights)

    def g(i: int, j: int) -> float:
        omega, phi = part[f"omega_{i - 1}"][j], part[f"phi_{i - 1}"][j]
        return np.sin(sum(omega[c] * x[c] for c in range(net.in_features)) + phi)

    hidden, last = range(net.hidden_features), net.num_filters
    z = [g(1, j) for j in hidden]
    for i in range(1, last):
        weight, bias = part[f"weight_{i - 1}"], part[f"bias_{i - 1}"]
        z = [(sum(weight[j, k] * z[k] for k in hidden) + bias[j]) * g(i + 1, j) for j in hidden]
    weight, bias = part[f"weight_{last - 1}"], part[f"bias_{last - 1}"]
    return np.array([sum(weight[c, k] * z[k] for k in hidden) + bias[c] for c in range(net.out_features)])


@pytest.mark.parametrize("in_features, num_filters, out_features", [(2, 3, 1), (1, 1, 3), (3, 4, 2)])
def test_agrees_with_the_equations(in_features, num_filters, out_features):
    net = FourierNet(
        in_features=in_features, out_features=out_features, num_filters=num_filters, hidden_features=5, input_scale=20.0
    )
    rng = np.random.default_rng(0)
    weights, coords = rng.normal(size=(3, net.layout.num_params)), rng.uniform(-1, 1, (7, in_features))
    expected = np.array([[by_the_paper(net, one, x) for x in coords] for one in weights])
    np.testing.assert_allclose(net(torch.from_numpy(weights), torch.from_numpy(coords)), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("out_features, num_params", [(1, 705), (3, 739)])
def test_parameter_counts_of_the_contrastive_paper(out_features, num_params):
    assert FourierNet(in_features=2, out_features=out_features).layout.num_params == num_params


def test_layout_follows_the_recursion():
    layout = FourierNet(in_features=2, out_features=3, num_filters=2, hidden_features=8).layout
    assert [(tensor.name, tensor.shape, tensor.axes) for tensor in layout.tensors] == [
        ("omega_0", (8, 2), ("filter_0", "in")),
        ("phi_0", (8,), ("filter_0",)),
        ("weight_0", (8, 8), ("filter_1", "filter_0")),
        ("bias_0", (8,), ("filter_1",)),
        ("omega_1", (8, 2), ("filter_1", "in")),
        ("phi_1", (8,), ("filter_1",)),
        ("weight_1", (3, 8), ("out", "filter_1")),
        ("bias_1", (3,), ("out",)),
    ]


@pytest.mark.parametrize(
    "fields, omega_bound",
    [
        ({}, 3.03 / np.sqrt(3 * 2)),  # 1.237
        pytest.param({"input_scale": 3.46}, 3.46 / np.sqrt(3 * 2), marks=pytest.mark.slow),
        pytest.param({"filter_init": "nyquist_fraction", "nyquist": 42.41}, 42.41 / 3, marks=pytest.mark.slow),
        ({"filter_init": "nyquist_fraction", "nyquist": 42.41, "nyquist_fraction": 0.5}, 42.41 / 6),
    ],
)
def test_initial_distribution(fields, omega_bound):
    """docs/derivations/filter_networks.md#initialisation; std of a uniform is bound/√3. 20,000 INRs: 1 % is 8 sigma."""
    bounds = {f"{name}_{i}": 1 / 4 for i in range(3) for name in ("weight", "bias")}
    bounds |= {"weight_0": np.sqrt(2 / 16), "weight_1": np.sqrt(2 / 16)}
    bounds |= {f"omega_{i}": omega_bound for i in range(3)} | {f"phi_{i}": np.pi for i in range(3)}
    net = FourierNet(in_features=2, out_features=1, weight_scale=2.0, **fields)
    fresh_NP = np.stack([net.init(Stream("init", "test", 0, str(i))) for i in range(20_000)])
    tensors = net.layout.split(fresh_NP.astype(np.float64))
    assert tensors.keys() == bounds.keys()
    for name, bound in bounds.items():
        assert tensors[name].std() == pytest.approx(bound / np.sqrt(3), rel=0.015), name
        assert 0.999 * bound < np.abs(tensors[name]).max() <= bound * (1 + 1e-7), name
        assert abs(tensors[name].mean()) < 4 * bound / np.sqrt(3 * tensors[name].size), name


@pytest.mark.parametrize("num_filters", [1, 3, 6])
def test_starts_below_the_fraction_of_nyquist(num_filters):
    """Whatever the number of filters, Σ_i max_j |ω_i| is below and, with many units, near the bound of every axis."""
    fields = {"filter_init": "nyquist_fraction", "nyquist": 48.69, "nyquist_fraction": 0.8, "hidden_features": 64}
    net = FourierNet(in_features=2, out_features=1, num_filters=num_filters, **fields)
    weights = torch.from_numpy(net.init(Stream("init", "test", 0)))
    highest_D = sum(omega.abs().amax(dim=-2) for omega in net.filter_frequencies(weights))
    limit = 0.8 * 48.69
    assert (highest_D <= limit * (1 + 1e-6)).all()
    assert (highest_D > 0.9 * limit).all()


def test_filter_frequencies_are_the_omegas():
    net = FourierNet(in_features=2, out_features=1)
    weights = torch.randn(4, 5, net.layout.num_params)
    tensors = net.layout.split(weights)
    frequencies = net.filter_frequencies(weights)
    assert len(frequencies) == 3
    for i, omega in enumerate(frequencies):
        assert omega.shape == (4, 5, 16, 2)
        assert torch.equal(omega, tensors[f"omega_{i}"])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("num_filters", [1, 2, 3])
def test_spectrum_ends_at_the_sum_of_the_highest_frequencies(seed, num_filters):
    """Whole frequencies on one period, so that the FFT has no leakage; highest line = bound.

    See docs/derivations/filter_networks.md#frequency-bound.
    """
    net = FourierNet(in_features=2, out_features=1, num_filters=num_filters, hidden_features=6)
    generator = torch.Generator().manual_seed(seed)
    tensors = net.layout.split(torch.randn(net.layout.num_params, generator=generator, dtype=torch.float64))
    for i in range(num_filters):
        tensors[f"omega_{i}"] = torch.randint(-9, 10, (6, 2), generator=generator).double()
    weights = net.layout.join(tensors)
    axis = torch.arange(64, dtype=torch.float64) * (2 * np.pi / 64)
    coords = torch.cartesian_prod(axis, axis)
    power = np.abs(np.fft.fft2(net(weights, coords).reshape(64, 64).numpy())) / 64**2
    frequencies = np.abs(np.fft.fftfreq(64, 1 / 64))
    bound_D = sum(omega.abs().amax(dim=-2) for omega in net.filter_frequencies(weights)).tolist()
    rows, columns = np.nonzero(power > 1e-10)
    assert bound_D == [frequencies[rows].max(), frequencies[columns].max()]
    assert max(bound_D) <= 9 * num_filters < 32  # nothing can hide behind the FFT's own limit


@pytest.mark.parametrize(
    "fields",
    [
        {"hidden_features": 0},
        {"num_filters": 0},
        {"filter_init": "siren"},
        {"input_scale": 0.0},
        {"weight_scale": -1.0},
        {"nyquist_fraction": float("nan")},
        {"nyquist": 0.0},
        {"nyquist": -42.4, "filter_init": "nyquist_fraction"},
        {"nyquist": None, "filter_init": "nyquist_fraction"},
        {"divisions": 0, "filter_init": "harmonics"},
        {"extent": 0.0, "filter_init": "harmonics"},
        {"in_features": 0},
        {"out_features": 0},
    ],
)
def test_impossible_fields(fields):
    field = next(iter(fields))
    with pytest.raises(InrzooError, match=f"^{field} = [^\n]* is not allowed; it must be [^\n]*$"):
        FourierNet(**{"in_features": 2, "out_features": 1, **fields})
