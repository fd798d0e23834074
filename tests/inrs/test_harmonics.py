"""Filters that begin at harmonics: which frequencies they are, and what networks of them can be.

Shape letters: K coordinates, H units, D coordinate dimensions.
"""

from collections import Counter

import numpy as np
import pytest
import torch

from inrzoo.inrs._harmonics import complete_up_to, harmonics
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.seeding import Stream


@pytest.mark.parametrize("units, num_axes", [(1, 1), (2, 1), (9, 1), (64, 1), (64, 2), (30, 3), (4, 3)])
def test_units_are_orthonormal_waves_of_a_period(units, num_axes):
    """1, √2 sin and √2 cos of distinct ±k over a period; a unit too many or of both k and −k would not be."""
    multiples, phases = harmonics(units, num_axes)
    assert multiples.shape == (units, num_axes) and phases.shape == (units,)
    axis = np.arange(2 * int(abs(multiples).max()) + 2) * 2 * np.pi / (2 * int(abs(multiples).max()) + 2)
    x_KD = np.stack(np.meshgrid(*[axis] * num_axes, indexing="ij"), axis=-1).reshape(-1, num_axes)
    waves_KH = np.sin(x_KD @ multiples.T + phases)
    scale_H = np.where(multiples.any(axis=1), np.sqrt(2), 1)
    gram = (waves_KH * scale_H).T @ (waves_KH * scale_H) / len(x_KD)
    np.testing.assert_allclose(gram, np.eye(units), atol=1e-9)


@pytest.mark.parametrize(
    "units, num_axes, largest", [(1, 1, 0), (2, 1, 0), (3, 1, 1), (64, 1, 31), (64, 2, 3), (27, 3, 1)]
)
def test_complete_up_to(units, num_axes, largest):
    """Sine and cosine of all k of entries up to K are there, and not of all up to K + 1."""
    found = Counter(tuple(k) for k in harmonics(units, num_axes)[0])
    assert complete_up_to(units, num_axes) == largest
    for bound in (largest, largest + 1):
        entries = np.ndindex(*(2 * bound + 1,) * num_axes)
        wanted = [tuple(np.array(k, dtype=float) - bound) for k in entries if tuple(k) != (bound,) * num_axes]
        complete = all(found[k] + found[tuple(-np.array(k))] == 2 for k in wanted)
        assert complete == (bound == largest)


@pytest.mark.parametrize("in_features", [1, 2])
@pytest.mark.parametrize("divisions, base", [(None, 8), (5, 5)])
@pytest.mark.parametrize("family", [FourierNet, GaborNet])
def test_filters_are_digits_of_a_frequency(family, in_features, divisions, base):
    """β_i = π B^(F−1−i), the same in all starts; W and b are drawn. docs/derivations/filter_networks.md#harmonics."""
    hidden = 8 if in_features == 1 else 64
    net = family(
        in_features=in_features,
        out_features=1,
        hidden_features=hidden,
        num_filters=3,
        filter_init="harmonics",
        divisions=divisions,
        extent=4.0,
    )
    first, second = (net.layout.split(net.init(Stream("init", "test", 0, str(i)))) for i in range(2))
    multiples, phases = harmonics(hidden, in_features)
    for i in range(3):
        np.testing.assert_allclose(first[f"omega_{i}"], np.pi / 4 * base ** (2 - i) * multiples, rtol=1e-6)
        np.testing.assert_allclose(first[f"phi_{i}"], phases, rtol=1e-6)
        assert (first[f"omega_{i}"] == second[f"omega_{i}"]).all()
        assert (first[f"weight_{i}"] != second[f"weight_{i}"]).any()


def test_two_filters_make_every_trigonometric_polynomial():
    """With B = 2K + 1 all multiples of π up to K B + K; of other starts of as many units no combination comes near."""
    fields = {"in_features": 1, "out_features": 1, "hidden_features": 7, "num_filters": 2}
    x = torch.linspace(-1, 1, 401, dtype=torch.float64)[:-1, None]
    harmonic = FourierNet(filter_init="harmonics", divisions=7, **fields)
    random = FourierNet(filter_init="nyquist_fraction", nyquist=np.pi * 48, **fields)

    def products(net):
        weights = torch.from_numpy(net.init(Stream("init", "test", 0)).astype(np.float64))
        first, second = net.filters(net.layout.split(weights[None]), x[None])
        return (first[0, :, :, None] * second[0, :, None, :]).flatten(1)

    degree = 3 * 7 + 3
    waves = torch.cat([torch.cos(np.pi * k * x + phase) for k in range(degree + 1) for phase in (0.0, 1.0)], dim=1)
    signal = waves @ torch.randn(waves.shape[1], 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def left_over(net):
        basis = products(net)
        return float(
            (basis @ torch.linalg.lstsq(basis, signal, driver="gelsd").solution - signal).norm() / signal.norm()
        )

    assert left_over(harmonic) < 1e-5  # frequencies of a start are float32
    assert left_over(random) > 0.05


def test_row_of_a_pattern_is_one_part_of_the_signal():
    """Rows that are Fourier series, windows that interpolate: what a row says is heard in its part alone."""
    parts = 7
    net = FourierNet(
        in_features=1, out_features=1, hidden_features=7, num_filters=2, filter_init="harmonics", divisions=parts
    )
    tensors = net.layout.split(torch.from_numpy(net.init(Stream("init", "test", 0)).astype(np.float64)))
    centres = (torch.arange(parts, dtype=torch.float64) + 0.5) * 2 / parts - 1
    windows = torch.sin(centres[:, None] * tensors["omega_1"][:, 0] + tensors["phi_1"])  # (parts, H)
    patterns = torch.randn(parts, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tensors |= {
        "weight_0": torch.linalg.inv(windows) @ patterns,
        "weight_1": torch.ones(1, 7, dtype=torch.float64),
        "bias_0": torch.zeros(7, dtype=torch.float64),
        "bias_1": torch.zeros(1, dtype=torch.float64),
    }
    heard = net(net.layout.join(tensors)[None], centres[:, None])[0, :, 0]
    series = torch.sin(centres[:, None] * tensors["omega_0"][:, 0] + tensors["phi_0"])
    torch.testing.assert_close(heard, (series * patterns).sum(1), rtol=1e-9, atol=1e-9)
    assert float((series - series[:1]).abs().max()) < 1e-5  # the same in every part, up to float32 of the start
