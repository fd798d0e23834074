"""MSE and PSNR against their closed forms."""

import math

import pytest
import torch

from inrzoo.fit.metrics import mse, mse_at, psnr

UNIT, SIGNED = (0.0, 1.0), (-1.0, 1.0)


def test_mse_is_the_mean_over_coordinates_and_channels():
    targets_BKC = torch.zeros(2, 3, 4)
    values_BKC = torch.zeros(2, 3, 4)
    values_BKC[1, 2, 3] = 6.0
    assert mse(values_BKC, targets_BKC).tolist() == [0.0, 36 / 12]
    assert mse(targets_BKC, values_BKC).tolist() == [0.0, 36 / 12]


@pytest.mark.parametrize(
    "loss, value_range, decibel",
    [
        (1.0, UNIT, 0.0),
        (0.01, UNIT, 20.0),
        (1e-4, UNIT, 40.0),
        (4.0, SIGNED, 0.0),
        (4e-4, SIGNED, 40.0),
        (1.0, (0.0, 255.0), 48.130803609),
        (9.0, (-2.0, 1.0), 0.0),
    ],
)
def test_psnr_closed_forms(loss, value_range, decibel):
    assert float(psnr(torch.tensor(loss), value_range)) == pytest.approx(decibel, abs=1e-4)
    assert mse_at(decibel, value_range) == pytest.approx(loss, rel=1e-6)


def test_a_perfect_fit_is_infinite():
    assert float(psnr(torch.tensor(0.0), UNIT)) == math.inf


def test_psnr_and_mse_at_invert_each_other():
    for decibel in (-5.0, 0.0, 12.34, 40.0, 80.0):
        for value_range in (UNIT, SIGNED, (3.0, 10.0)):
            loss = torch.tensor(mse_at(decibel, value_range), dtype=torch.float64)
            assert float(psnr(loss, value_range)) == pytest.approx(decibel, abs=1e-9)


@pytest.mark.parametrize("low, high", [(-1.0, 1.0), (0.0, 255.0), (5.0, 5.5)])
def test_psnr_does_not_depend_on_the_scale_of_values(low, high):
    generator = torch.Generator().manual_seed(0)
    targets = torch.rand(4, 50, 3, generator=generator, dtype=torch.float64)
    values = targets + 0.1 * torch.randn(4, 50, 3, generator=generator, dtype=torch.float64)
    on_unit = psnr(mse(values, targets), UNIT)
    scaled = psnr(mse(low + (high - low) * values, low + (high - low) * targets), (low, high))
    torch.testing.assert_close(scaled, on_unit)


def test_values_are_not_clamped():
    targets = torch.ones(1, 10, 1)
    assert float(psnr(mse(targets + 0.1, targets), UNIT)) == pytest.approx(20.0, abs=1e-4)


def test_psnr_keeps_the_shape():
    assert psnr(torch.ones(3, 2), UNIT).shape == (3, 2)
