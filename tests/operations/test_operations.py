"""Operations on signals: each against a slow reference or a closed form, and what all of them promise."""

import numpy as np
import pytest

from inrzoo import registry
from inrzoo.errors import InrzooError

GRIDS = {1: (11,), 2: (6, 5), 3: (4, 5, 3)}
OPERATIONS = registry.names("operations")


def make(name, sizes=(6, 5), **fields):
    return registry.make("operations", {"name": name, **fields}, sizes=sizes)


def signals(sizes=(6, 5), channels=2, seed=0):
    return np.random.default_rng(seed).random((3, *sizes, channels), dtype=np.float32)


def of_windows(values, size, reduce):
    """Reduce the part of a window inside the grid, point by point, of images (B, rows, cols, C)."""
    _, rows, cols, _ = values.shape
    reach, result = size // 2, np.empty_like(values)
    for row in range(rows):
        for col in range(cols):
            window = values[:, max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1]
            result[:, row, col] = reduce(window, axis=(1, 2))
    return result


@pytest.mark.parametrize("axes", GRIDS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_keeps_shape_input_and_range_and_edits_each_channel_of_each_signal_alone(name, axes):
    sizes = GRIDS[axes]
    if name == "rotation" and axes != 2:
        with pytest.raises(InrzooError, match=f"rotation takes images; the signals have a grid of {axes} axes"):
            make(name, sizes)
        return
    values = signals(sizes)
    before = values.copy()
    edited = make(name, sizes)(values)
    assert np.array_equal(values, before)
    assert edited.shape == values.shape and edited.dtype == np.float32 and not np.array_equal(edited, values)
    assert edited.min() >= 0 and edited.max() <= 1
    alone = make(name, sizes)(values[1:2, ..., 1:])
    np.testing.assert_allclose(edited[1:2, ..., 1:], alone, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_dilation_and_erosion_are_the_extremes_of_what_the_window_covers_of_the_grid(size):
    values = signals()
    assert np.array_equal(make("dilation", size=size)(values), of_windows(values, size, np.max))
    assert np.array_equal(make("erosion", size=size)(values), of_windows(values, size, np.min))


def test_denoising_is_the_median_with_repeated_edges_and_removes_an_outlier():
    values = signals()
    for size in (3, 5):
        padded = np.pad(values, ((0, 0), *[(size // 2, size // 2)] * 2, (0, 0)), mode="edge")
        expected = of_windows(padded, size, np.median)[:, size // 2 : -(size // 2), size // 2 : -(size // 2)]
        np.testing.assert_allclose(make("denoising", size=size)(values), expected, atol=1e-7)
    spotted = np.full((1, 6, 5, 1), 0.25, dtype=np.float32)
    spotted[0, 2, 3] = 1
    assert (make("denoising")(spotted) == 0.25).all()


def test_contrast_moves_values_away_from_the_middle_and_clips():
    values = np.array([0.0, 0.4, 0.5, 0.6, 0.9], dtype=np.float32).reshape(1, 5, 1, 1)
    np.testing.assert_allclose(make("contrast", gain=2.0)(values).ravel(), [0, 0.3, 0.5, 0.7, 1], atol=1e-6)
    np.testing.assert_allclose(make("contrast", gain=1.0)(values), values)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotation_by_right_angles_is_counter_clockwise_and_exact(turns):
    values = signals((6, 6))
    turned = make("rotation", sizes=(6, 6), degrees=90.0 * turns)(values)
    np.testing.assert_allclose(turned, np.rot90(values, turns, axes=(1, 2)), atol=1e-5)


@pytest.mark.parametrize(
    "name, fields, message",
    [
        ("dilation", {"size": 2}, "size = 2 is not allowed; it must be odd and at least 1"),
        ("erosion", {"size": -1}, "size = -1 is not allowed; it must be odd and at least 1"),
        ("denoising", {"size": 4}, "size = 4 is not allowed; it must be odd and at least 1"),
        ("contrast", {"gain": 0.0}, "gain = 0.0 is not allowed; it must be above 0"),
        ("contrast", {"middle": 1.5}, "middle = 1.5 is not allowed; it must be from 0 to 1"),
        ("rotation", {"degrees": float("inf")}, "degrees = inf is not allowed; it must be finite"),
    ],
)
def test_an_impossible_field_is_one_line(name, fields, message):
    with pytest.raises(InrzooError) as error:
        make(name, **fields)
    assert str(error.value) == message
