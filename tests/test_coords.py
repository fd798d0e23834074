"""Grids: where the points lie, and in which order."""

import numpy as np
import pytest

from inrzoo.coords import grid


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
