"""Meshes in class folders: distances, insides, points, damage."""

import builtins
import io
import json
import logging
import struct
import sys

import numpy as np
import pytest
from small_datasets import write_folder, write_zip

pytest.importorskip("trimesh", reason="the extra shapes is not installed")
import trimesh
from small_shapes import box, box_distance, open_box, saved, sphere

from inrzoo.errors import InrzooError
from inrzoo.sources.mesh_folder import MeshFolder

BOX_HALF = 0.9 * np.array([0.25, 0.5, 1.0])
"""Half extents of `box()` in the cube."""
FEW = {"num_points": 600, "num_held_out": 200}
TRIANGLE = b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"


def folder(path, **files):
    """Write one class of OFF files: meshes, or bytes."""
    contents = {name: file if isinstance(file, bytes) else saved(file) for name, file in files.items()}
    return write_folder(path, {f"thing/{name}.off": content for name, content in contents.items()})


def tables(signals):
    return {signals.ids[index]: table for index, table in signals.tables(range(len(signals)))}


def only_table(path, **fields):
    (table,) = tables(MeshFolder(**{**FEW, **fields}).read(path)).values()
    return table


@pytest.mark.parametrize("prefix", ["", "held_out_"])
def test_distances_of_a_box_are_exact_at_the_rounded_points(tmp_path, prefix):
    path = folder(tmp_path, box=box())
    for quantity, expected in (("sdf", lambda d: d), ("udf", np.abs)):
        table = only_table(path, quantity=quantity, clip=4.0, dtype="float32")
        points = table[f"{prefix}points"]
        assert points.dtype == np.float16 and table[f"{prefix}signals"].dtype == np.float32
        distance = expected(box_distance(points.astype(np.float64), BOX_HALF))
        np.testing.assert_allclose(table[f"{prefix}signals"][:, 0], distance, atol=1e-6)
        assert (distance < 0).any() == (quantity == "sdf")


def test_the_nearest_face_is_found_wherever_it_is(tmp_path):
    from inrzoo.sources._meshes import distances

    mesh = trimesh.util.concatenate([sphere(2, 0.5), box(0.02, 1.8, 1.8), sphere(1, 0.9)])
    points = np.random.default_rng(0).uniform(-1, 1, (100, 3))
    corners = np.array(mesh.triangles)
    every = [
        np.linalg.norm(trimesh.triangles.closest_point(corners, np.tile(point, (len(corners), 1))) - point, axis=1)
        for point in points
    ]
    np.testing.assert_allclose(distances(mesh, points, 4.0), np.min(every, axis=1), atol=1e-12)


def test_occupancy_of_a_sphere_is_its_share_of_the_cube(tmp_path):
    table = only_table(folder(tmp_path, ball=sphere(3)), quantity="occupancy", num_points=8000, share_near=0.0)
    signals = table["signals"]
    assert signals.dtype == table["held_out_signals"].dtype == np.uint8 and set(np.unique(signals)) == {0, 255}
    assert (
        abs((signals == 255).mean() - np.pi / 6 * 0.9**3) < 0.012
    )  # 3 standard deviations, and 0.003 that the facets cut off
    radius = np.linalg.norm(table["points"].astype(np.float64), axis=1)
    assert (signals[radius < 0.88] == 255).all() and (signals[radius > 0.901] == 0).all()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_distances_end_at_clip_and_never_beyond(tmp_path, dtype):
    path = folder(tmp_path, box=box(2, 2, 2))
    for clip in (0.1, 0.3):
        signals = only_table(path, quantity="sdf", fill=0.5, clip=clip, dtype=dtype)["signals"]
        assert signals.dtype == dtype
        assert -clip <= float(signals.min()) < -0.999 * clip and 0.999 * clip < float(signals.max()) <= clip


