"""Grids: where the points lie, and in which order."""

import numpy as np
import pytest

from inrzoo.coords import grid, nyquist


def test_end_points_are_minus_one_and_one():
    axis = grid((5,))
    assert axis.dtype == np.float32
    assert axis.tolist() == [[-1.0], [-0.5], [0.0], [0.5], [1.0]]


def test_pixel_centres_are_the_middles_of_equal_cells():
    assert grid((4,), "pixel_centres").tolist() == [[-0.75], [-0.25], [0.25], [0.75]]


@pytest.mark.parametrize("spacing, step", [("end_points", 2 / 27), ("pixel_centres", 2 / 28)])
def test_spacing_of_28_points(spacing, step):
    axis = grid((28,), spacing)[:, 0].astype(np.float64)
    assert np.allclose(np.diff(axis), step, atol=1e-6)
    assert np.allclose(axis, -axis[::-1], atol=1e-7)


def test_images_are_row_major_and_row_comes_first():
    assert grid((2, 3)).tolist() == [[-1, -1], [-1, 0], [-1, 1], [1, -1], [1, 0], [1, 1]]


def test_x_y_names_the_column_first_at_the_same_points():
    assert grid((2, 3), axis_order="x_y").tolist() == [[-1, -1], [0, -1], [1, -1], [-1, 1], [0, 1], [1, 1]]


def test_three_dimensions():
    coords = grid((2, 3, 4)).reshape(2, 3, 4, 3)
    for dimension in range(3):
        along = np.moveaxis(coords[..., dimension], dimension, -1)
        size = coords.shape[dimension]
        assert np.allclose(along, np.linspace(-1, 1, size))  # and constant along the other two
    assert np.array_equal(grid((2, 3, 4), axis_order="x_y"), grid((2, 3, 4))[:, ::-1])


def test_an_axis_of_one_point_sits_in_the_middle():
    for spacing in ("end_points", "pixel_centres"):
        assert grid((1, 2), spacing)[:, 0].tolist() == [0, 0]


@pytest.mark.parametrize("finer", [2, 3])
def test_finer_end_points_keep_the_extent(finer):
    coords = grid((4, 5), finer=finer)
    assert np.array_equal(coords, grid((4 * finer, 5 * finer)))
    assert (coords.min(), coords.max()) == (-1, 1)


@pytest.mark.parametrize("finer", [2, 3])
def test_finer_pixel_centres_divide_each_cell(finer):
    fine = grid((6,), "pixel_centres", finer=finer).astype(np.float64)
    assert np.allclose(fine.reshape(6, finer).mean(axis=1), grid((6,), "pixel_centres")[:, 0], atol=1e-7)


@pytest.mark.parametrize("spacing, rows, columns", [("end_points", 42.41, 48.69), ("pixel_centres", 43.98, 50.27)])
def test_nyquist_of_28_rows_and_32_columns(spacing, rows, columns):
    """In the order of the coordinates."""
    assert np.allclose(nyquist((28, 32), spacing), [rows, columns], atol=0.005)
    assert np.allclose(nyquist((28, 32), spacing, "x_y"), [columns, rows], atol=0.005)


@pytest.mark.parametrize("spacing", ["end_points", "pixel_centres"])
def test_nyquist_is_the_highest_frequency_a_grid_can_tell(spacing):
    """There a wave changes sign from point to point; d above it looks like d below it."""
    points = grid((7,), spacing)[:, 0].astype(np.float64)
    (highest,) = nyquist((7,), spacing)
    along = points - points[0]
    assert np.allclose(np.cos(highest * along), [1, -1, 1, -1, 1, -1, 1], atol=1e-5)
    assert np.allclose(np.cos((highest + 2.3) * along), np.cos((highest - 2.3) * along), atol=1e-5)
    assert not np.allclose(np.cos((highest - 2.3) * along), np.cos((highest - 2.5) * along), atol=1e-2)


def test_nyquist_of_one_point():
    assert nyquist((1, 3)).tolist() == [0, np.pi]


def test_nyquist_of_an_impossible_grid_is_refused():
    with pytest.raises(ValueError, match="grid"):
        nyquist((3, 0))


@pytest.mark.parametrize(
    "arguments",
    [
        {"sizes": ()},
        {"sizes": (3, 0)},
        {"sizes": (3,), "finer": 0},
        {"sizes": (3,), "spacing": "corners"},
        {"sizes": (3,), "axis_order": "col_row"},
    ],
)
def test_impossible_grids_are_refused(arguments):
    with pytest.raises(ValueError, match="grid"):
        grid(**arguments)
