"""GaborNet: the function and the start of Fathony et al. 2021.

Shape letters: N fresh INRs.
"""

import numpy as np
import pytest
import torch
from scipy import stats

from inrzoo.errors import InrzooError
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.seeding import Stream


def by_the_paper(net: GaborNet, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """f(x) at one point, filter by filter and unit by unit, numbers counted from 1 as in the paper."""
    part = net.layout.split(weights)

    def g(i: int, j: int) -> float:
        omega, phi, mu, gamma = (part[f"{name}_{i - 1}"][j] for name in ("omega", "phi", "mu", "gamma"))
        distance_squared = sum((x[c] - mu[c]) ** 2 for c in range(net.in_features))
        return np.exp(-gamma / 2 * distance_squared) * np.sin(omega @ x + phi)

    hidden, last = range(net.hidden_features), net.num_filters
    z = [g(1, j) for j in hidden]
    for i in range(1, last):
        weight, bias = part[f"weight_{i - 1}"], part[f"bias_{i - 1}"]
        z = [(sum(weight[j, k] * z[k] for k in hidden) + bias[j]) * g(i + 1, j) for j in hidden]
    weight, bias = part[f"weight_{last - 1}"], part[f"bias_{last - 1}"]
    return np.array([sum(weight[c, k] * z[k] for k in hidden) + bias[c] for c in range(net.out_features)])


@pytest.mark.parametrize("in_features, num_filters, out_features", [(2, 3, 1), (1, 1, 3), (3, 4, 2)])
def test_agrees_with_the_equations(in_features, num_filters, out_features):
    """γ of both signs: it is used as it is."""
    net = GaborNet(in_features=in_features, out_features=out_features, num_filters=num_filters, hidden_features=5)
    rng = np.random.default_rng(0)
    weights, coords = rng.normal(size=(3, net.layout.num_params)), rng.uniform(-1, 1, (7, in_features))
    assert (net.layout.split(weights)["gamma_0"] < 0).any()
    expected = np.array([[by_the_paper(net, one, x) for x in coords] for one in weights])
    np.testing.assert_allclose(net(torch.from_numpy(weights), torch.from_numpy(coords)), expected, rtol=1e-9, atol=1e-9)


def test_envelope_is_one_at_its_centre_and_falls_to_nothing():
    """One unit whose sine is 1 everywhere: the envelope itself, in float32, sharp enough to fall within a pixel."""
    net = GaborNet(in_features=2, out_features=1, num_filters=1, hidden_features=1)
    parts = {"omega_0": [[0, 0]], "phi_0": [np.pi / 2], "mu_0": [[0.75, -0.5]], "gamma_0": [1000]}
    parts |= {"weight_0": [[1]], "bias_0": [0]}
    weights = net.layout.join({name: torch.tensor(part, dtype=torch.float32) for name, part in parts.items()})
    coords = torch.tensor([[0.75, -0.5], [0.75, -0.45], [0.65, -0.5], [-0.75, 0.5]])
    expected = torch.exp(torch.tensor([0.0, -1.25, -5.0, -1625.0]))[:, None]
    torch.testing.assert_close(net(weights, coords), expected, rtol=0, atol=2e-4)


def test_layout_follows_the_recursion():
    layout = GaborNet(in_features=2, out_features=3, num_filters=2, hidden_features=8).layout
    assert [(tensor.name, tensor.shape, tensor.axes) for tensor in layout.tensors] == [
        ("omega_0", (8, 2), ("filter_0", "in")),
        ("phi_0", (8,), ("filter_0",)),
        ("mu_0", (8, 2), ("filter_0", "in")),
        ("gamma_0", (8,), ("filter_0",)),
        ("weight_0", (8, 8), ("filter_1", "filter_0")),
        ("bias_0", (8,), ("filter_1",)),
        ("omega_1", (8, 2), ("filter_1", "in")),
        ("phi_1", (8,), ("filter_1",)),
        ("mu_1", (8, 2), ("filter_1", "in")),
        ("gamma_1", (8,), ("filter_1",)),
        ("weight_1", (3, 8), ("out", "filter_1")),
        ("bias_1", (3,), ("out",)),
    ]


def test_parameter_count():
    """μ and γ come on top of the FourierNet's 705."""
    assert GaborNet(in_features=2, out_features=1).layout.num_params == 705 + 3 * 16 * (2 + 1)


def fresh(net: GaborNet, count: int = 5000) -> dict[str, np.ndarray]:
    fresh_NP = np.stack([net.init(Stream("init", "test", 0, str(i))) for i in range(count)])
    return net.layout.split(fresh_NP.astype(np.float64))


@pytest.mark.parametrize("num_filters, alpha, beta", [(3, 6.0, 1.0), pytest.param(4, 1.0, 2.5, marks=pytest.mark.slow)])
def test_envelopes_start_as_the_authors(num_filters, alpha, beta):
    """γ ~ Gamma(alpha/F, rate beta), μ ~ U(-1, 1): docs/derivations/filter_networks.md#initialisation."""
    tensors = fresh(GaborNet(in_features=2, out_features=1, num_filters=num_filters, alpha=alpha, beta=beta))
    for i in range(num_filters):
        gamma, mu = tensors[f"gamma_{i}"].ravel(), tensors[f"mu_{i}"].ravel()
        assert stats.kstest(gamma, stats.gamma(alpha / num_filters, scale=1 / beta).cdf).pvalue > 1e-3
        assert stats.kstest(mu, stats.uniform(-1, 2).cdf).pvalue > 1e-3


def test_frequencies_start_in_step_with_the_width_of_their_envelope():
    """ω_j ~ U(±input_scale/√(F·D)) √γ_j (docs/derivations/filter_networks.md#initialisation); over √γ_j, free of γ."""
    tensors = fresh(GaborNet(in_features=2, out_features=1, input_scale=8.0))
    bound = 8 / np.sqrt(3 * 2)
    for i in range(3):
        root = np.sqrt(tensors[f"gamma_{i}"])[..., None]
        assert (np.abs(tensors[f"omega_{i}"]) <= bound * root * (1 + 1e-6)).all()
        plain = tensors[f"omega_{i}"] / root
        assert stats.kstest(plain.ravel(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3
        assert abs(np.corrcoef(np.abs(plain[..., 0]).ravel(), root.ravel())[0, 1]) < 0.015
        assert stats.kstest(tensors[f"phi_{i}"].ravel(), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


def test_centres_of_the_spectra_start_below_nyquist():
    net = GaborNet(in_features=2, out_features=1, filter_init="nyquist_fraction", nyquist=42.41, nyquist_fraction=0.9)
    tensors = fresh(net)
    bound = 0.9 * 42.41 / 3
    for i in range(3):
        assert 0.999 * bound < np.abs(tensors[f"omega_{i}"]).max() <= bound * (1 + 1e-6)
        assert stats.kstest(tensors[f"omega_{i}"].ravel(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3


def test_filter_frequencies_are_the_omegas():
    net = GaborNet(in_features=2, out_features=1)
    weights = torch.randn(4, net.layout.num_params)
    for i, omega in enumerate(net.filter_frequencies(weights)):
        assert torch.equal(omega, net.layout.split(weights)[f"omega_{i}"])


@pytest.mark.parametrize("fields", [{"alpha": 0.0}, {"beta": -1.0}, {"alpha": float("inf")}, {"num_filters": 0}])
def test_impossible_fields(fields):
    field = next(iter(fields))
    with pytest.raises(InrzooError, match=f"^{field} = [^\n]* is not allowed; it must be [^\n]*$"):
        GaborNet(**{"in_features": 2, "out_features": 1, **fields})
