"""The out-of-band share: signals whose spectrum is known have the share that they must have.

Shape letters: B batch of signals, K coordinates of the finer grid, C channels.
"""

import numpy as np
import pytest
import torch

from inrzoo.coords import grid, nyquist
from inrzoo.fit.spectrum import out_of_band, spectrum

SIZES, FINER = (28, 28), 4
BIN = 2 * np.pi / (112 * 2 / 111)
"""Radians per coordinate unit between two bins of the finer end-point grid: 112 points, 2/111 apart."""


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small products split over busy cores take a hundred times longer."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def waves(*lines, sizes=SIZES, spacing="end_points", finer=FINER):
    """One signal per (row frequency, column frequency, amplitude), in radians per coordinate unit. Shape (B, K, 1)."""
    coords_KD = torch.from_numpy(grid(sizes, spacing, finer=finer)).double()
    frequencies = torch.tensor([line[:-1] for line in lines], dtype=torch.float64)
    amplitudes_B = torch.tensor([line[-1] for line in lines], dtype=torch.float64)
    return (amplitudes_B[:, None] * torch.sin(frequencies @ coords_KD.T + 0.3))[:, :, None]


@pytest.mark.parametrize("spacing", ["end_points", "pixel_centres"])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_wave_belongs_to_the_side_it_is_on(spacing, axis):
    side = nyquist(SIZES, spacing)[axis]
    for distance, share in [(-3 * np.pi, 0.0), (3 * np.pi, 1.0)]:
        line = [0.0, 0.0]
        line[axis] = side + distance
        measured = out_of_band(waves((*line, 1.0), spacing=spacing), SIZES, spacing, FINER)
        assert abs(float(measured[0]) - share) < 5e-3


def test_the_box_is_that_of_each_axis():
    """20 rows, 40 columns: 45 rad per unit is beyond what the rows resolve (29.8), well inside what the columns do."""
    along_rows, along_columns = out_of_band(
        waves((45.0, 0.0, 1.0), (0.0, 45.0, 1.0), sizes=(20, 40)), (20, 40), finer=FINER
    )
    assert float(along_rows) > 0.999
    assert float(along_columns) < 1e-3


def test_inside_is_a_box_and_not_a_disc():
    """Both components below Nyquist (42.4), the vector longer than it."""
    assert float(out_of_band(waves((34.0, 34.0, 1.0)), SIZES)[0]) < 1e-3


def test_end_points_and_pixel_centres_have_boxes_of_their_own():
    """14 of 28 cycles are the last bin inside for pixel centres, and outside for end points (27 gaps: 13.6 bins)."""
    coords = torch.arange(112, dtype=torch.float64)
    wave = torch.sin(2 * np.pi * 14 * coords / 112 + 0.3)[None, :, None]
    # The periodic Hann window makes three lines, 1/2, 1, 1/2 high, of a wave at the centre of bin 14.
    assert float(out_of_band(wave, (28,), "pixel_centres")[0]) == pytest.approx((1 / 4) / (1 + 2 / 4), abs=1e-9)
    assert float(out_of_band(wave, (28,), "end_points")[0]) == pytest.approx((1 + 1 / 4) / (1 + 2 / 4), abs=1e-9)


@pytest.mark.parametrize("finer", [3, 4, 5, 7])
def test_the_side_belongs_to_the_box(finer):
    """For every size, however the two numbers round."""
    for size in range(4, 80, 2):
        points = torch.arange(size * finer, dtype=torch.float64)
        wave = torch.sin(2 * np.pi * points / (2 * finer) + 0.3)[None, :, None]
        assert float(out_of_band(wave, (size,), "pixel_centres", finer)[0]) == pytest.approx(1 / 6, abs=1e-9)


@pytest.mark.parametrize("low, high", [(1.0, 0.1), (1.0, 1.0), (0.2, 1.0)])
def test_a_mixture_is_split_by_energy(low, high):
    mixed = waves((5 * BIN, 0.0, low)) + waves((0.0, 30 * BIN, high)) + 7.0
    assert float(out_of_band(mixed, SIZES)[0]) == pytest.approx(high**2 / (low**2 + high**2), abs=1e-6)