def test_half_of_the_points_are_near_and_half_fill_the_cube(tmp_path):
    table = only_table(folder(tmp_path, box=box()), num_points=4000, clip=4.0)
    near, uniform = np.split(table["signals"][:, 0].astype(np.float64), 2)
    # |N(0, σ)| along the normal of a face has the mean 0.8 σ; edges bring it down.
    assert 0.5 < near[0::2].mean() / 0.008 < 1.05 and 0.5 < near[1::2].mean() / 0.04 < 1.05
    cube = table["points"][2000:].astype(np.float64)
    np.testing.assert_allclose(cube.mean(axis=0), 0, atol=0.04)
    np.testing.assert_allclose(cube.var(axis=0), 1 / 3, atol=0.03)
    assert np.abs(table["points"]).max() <= 1 and uniform.mean() > 5 * near.mean()


def test_points_near_a_surface_are_even_over_its_area(tmp_path):
    table = only_table(folder(tmp_path, box=box()), num_points=3000, share_near=1.0)
    points = table["points"].astype(np.float64)
    sides = np.argmin(np.abs(np.abs(points) - BOX_HALF), axis=1)
    areas = np.array([2 * 4, 1 * 4, 1 * 2])
    np.testing.assert_allclose(np.bincount(sides) / 3000, areas / areas.sum(), atol=0.04)


def test_points_depend_on_seed_and_id_alone(tmp_path):
    few = tables(MeshFolder(**FEW).read(folder(tmp_path / "a", b=box(), d=box(1, 1, 2))))
    signals = MeshFolder(**{**FEW, "num_held_out": 300}).read(
        folder(tmp_path / "b", a=sphere(), b=box(), c=box(2, 1, 1), d=box(1, 1, 2))
    )
    more, limited = tables(signals.take(np.array([1, 3]))), tables(MeshFolder(**FEW).read(tmp_path / "b").limit(2))
    assert list(limited) == ["thing/b.off", "thing/d.off"]
    for name in limited:
        np.testing.assert_array_equal(more[name]["points"], few[name]["points"])
        for array in few[name]:
            np.testing.assert_array_equal(limited[name][array], few[name][array])
    one, two = few["thing/b.off"], few["thing/d.off"]
    other = tables(MeshFolder(**FEW, seed=1).read(tmp_path / "a"))["thing/b.off"]
    for points in (two["points"], other["points"]):
        assert (points[-100:] != one["points"][-100:]).mean() > 0.9
    assert (one["held_out_points"][-100:] != one["points"][-100:]).mean() > 0.9


def test_signals_are_declared_as_they_come(tmp_path):
    signals = MeshFolder(**FEW).read(folder(tmp_path, a=box(), b=open_box()))
    assert (signals.grid, signals.channels, signals.dtype) == ((600,), 1, "float16")
    all_tables = tables(signals)
    for table in all_tables.values():
        assert table.keys() == {"signals", *signals.arrays}
        for name, spec in signals.arrays.items():
            assert table[name].shape == spec.shape and table[name].dtype == spec.dtype
    np.testing.assert_array_equal(signals.array([1, 0])[1], all_tables["thing/a.off"]["signals"])


@pytest.mark.parametrize("suffix", ["off", "obj", "ply", "stl", "glb"])
def test_all_formats_give_the_same(tmp_path, suffix):
    mesh = box()
    name = f"thing/box.{suffix.upper()}"
    signals = MeshFolder(**FEW, quantity="sdf", clip=4.0).read(write_folder(tmp_path, {name: saved(mesh, suffix)}))
    assert signals.ids == [name] and signals.numbers["watertight"].tolist() == [1]
    table = tables(signals)[name]
    distance = box_distance(table["points"].astype(np.float64), BOX_HALF)
    np.testing.assert_allclose(table["signals"][:, 0], distance, atol=1e-3)


