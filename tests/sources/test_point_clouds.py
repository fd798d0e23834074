"""Clouds of points in class folders: distances to the nearest point, damage."""

import io

import numpy as np
import pytest
from small_datasets import write_folder

pytest.importorskip("trimesh", reason="the extra shapes is not installed")
from small_shapes import box, saved

from inrzoo.errors import InrzooError
from inrzoo.sources.point_clouds import PointClouds

FEW = {"num_points": 600, "num_held_out": 200}
CLOUD = np.array([[0, 0, 0], [2, 0, 0], [2, 2, 2], [0, 2, 2], [1, 0, 2]], np.float32)
SCALED = (CLOUD - 1) * 0.9


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", npy(CLOUD)),
        ("a.npy", npy(np.hstack([CLOUD, CLOUD * 9]).astype(np.float64))),
        ("a.NPZ", npz(points=CLOUD, normals=CLOUD)),
        ("a.npz", npz(points=CLOUD.astype(np.int32))),
    ],
)
def test_distances_are_those_of_the_nearest_point(tmp_path, name, content):
    path = write_folder(tmp_path, {f"thing/{name}": content})
    signals = PointClouds(**FEW, clip=4.0, dtype="float32").read(path)
    assert signals.numbers.keys() == {"scale", "centre_x", "centre_y", "centre_z"}
    ((_, table),) = signals.tables([0])
    for prefix in ("", "held_out_"):
        points = table[f"{prefix}points"].astype(np.float64)
        nearest = np.linalg.norm(points[:, None] - SCALED, axis=2).min(axis=1)
        np.testing.assert_allclose(table[f"{prefix}signals"][:, 0], nearest, atol=1e-6)
    near = table["signals"][:300, 0]
    assert 0.5 < near.mean() / (1.6 * 0.03) < 1.2  # the mean length of N(0, σ) in space is 1.6 σ


def test_the_points_of_a_ply_file_are_its_vertices(tmp_path):
    signals = PointClouds(**FEW, clip=4.0).read(write_folder(tmp_path, {"thing/box.ply": saved(box(), "ply")}))
    ((_, table),) = signals.tables([0])
    corners = 0.9 * np.array(box().vertices) / 2
    nearest = np.linalg.norm(table["points"].astype(np.float64)[:, None] - corners, axis=2).min(axis=1)
    np.testing.assert_allclose(table["signals"][:, 0], nearest, atol=1e-3)


def test_distances_end_at_clip(tmp_path):
    signals = PointClouds(**FEW).read(write_folder(tmp_path, {"thing/a.npy": npy(CLOUD)}))
    assert 0.099 < float(signals.array([0]).max()) <= 0.1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("b.npy", b"", "is neither .npy nor .npz"),
        ("b.npy", npy(CLOUD)[:-1], "declares 60 bytes of numbers and holds 59"),
        ("b.npy", npy(CLOUD.astype(object)), "holds Python objects"),
        ("b.npy", npy(CLOUD[:, :2]), r"has an array of shape \(5, 2\)"),
        ("b.npy", npy(CLOUD[:3]), "has 3 points; a shape has at least 4"),
        ("b.npy", npy(CLOUD * np.nan), "coordinates that are not numbers"),
        ("b.npy", npy(CLOUD * 1e30), "the maximum is 1e"),
        ("b.npy", npy(CLOUD * 0 + 3), "has no size"),
        ("b.npz", npz(cloud=CLOUD), "has no array points; it has: cloud"),
        ("b.ply", b"ply", "cannot be read as PLY"),
    ],
)
def test_a_damaged_file_is_one_line_or_left_out(tmp_path, name, content, said):
    path = write_folder(tmp_path, {"thing/a.npy": npy(CLOUD), f"thing/{name}": content})
    with pytest.raises(InrzooError, match=said) as caught:
        PointClouds(**FEW).read(path)
    assert f"thing/{name} " in str(caught.value) and "\n" not in str(caught.value)
    signals = PointClouds(**FEW, skip_unreadable=True).read(path)
    assert signals.ids == ["thing/a.npy"] and list(signals.skipped) == [f"thing/{name}"]