def test_channels_count_by_their_energy():
    low, high = waves((5 * BIN, 0.0, 2.0)), waves((30 * BIN, 0.0, 1.0))
    assert float(out_of_band(torch.cat([low, high, low], dim=-1), SIZES)[0]) == pytest.approx(1 / 9, abs=1e-6)


@pytest.mark.parametrize("sizes, finer", [((1600,), 4), ((64, 64), 2), ((64, 64), 4), ((16, 16, 16), 2)])
def test_white_noise_fills_all_frequencies_evenly(sizes, finer):
    """About 1 − 1/finer^D; exactly, n + 1 of the n·finer bins of an axis are inside, −n/2 … n/2."""
    noise = torch.randn(8, int(np.prod(sizes)) * finer ** len(sizes), 1, generator=torch.Generator().manual_seed(0))
    expected = 1 - np.prod([(size + 1) / (size * finer) for size in sizes])
    assert float(out_of_band(noise, sizes, "pixel_centres", finer).mean()) == pytest.approx(expected, abs=0.01)
    assert expected == pytest.approx(1 - 1 / finer ** len(sizes), abs=0.03)


def test_the_level_of_a_signal_does_not_matter():
    values = waves((11.0, 50.0, 1.0)) + 0.5 * waves((20.0, 5.0, 1.0))
    torch.testing.assert_close(out_of_band(1000 + 3 * values, SIZES), out_of_band(values, SIZES), rtol=1e-9, atol=0)


def test_a_ramp_is_not_aliased():
    """Opposite edges differ by two; without a window their jump would count."""
    ramp = torch.from_numpy(grid(SIZES, finer=FINER))[None, :, :1]
    assert float(out_of_band(ramp, SIZES)[0]) < 1e-6


def test_a_constant_has_no_energy_anywhere():
    constants = torch.tensor([0.0, 0.1, -1e6])[:, None, None].expand(3, 112 * 112, 1)
    assert out_of_band(constants, SIZES).tolist() == [0.0, 0.0, 0.0]
    assert (spectrum(constants, SIZES) == 0).all()


def test_what_is_not_finite_is_not_called_clean():
    values = waves((5.0, 0.0, 1.0), (5.0, 0.0, 1.0))
    values[0, 17] = torch.nan
    broken, whole = out_of_band(values, SIZES)
    assert broken.isnan() and whole < 1e-3


def test_signals_do_not_matter_to_each_other():
    values = waves((11.0, 50.0, 1.0), (20.0, 5.0, 1.0), (0.0, 43.0, 1.0))
    torch.testing.assert_close(out_of_band(values[1:2], SIZES), out_of_band(values, SIZES)[1:2], rtol=1e-12, atol=0)


def test_energy_is_that_of_the_windowed_signal():
    """Parseval: the spectrum's mean is the windowed signal's sum of squares."""
    values = waves((5 * BIN, 7 * BIN, 1.0))
    hann = torch.hann_window(112, periodic=True, dtype=torch.float64)
    windowed = values[0, :, 0].reshape(112, 112) * hann[:, None] * hann[None, :]
    energy = spectrum(values, SIZES)
    assert energy.shape == (1, 112, 112)
    assert float(energy.mean()) == pytest.approx(float(windowed.square().sum()), rel=1e-9)


def test_the_zero_frequency_is_empty():
    """Of a blob in the middle, where the window is high: its mean under the window is not its plain mean."""
    coords = torch.from_numpy(grid(SIZES, finer=FINER)).double()
    energy = spectrum(torch.exp(-20 * coords.square().sum(dim=1))[None, :, None], SIZES)
    assert float(energy[0, 0, 0] / energy.sum()) < 1e-25


@pytest.mark.parametrize("shape, sizes", [((2, 100, 1), (28, 28)), ((784, 1), (28, 28)), ((1, 2, 1), (2,))])
def test_values_of_another_grid_are_refused(shape, sizes):
    with pytest.raises(ValueError, match="on a grid of"):
        out_of_band(torch.zeros(shape), sizes, finer=1)