@pytest.mark.parametrize("normalise", ["box", "ball"])
def test_scale_and_centre_bring_a_mesh_back(tmp_path, normalise):
    mesh = box().apply_translation([100, -20, 3])
    signals = MeshFolder(**FEW, normalise=normalise, fill=0.8).read(folder(tmp_path, box=mesh))
    numbers = {column: float(values[0]) for column, values in signals.numbers.items()}
    radius = 2 if normalise == "box" else np.sqrt(0.5**2 + 1**2 + 2**2)
    assert numbers["scale"] == pytest.approx(0.8 / radius)
    assert [numbers[f"centre_{axis}"] for axis in "xyz"] == pytest.approx([100, -20, 3])


def test_bodies_that_overlap_are_inside_and_a_hollow_is_outside(tmp_path):
    def occupied(mesh, low, high):
        path = folder(tmp_path / str(len(list(tmp_path.iterdir()))), m=mesh)
        table = only_table(path, quantity="occupancy", num_points=1500, share_near=0)
        radius = np.linalg.norm(table["points"].astype(np.float64), axis=1)
        chosen = (low < radius) & (radius < high)
        assert chosen.sum() > 10
        return set(table["signals"][chosen, 0].tolist())

    left, right = (sphere(1).apply_translation([x, 0, 0]) for x in (-0.4, 0.4))
    assert occupied(trimesh.util.concatenate([left, right]), 0, 0.3) == {255}
    inner = sphere(1, 0.5)
    assert occupied(trimesh.util.concatenate([sphere(1), inner]), 0, 0.4) == {255}
    inner.invert()
    hollow = trimesh.util.concatenate([sphere(1), inner])
    assert occupied(hollow, 0, 0.35) == {0}
    assert occupied(hollow, 0.46, 0.8) == {255}


@pytest.mark.parametrize("flipped", [range(12), [0, 3, 7]])
def test_the_direction_of_faces_does_not_matter(tmp_path, flipped):
    mesh = box()
    faces = np.array(mesh.faces)
    faces[list(flipped)] = faces[list(flipped)][:, ::-1]
    turned = trimesh.Trimesh(mesh.vertices, faces, process=False)
    table = only_table(folder(tmp_path, box=turned), quantity="sdf", clip=4.0, dtype="float32")
    distance = box_distance(table["points"].astype(np.float64), BOX_HALF)
    np.testing.assert_allclose(table["signals"][:, 0], distance, atol=1e-6)


def test_vertices_without_faces_do_not_count(tmp_path):
    mesh = box()
    far = trimesh.Trimesh(np.vstack([mesh.vertices, [[np.nan, 0, 0], [99, 99, 99]]]), mesh.faces, process=False)
    assert MeshFolder(**FEW).read(folder(tmp_path, box=far)).numbers["scale"].tolist() == [0.45]


def test_open_meshes_have_unsigned_distances_alone(tmp_path, caplog):
    path = folder(tmp_path, a=box(), b=open_box(), c=open_box())
    assert MeshFolder(**FEW).read(path).numbers["watertight"].tolist() == [1, 0, 0]
    for quantity in ("sdf", "occupancy"):
        with pytest.raises(InrzooError) as caught:
            MeshFolder(**FEW, quantity=quantity).read(path)
        assert "thing/b.off is not watertight" in str(caught.value) and "\n" not in str(caught.value)
        assert "2 of 3 files are not watertight, --set source.skip_open=true leaves them out" in str(caught.value)
    with caplog.at_level(logging.WARNING, "inrzoo.sources"):
        signals = MeshFolder(**FEW, quantity="sdf", skip_open=True).read(path)
    assert signals.ids == ["thing/a.off"] and list(signals.skipped) == ["thing/b.off", "thing/c.off"]
    assert [name in caplog.text for name in ("a.off", "b.off", "c.off")] == [False, True, True]


def changed_box(change):
    """A box, its vertices multiplied by `change`, as an OFF file."""
    return saved(trimesh.Trimesh(box().vertices * change, box().faces, process=False))


