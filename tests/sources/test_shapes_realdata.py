"""Real meshes and voxels, where a machine has them."""

import zipfile

import numpy as np
import pytest
from small_datasets import write_zip

pytest.importorskip("trimesh", reason="the extra shapes is not installed")
import trimesh

from inrzoo.sources._meshes import inside, triangles
from inrzoo.sources.mesh_folder import MeshFolder
from inrzoo.sources.voxel_surfaces import VoxelSurfaces
from inrzoo.sources.voxels import Voxels

pytestmark = pytest.mark.realdata


def winding_number(triangles_F33: np.ndarray, points_K3: np.ndarray) -> np.ndarray:
    """Sum of the solid angles of all triangles over 4π, van Oosterom & Strackee 1983."""
    a, b, c = (triangles_F33[None, :, corner] - points_K3[:, None] for corner in range(3))
    lengths = [np.linalg.norm(edge, axis=2) for edge in (a, b, c)]
    dots = [np.einsum("kfi,kfi->kf", *edges) for edges in ((b, c), (a, c), (a, b))]
    volume = np.einsum("kfi,kfi->kf", a, np.cross(b, c))
    rest = np.prod(lengths, axis=0) + sum(dot * length for dot, length in zip(dots, lengths, strict=True))
    return np.arctan2(volume, rest).sum(axis=1) / (2 * np.pi)


def test_75_of_207_pieces_of_furniture_are_watertight(data):
    signals = MeshFolder(quantity="sdf", skip_open=True).read(data / "furniture3d")
    assert len(signals) == 75 and len(signals.skipped) == 132 and set(signals.split) == {0, 2}
    names = [*signals.ids, *signals.skipped]
    assert len(set(names)) == 207 and len({name.split("/")[0] for name in names}) == 16


def test_distances_and_insides_of_furniture_are_those_of_slow_formulas(data, tmp_path):
    """A table of overlapping boards, a cabinet with faces of both directions, a window with thin panes."""
    with zipfile.ZipFile(data / "furniture3d" / "furniture3d.zip") as archive:
        chosen = ("table_0011.off", "cabinet_0007.off", "window_0014.off")
        files = {name: archive.read(name) for name in archive.namelist() if name.endswith(chosen)}
    source = MeshFolder(quantity="sdf", num_points=300, num_held_out=1, clip=4.0, dtype="float32")
    signals = source.read(write_zip(tmp_path / "three.zip", files))
    for index, table in signals.tables(range(3)):
        shape = source.load(files[f"furniture3d/{signals.ids[index]}"], ".off")
        corners = triangles(shape.geometry)
        points = table["points"].astype(np.float64)
        winding = winding_number(corners, points)
        np.testing.assert_allclose(winding, np.round(winding), atol=1e-6)
        np.testing.assert_array_equal(inside(shape.geometry, points), np.round(winding) != 0)
        solid = corners[shape.geometry.area_faces > 1e-12]
        every = [
            np.linalg.norm(
                trimesh.triangles.closest_point(solid, np.tile(point, (len(solid), 1))) - point, axis=1
            ).min()
            for point in points
        ]
        np.testing.assert_allclose(np.abs(table["signals"][:, 0]), every, atol=1e-6)
        np.testing.assert_array_equal(table["signals"][:, 0] < 0, np.round(winding) != 0)
        assert 0.1 < (np.round(winding) != 0).mean() < 0.6


def test_voxels_of_modelnet(data):
    signals = Voxels(num_validation=129, num_test=258).read(data / "modelnet10_voxels")
    assert len(signals) == 1290 and signals.grid == (32, 32, 32)
    assert signals.label_names == {"class": ["chair", "monitor"]}
    assert np.bincount(signals.labels["class"]).tolist() == [839, 451]
    assert np.bincount(signals.split).tolist() == [903, 129, 258]
    some = signals.array(range(0, 1290, 100))
    assert set(np.unique(some)) == {0, 255} and 0.01 < (some == 255).mean() < 0.3


def test_surfaces_of_modelnets_voxels(data):
    """The nearest middle of a square of the same surface is at most half a diagonal farther than the surface."""
    counts, path = {"num_validation": 129, "num_test": 258}, data / "modelnet10_voxels"
    source = VoxelSurfaces(**counts, num_points=500, num_held_out=100, clip=4.0, dtype="float32")
    signals = source.read(path)
    np.testing.assert_array_equal(signals.split, Voxels(**counts).read(path).split)
    grids = Voxels().read(path)
    for index, table in signals.tables([0, 500, 1289]):
        ((_, occupied),) = grids.values([index])
        middles = source.shape(occupied).geometry.middle_F3
        points = table["points"].astype(np.float64)
        farther = np.linalg.norm(points[:, None] - middles, axis=2).min(axis=1) - table["signals"][:, 0]
        assert farther.min() > -1e-6 and farther.max() <= signals.numbers["scale"][index] * 2**-0.5 + 1e-6
