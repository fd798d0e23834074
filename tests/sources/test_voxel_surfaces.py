"""Surfaces of voxels: which squares they are, distances, what is left out."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the extra shapes is not installed")
from inrzoo.errors import InrzooError
from inrzoo.seeding import Stream
from inrzoo.sources.voxel_surfaces import VoxelSurfaces
from inrzoo.sources.voxels import Voxels

FEW = {"num_points": 300, "num_held_out": 200}
FAR = {"clip": 4.0, "dtype": "float32"}
OCCUPIED = np.random.default_rng(0).integers(0, 2, (12, 3, 4, 5), dtype=np.uint8)


def written(path, voxels):
    np.savez(path / "v.npz", voxels=voxels, labels=np.arange(len(voxels)) % 2)
    return path / "v.npz"


def to_boxes(points_K3, boxes):
    """Distance of each point to the nearest of some closed boxes (low, high)."""
    beyond = [np.maximum(np.maximum(low - points_K3, points_K3 - high), 0) for low, high in boxes]
    return np.min([np.linalg.norm(each, axis=1) for each in beyond], axis=0)


def test_distances_are_those_to_the_nearest_voxel_of_the_other_kind(tmp_path):
    """The surface bounds what is occupied, so a point outside is as far from it as from the nearest occupied voxel, and
    a point inside as far as from the nearest empty one."""
    signals = VoxelSurfaces(**FEW, **FAR).read(written(tmp_path, OCCUPIED))
    for index, table in signals.tables([0, 7]):
        scale, centre = (
            signals.numbers["scale"][index],
            [signals.numbers[f"centre_{axis}"][index] for axis in "xyz"],
        )
        padded = np.pad(OCCUPIED[index] != 0, 3)  # as far as the cube reaches
        for prefix in ("", "held_out_"):
            points = table[f"{prefix}points"].astype(np.float64) / scale + centre
            assert (points > -3).all() and (points < np.array(OCCUPIED.shape[1:]) + 3).all()
            boxes = {kind: [(at - 3, at - 2) for at in np.argwhere(padded == kind)] for kind in (True, False)}
            expected = np.maximum(*(to_boxes(points, boxes[kind]) for kind in (True, False)))
            np.testing.assert_allclose(table[f"{prefix}signals"][:, 0], expected * scale, atol=1e-6)


def test_a_distance_needs_no_more_than_the_faces_near_the_point(tmp_path, monkeypatch):
    """Whatever number of faces is tried first."""
    path = written(tmp_path, OCCUPIED)
    exact = VoxelSurfaces(**FEW, **FAR).read(path).array([3])
    for count in (2, 1000):
        monkeypatch.setattr("inrzoo.sources.voxel_surfaces.CANDIDATES", count)
        np.testing.assert_array_equal(VoxelSurfaces(**FEW, **FAR).read(path).array([3]), exact)


def test_a_shape_fills_its_share_of_the_cube_and_distances_end_at_clip(tmp_path):
    one = np.zeros((4, 6, 6, 6), np.uint8)
    one[:, 1:3, 2, 2:5] = 1  # a board of 2 × 1 × 3 voxels
    signals = VoxelSurfaces(**FEW, fill=0.6).read(written(tmp_path, one))
    assert signals.numbers["scale"].tolist() == pytest.approx([0.4] * 4)
    assert [signals.numbers[f"centre_{axis}"][0] for axis in "xyz"] == [2.0, 2.5, 3.5]
    ((_, table),) = signals.tables([0])
    assert 0.099 < float(table["signals"].max()) <= 0.1
    near = table["points"][:150].astype(np.float64)
    beyond = np.abs(near) - np.array([0.4, 0.2, 0.6])
    assert np.abs(beyond.max(axis=1)).max() < 0.3 and (np.abs(beyond).min(axis=1) < 0.01).mean() > 0.2


def test_points_on_the_surface_are_drawn_evenly_over_its_squares(tmp_path):
    source = VoxelSurfaces(**FEW)
    board = np.zeros((3, 3, 3, 1), np.uint8)
    board[:, :, 1] = 255
    shape = source.shape(board)
    points = source.on_surface(shape, Stream("test", "", 0), 6000)
    sides = np.abs(points) - 0.9 * np.array([1, 1, 1 / 3])
    assert np.abs(sides.max(axis=1)).max() < 1e-12
    on = np.bincount(np.argmax(sides, axis=1), minlength=3) / 6000
    assert on == pytest.approx([6 / 30, 6 / 30, 18 / 30], abs=0.03)


def test_split_and_classes_are_those_of_the_voxels(tmp_path):
    path, counts = written(tmp_path, OCCUPIED), {"num_validation": 2, "num_test": 4}
    grids, surfaces = Voxels(**counts).read(path), VoxelSurfaces(**FEW, **counts).read(path)
    assert surfaces.ids == grids.ids and surfaces.checksums == grids.checksums
    np.testing.assert_array_equal(surfaces.split, grids.split)
    np.testing.assert_array_equal(surfaces.labels["class"], grids.labels["class"])


def test_empty_grids_are_an_error_or_left_out(tmp_path):
    some = OCCUPIED.copy()
    some[[2, 5]] = 0
    path = written(tmp_path, some)
    with pytest.raises(InrzooError, match="000002 has no occupied voxel; 2 of 12 grids are empty"):
        VoxelSurfaces(**FEW).read(path)
    signals = VoxelSurfaces(**FEW, skip_unreadable=True).read(path)
    full = VoxelSurfaces(**FEW).read(written(tmp_path, OCCUPIED))
    rows = [row for row in range(12) if row not in (2, 5)]
    assert [*signals.skipped] == ["000002", "000005"] and signals.ids == [full.ids[row] for row in rows]
    np.testing.assert_array_equal(signals.array([2, 9]), full.array([3, 11]))
    np.testing.assert_array_equal(signals.numbers["centre_x"], full.numbers["centre_x"][rows])
