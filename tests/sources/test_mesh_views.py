"""Meshes rendered from seeded cameras: cameras, silhouettes, shading, damage."""

import logging

import numpy as np
import pytest
from small_datasets import write_folder
from test_mesh_folder import BAD, folder

pytest.importorskip("embreex", reason="the extra shapes is not installed")
import trimesh
from small_shapes import box, saved, sphere

from inrzoo.errors import InrzooError
from inrzoo.seeding import Stream
from inrzoo.sources._render import AMBIENT, LIGHTS, cameras
from inrzoo.sources.mesh_views import MeshViews

FEW = {"size": 16, "num_views": 3, "num_held_out": 2}
HALF = 0.9 * np.array([0.5, 1.0, 2.0]) / np.sqrt(0.5**2 + 1 + 2**2)
"""Half extents of `box()`, scaled by its ball."""


def tables(path, **fields):
    signals = MeshViews(**{**FEW, **fields}).read(path)
    return {signals.ids[index]: table for index, table in signals.tables(range(len(signals)))}


def only_table(path, **fields):
    (table,) = tables(path, **fields).values()
    return table


def rays_of(table, view, size, offset):
    """Origin and directions (size, size, 3) of a ray in each pixel, by the contract of the arrays."""
    fx, fy, cx, cy = table["intrinsics"].astype(np.float64)
    pose = table["poses"][view].astype(np.float64)
    row, column = np.mgrid[:size, :size]
    place = [(column + 0.5 + offset[1] - cx) / fx, -(row + 0.5 + offset[0] - cy) / fy, -np.ones((size, size))]
    return pose[:, 3], np.stack(place, axis=-1) @ pose[:, :3].T


def slab(origin, directions, half):
    """Whether rays hit a box around 0, and the normal of the side where they enter it."""
    with np.errstate(divide="ignore"):
        first, last = np.sort(np.stack([(-half - origin) / directions, (half - origin) / directions]), axis=0)
    axis = first.argmax(axis=-1)
    normal = np.where(np.eye(3)[axis] > 0, -np.sign(directions), 0)
    return first.max(axis=-1) < last.min(axis=-1), normal


@pytest.mark.parametrize("background", ["white", "black"])
def test_a_box_has_the_silhouette_and_the_shades_of_a_formula(tmp_path, background):
    """Each pixel is the mean of four rays; each ray is traced again against the six planes, in float64."""
    size, colour = 48, np.array([250, 120, 30])
    fields = {"size": size, "num_views": 6, "up": "z", "colour": tuple(colour.tolist()), "background": background}
    table = only_table(folder(tmp_path, box=box()), **fields)
    behind = 255.0 if background == "white" else 0.0
    seen = set()
    for view, picture in enumerate(table["signals"].reshape(6, size, size, 3)):
        total = np.zeros((size, size, 3))
        coverage = np.zeros((size, size), int)
        for offset in ((-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25)):
            hit, normal = slab(*rays_of(table, view, size, offset), HALF)
            brightness = AMBIENT + sum(strength * np.maximum(0, normal @ light) for strength, light in LIGHTS)
            total += np.where(hit[..., None], np.minimum(brightness, 1)[..., None] * colour, behind)
            coverage += hit
        np.testing.assert_array_equal(picture, np.floor(total / 4 + 0.5))
        assert 0.02 < (coverage == 4).mean() < 0.5
        seen |= set(coverage.ravel().tolist())
    assert seen == {0, 1, 2, 3, 4}


def test_lights_have_the_length_1_and_shades_do_not_end_at_white():
    for _, light in LIGHTS:
        assert np.linalg.norm(light) == pytest.approx(1, abs=1e-6)
    normals = np.random.default_rng(0).normal(size=(4000, 3))
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    shades = AMBIENT + sum(strength * np.maximum(0, normals @ np.array(light)) for strength, light in LIGHTS)
    assert shades.max() <= 1
    assert (shades == AMBIENT).mean() < 0.1, "nearly every side has a light"