BAD = {
    "empty": (b"", "cannot be read as OFF"),
    "text": (b"not a mesh", "cannot be read as OFF"),
    "no_faces": (b"OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n", "has no faces"),
    "triangle": (TRIANGLE, "has 1 faces with an area; a shape has at least 4"),
    "flat": (
        saved(trimesh.Trimesh(box().vertices * [0, 0, 1], box().faces, process=False)),
        "has 0 faces with an area",
    ),
    "dot": (changed_box(0), "has no size"),
    "nan": (changed_box([1, 1, np.nan]), "coordinates that are not numbers"),
    "inf": (changed_box([1, np.inf, 1]), "coordinates that are not numbers"),
    "huge": (changed_box(1e10), r"has the coordinate 2e\+10; the maximum is 1e\+09"),
    "truncated": (saved(sphere())[:3000], "cannot be read as OFF"),
    "beyond": (TRIANGLE.replace(b"3 0 1 2", b"3 0 1 9"), "cannot be read as OFF"),
    "declared": (b"OFF\n999999999999 1 0\n0 0 0\n3 0 0 0\n", "cannot be read as OFF"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_without_a_shape_is_one_line(tmp_path, name):
    content, why = BAD[name]
    with pytest.raises(InrzooError, match=why) as caught:
        MeshFolder(**FEW).read(folder(tmp_path, a=box(), **{name: content}))
    assert f"thing/{name}.off " in str(caught.value) and "\n" not in str(caught.value)
    assert "1 of 2 files is unreadable, --set source.skip_unreadable=true leaves it out" in str(caught.value)


def test_unreadable_files_are_counted_or_listed_and_left_out(tmp_path, caplog):
    bad = {name: content for name, (content, _) in BAD.items()}
    path = folder(tmp_path, good=box(), **bad)
    with pytest.raises(InrzooError, match=r"thing/beyond.off .*12 of 13 files are unreadable"):
        MeshFolder(**FEW).read(path)
    with caplog.at_level(logging.WARNING, "inrzoo.sources"):
        signals = MeshFolder(**FEW, skip_unreadable=True).read(path)
    assert signals.ids == ["thing/good.off"] and signals.skipped.keys() == {f"thing/{name}.off" for name in bad}
    assert all(f"thing/{name}.off" in caplog.text for name in bad)
    alone = MeshFolder(**FEW).read(folder(tmp_path / "alone", good=box()))
    assert signals.checksums == alone.checksums
    np.testing.assert_array_equal(signals.array([0]), alone.array([0]))
    with pytest.raises(InrzooError, match="12 of 12 files are unreadable, which leaves none"):
        MeshFolder(**FEW, skip_unreadable=True).read(folder(tmp_path / "bad", **bad))


def test_a_damaged_member_of_an_archive_is_left_out(tmp_path):
    path = write_zip(tmp_path / "a.zip", {f"thing/{name}.off": saved(box()) for name in "ab"})
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0.5", b"0.7", 1))  # its checksum no longer holds
    signals = MeshFolder(**FEW, skip_unreadable=True).read(path)
    assert signals.ids == ["thing/b.off"] and "thing/a.off" in signals.skipped
    assert str(tmp_path) not in str(signals.skipped)


def glb(**header):
    """A GLB file of one triangle, with changes to its header."""
    whole = saved(box(), "glb")
    (length,) = struct.unpack_from("<I", whole, 12)
    text = json.dumps({**json.loads(whole[20 : 20 + length]), **header}).encode()
    text += b" " * (-len(text) % 4)
    rest = whole[20 + length :]
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A) + text + rest


def test_files_that_a_mesh_refers_to_are_not_read(tmp_path, monkeypatch):
    buffers = glb(buffers=[{"uri": "secret.bin", "byteLength": 4096}])
    obj = b"mtllib secret.bin\n" + saved(box(), "obj")
    ply = saved(box(), "ply").replace(b"comment", b"comment TextureFile secret.bin\ncomment", 1)
    write_folder(tmp_path, {"a/box.glb": buffers, "b/box.obj": obj, "b/box.ply": ply, "a/secret.bin": bytes(4096)})
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    monkeypatch.chdir(tmp_path)
    opened = []
    for module in (builtins, io):
        true_open = module.open
        monkeypatch.setattr(
            module, "open", lambda *args, of=true_open, **more: opened.append(str(args[0])) or of(*args, **more)
        )
    signals = MeshFolder(**FEW, skip_unreadable=True).read(tmp_path)
    assert signals.ids == ["b/box.obj", "b/box.ply"] and list(signals.skipped) == ["a/box.glb"]
    assert any(name.endswith("box.obj") for name in opened)
    assert not any(name.endswith("secret.bin") for name in opened)


def test_a_small_file_that_unfolds_is_refused(tmp_path, monkeypatch):
    from inrzoo.sources import _meshes

    zeros = glb(accessors=[{"componentType": 5126, "type": "VEC3", "count": 10**10}] * 2)
    with pytest.raises(InrzooError, match="declares 10000000000 vertices or faces without data"):
        MeshFolder(**FEW).read(write_folder(tmp_path / "a", {"a/box.glb": zeros, "a/ok.glb": glb()}))
    monkeypatch.setattr(_meshes, "MAX_FACES", 100)
    shown = glb(
        nodes=[{"mesh": 0, "translation": [number, 0, 0]} for number in range(20)],
        scenes=[{"nodes": list(range(20))}],
        scene=0,
    )
    with pytest.raises(InrzooError, match="has 240 faces; the maximum is 100"):
        MeshFolder(**FEW).read(write_folder(tmp_path / "b", {"a/box.glb": shown, "a/ok.glb": glb()}))


def test_layouts_of_folders(tmp_path):
    content = saved(box())
    modelnet = [
        f"{name}/{split}/{name}_{n}.off" for name in ("bed", "sofa") for split in ("train", "test") for n in "12"
    ]
    for outer in ("", "ModelNet/"):
        signals = MeshFolder(**FEW).read(write_zip(tmp_path / "m.zip", {outer + name: content for name in modelnet}))
        assert signals.ids == sorted(modelnet) and signals.label_names == {"class": ["bed", "sofa"]}
        assert [signals.split[signals.ids.index(name)] for name in modelnet] == [0, 0, 2, 2] * 2
        assert [signals.labels["class"][signals.ids.index(name)] for name in modelnet] == [0] * 4 + [1] * 4
        one = MeshFolder(**FEW).read(write_zip(tmp_path / "o.zip", {outer + name: content for name in modelnet[:4]}))
        assert one.label_names == {"class": ["bed"]} and np.bincount(one.split).tolist() == [2, 0, 2]
    for outer in ("", "meshes/"):
        files = {f"{outer}train/a/x.off": content, f"{outer}val/a/y.off": content}
        usual = MeshFolder(**FEW).read(write_zip(tmp_path / "u.zip", files))
        assert usual.split.tolist() == [0, 1] and usual.label_names == {"class": ["a"]}
    with pytest.raises(InrzooError, match=r"CLASS/, SPLIT/CLASS/ or CLASS/SPLIT/"):
        MeshFolder(**FEW).read(write_zip(tmp_path / "d.zip", {"a/deep/x.off": content, "b/y.off": content}))


def test_few_shot_classes(tmp_path):
    content = saved(box())
    path = write_zip(tmp_path / "m.zip", {f"{name}/{n}.off": content for name in ("a", "b", "c") for n in "12"})
    signals = MeshFolder(**FEW, classes={"train": ["c"], "test": ["a"]}).read(path)
    assert signals.label_names == {"class": ["a", "c"]} and signals.split.tolist() == [2, 2, 0, 0]
    with pytest.raises(InrzooError, match=r"lacks 1 of the 2 classes in mesh_folder.classes \(z\)"):
        MeshFolder(**FEW, classes={"train": ["c"], "test": ["z"]}).read(path)


def test_without_the_libraries_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rtree", None)
    with pytest.raises(InrzooError, match=r"mesh_folder needs rtree: pip install 'inrzoo\[shapes\]'"):
        MeshFolder().read(folder(tmp_path, a=box()))
