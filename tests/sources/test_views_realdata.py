"""A real scene with cameras and real meshes, where a machine has them."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from inrzoo.sources.posed_views import PosedViews

pytestmark = pytest.mark.realdata


@pytest.fixture
def archive(data):
    return data / "nerf_synthetic" / "nerf_synthetic_chair_200.zip"


def test_the_chair_has_100_views_to_fit_and_50_held_out(archive):
    signals = PosedViews(size=100, box=1.2).read(archive)
    assert signals.ids == ["chair"] and signals.grid == (100, 100, 100)
    ((_, table),) = signals.tables([0])
    assert table["poses"].shape == (100, 3, 4) and table["held_out_poses"].shape == (50, 3, 4)
    np.testing.assert_allclose(np.linalg.norm(table["poses"][:, :, 3], axis=1), 4.0311 / 1.2, rtol=1e-4)
    np.testing.assert_allclose(table["intrinsics"], [138.8889, 138.8889, 50, 50], rtol=1e-5)
    # Straight alpha: rgb · a + 255 · (1 - a) of four pixels of the file, by hand.
    with zipfile.ZipFile(archive) as files:
        scene = "nerf_synthetic/chair"
        last = json.loads(files.read(f"{scene}/transforms_test.json"))["frames"][-1]["file_path"]
        names = [f"{scene}/train/r_0.png", f"{scene}/{last.removeprefix('./')}.png"]
        pictures = [np.asarray(Image.open(io.BytesIO(files.read(name)))) / 255 for name in names]
    views = table["signals"].reshape(100, 100, 100, 3)[0], table["held_out_signals"].reshape(50, 100, 100, 3)[-1]
    for picture, view in zip(pictures, views, strict=True):
        over = picture[..., :3] * picture[..., 3:] + 1 - picture[..., 3:]
        mean = 255 * over.reshape(100, 2, 100, 2, 3).mean(axis=(1, 3))
        assert np.abs(view - mean).max() <= 0.5 + 1e-9
        edge = (picture[..., 3] > 0.2) & (picture[..., 3] < 0.8)
        assert (picture[..., :3].max(axis=-1) > picture[..., 3])[edge].mean() > 0.5, "the colours are not multiplied"
    assert views[0][0, 0].tolist() == [255, 255, 255]
    assert views[0][56, 50].tolist() == [201, 185, 144], "the chair's back"


def test_the_chair_is_where_its_cameras_look(archive):
    """Points of space that every view shows as background are empty: the rest fills a chair's share of the cube."""
    signals = PosedViews(size=50, box=1.2).read(archive)
    ((_, table),) = signals.tables([0])
    axis = np.linspace(-1, 1, 24)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    full = np.ones(len(points), dtype=bool)
    fx, fy, cx, cy = table["intrinsics"]
    for pose, view in zip(table["poses"], table["signals"].reshape(100, 50, 50, 3), strict=True):
        x, y, z = ((points - pose[:, 3]) @ pose[:, :3]).T
        column, row = np.floor(cx + fx * x / -z).astype(int), np.floor(cy - fy * y / -z).astype(int)
        assert (z < 0).all() and min(column.min(), row.min()) > -20
        inside = (column >= 0) & (column < 50) & (row >= 0) & (row < 50)
        shown = np.zeros(len(points), dtype=bool)
        shown[inside] = (view[row[inside], column[inside]] < 255).any(axis=-1)
        full &= shown | ~inside
    middle = points[full]
    assert 0.03 < full.mean() < 0.3, "one wrong sign of a camera leaves nothing"
    assert np.abs(middle.mean(axis=0)).max() < 0.3 and np.ptp(middle[:, 2]) > 1.4


def test_two_scenes_are_read_with_as_many_views(data, tmp_path):
    for name in ("chair", "lego"):
        with zipfile.ZipFile(data / "nerf_synthetic" / f"nerf_synthetic_{name}_200.zip") as files:
            files.extractall(tmp_path)
    signals = PosedViews(size=20, box=1.2, num_views=85, num_held_out=15).read(tmp_path)
    assert signals.ids == ["chair", "lego"] and signals.grid == (85, 20, 20)


def test_doors_stand_upright(data):
    """They are taller than wide in pictures from the side, once their y is up."""
    pytest.importorskip("embreex", reason="the extra shapes is not installed")
    from inrzoo.sources.mesh_views import MeshViews

    upright = {}
    for up in ("y", "z"):
        source = MeshViews(size=32, num_views=8, num_held_out=1, up=up, classes={"train": ["door"]})
        signals, taller = source.read(data / "furniture3d"), []
        assert len(signals) == 19
        for _, table in signals.tables(range(19)):
            side = np.abs(table["poses"][:, 2, 2]) < 0.4
            for picture in table["signals"].reshape(8, 32, 32, 3)[side]:
                seen = (picture < 255).any(axis=-1)
                taller.append(np.ptp(np.flatnonzero(seen.any(axis=1))) > np.ptp(np.flatnonzero(seen.any(axis=0))))
        upright[up] = np.mean(taller)
    assert upright["y"] > 0.9 and upright["z"] < 0.1