def test_faces_may_be_turned_either_way(tmp_path):
    mesh = box()
    faces = np.array(mesh.faces)
    faces[::3] = faces[::3, ::-1]
    turned = trimesh.Trimesh(mesh.vertices, faces[:-2], process=False)  # open, so that nothing turns them back
    straight = trimesh.Trimesh(mesh.vertices, np.array(mesh.faces)[:-2], process=False)
    one, two = (only_table(folder(tmp_path / name, box=m)) for name, m in (("a", turned), ("b", straight)))
    np.testing.assert_array_equal(one["signals"], two["signals"])


@pytest.mark.parametrize("hemisphere", [False, True])
def test_cameras_look_at_the_centre_from_their_distance_and_are_upright(tmp_path, hemisphere):
    table = only_table(folder(tmp_path, ball=sphere()), num_views=60, radius=2.5, hemisphere=hemisphere)
    poses = np.concatenate([table["poses"], table["held_out_poses"]]).astype(np.float64)
    rotation, position = poses[:, :, :3], poses[:, :, 3]
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), np.tile(np.eye(3), (62, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-6)
    np.testing.assert_allclose(position, 2.5 * rotation[:, :, 2], atol=1e-6)
    np.testing.assert_allclose(rotation[:, 2, 0], 0, atol=1e-7)
    assert (rotation[:, 2, 1] > 0).all()
    assert (position[:, 2] >= 0).all() == hemisphere
    focal = 8 / np.tan(np.radians(20))
    np.testing.assert_allclose(table["intrinsics"], [focal, focal, 8, 8], rtol=1e-6)


def test_cameras_are_even_over_the_sphere():
    """Archimedes: the height of an even point is uniform, and so is its angle; four thousand draws."""
    for hemisphere in (False, True):
        position = cameras(Stream("views", "test", 0), 4000, 2.0, hemisphere)[:, :, 3].astype(np.float64) / 2
        low = 0 if hemisphere else -1
        height = (np.sort(position[:, 2]) - low) / (1 - low)
        angle = np.sort(np.arctan2(position[:, 1], position[:, 0])) / (2 * np.pi) + 0.5
        even = (np.arange(4000) + 0.5) / 4000
        # Kolmogorov & Smirnov: beyond 1.95/√n once in a thousand seeds.
        assert np.abs(height - even).max() < 1.95 / np.sqrt(4000) > np.abs(angle - even).max()


def test_a_camera_straight_above_has_a_pose():
    from inrzoo.observations.rays import looking_at_0

    pose = looking_at_0(np.array([0.0, 0.0, -1.0]), 2.0)
    np.testing.assert_array_equal(pose[:, 3], [0, 0, -2])
    np.testing.assert_array_equal(pose[:, :3] @ pose[:, :3].T, np.eye(3))
    assert np.linalg.det(pose[:, :3]) == 1


def test_views_depend_on_seed_and_id_alone(tmp_path):
    alone = tables(folder(tmp_path / "a", box=box()))["thing/box.off"]
    beside = tables(folder(tmp_path / "b", ball=sphere(), box=box(), other=box()))
    for name, array in alone.items():
        np.testing.assert_array_equal(beside["thing/box.off"][name], array)
    assert not np.array_equal(beside["thing/other.off"]["poses"], alone["poses"])
    assert not np.array_equal(only_table(tmp_path / "a", seed=1)["poses"], alone["poses"])
    assert not np.array_equal(alone["poses"][:2], alone["held_out_poses"])
    more = only_table(tmp_path / "a", num_views=7)
    np.testing.assert_array_equal(more["poses"][:3], alone["poses"])
    np.testing.assert_array_equal(more["held_out_signals"], alone["held_out_signals"])


def test_held_out_views_are_rendered_as_the_others(tmp_path):
    """From the pose of a fitted view the picture is that of the fitted view."""
    from inrzoo.sources._render import render

    source = MeshViews(**FEW)
    table = only_table(folder(tmp_path, box=box()))
    shape = source.load(saved(box()), ".off")
    again = render(shape.geometry, table["held_out_poses"], table["intrinsics"], 16, source.colour, 255)
    np.testing.assert_array_equal(again.reshape(-1, 3), table["held_out_signals"])
    assert (table["held_out_signals"] < 255).any()


def test_what_is_up_in_the_file_is_up_in_the_world(tmp_path):
    """A cone whose tip is up, drawn along y and along z."""
    upright = trimesh.creation.cone(radius=0.5, height=2, sections=12)  # along z
    lying = upright.copy()
    lying.vertices = upright.vertices[:, [0, 2, 1]] * [1, 1, -1]  # z becomes y
    fields = {"num_views": 8, "size": 32}
    z_up = only_table(folder(tmp_path / "z", cone=upright), up="z", **fields)
    y_up = only_table(folder(tmp_path / "y", cone=lying), up="y", **fields)
    np.testing.assert_array_equal(z_up["poses"], y_up["poses"])
    differs = (z_up["signals"] != y_up["signals"]).any(axis=-1)
    assert differs.mean() < 0.002, "but for rays at edges"
    level = np.abs(z_up["poses"][:, 2, 2]) < 0.5  # from the side the tip is above, and the base below
    dark = (z_up["signals"].reshape(8, 32, 32, 3) < 255).any(axis=-1)[level]
    for picture in dark:
        rows = np.flatnonzero(picture.any(axis=1))
        assert picture[rows[:4]].sum() < picture[rows[-6:-2]].sum()


def test_the_mesh_fills_its_share_of_the_ball_and_can_be_brought_back(tmp_path):
    signals = MeshViews(**FEW).read(folder(tmp_path, box=box().apply_translation([100, -20, 3])))
    numbers = {column: float(values[0]) for column, values in signals.numbers.items()}
    assert numbers["scale"] == pytest.approx(0.9 / np.sqrt(0.5**2 + 1 + 2**2))
    assert [numbers[f"centre_{axis}"] for axis in "xyz"] == pytest.approx([100, -20, 3])
    assert signals.grid == (3, 16, 16) and signals.channels == 3 and signals.dtype == "uint8"


def test_files_without_a_shape_are_counted_or_left_out(tmp_path, caplog):
    path = folder(tmp_path, good=box(), **{name: content for name, (content, _) in BAD.items()})
    with pytest.raises(InrzooError, match=r"thing/beyond.off .*12 of 13 files are unreadable"):
        MeshViews(**FEW).read(path)
    with caplog.at_level(logging.WARNING, "inrzoo.sources"):
        signals = MeshViews(**FEW, skip_unreadable=True).read(path)
    assert signals.ids == ["thing/good.off"] and signals.skipped.keys() == {f"thing/{name}.off" for name in BAD}


def test_faces_without_an_area_are_not_seen(tmp_path):
    """A sliver beside a box would have no normal."""
    mesh = box()
    vertices = np.vstack([mesh.vertices, [[0, 0, 1.9], [0.1, 0, 1.9], [0.2, 0, 1.9]]])
    slim = trimesh.Trimesh(vertices, np.vstack([mesh.faces, [[8, 9, 10]]]), process=False)
    one, two = (only_table(folder(tmp_path / name, box=m)) for name, m in (("a", slim), ("b", mesh)))
    np.testing.assert_array_equal(one["signals"], two["signals"])


def test_a_file_that_changes_after_it_was_listed_is_one_line(tmp_path):
    signals = MeshViews(**FEW).read(folder(tmp_path, a=box()))
    write_folder(tmp_path, {"thing/a.off": b"gone"})
    with pytest.raises(InrzooError, match=r"thing/a.off cannot be read as OFF .*; it changed after it was listed"):
        signals.array([0])


def test_without_embree_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(trimesh.ray, "has_embree", False)
    with pytest.raises(InrzooError, match=r"mesh_views needs embreex, for x86-64 .*: pip install 'inrzoo\[shapes\]'"):
        MeshViews().read(folder(tmp_path, a=box()))
