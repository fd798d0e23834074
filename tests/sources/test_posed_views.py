"""Posed views: layouts, cameras, pixels over a background, damage."""

import io
import json
import logging
import math

import numpy as np
import pytest
from PIL import Image
from small_datasets import noise, png, write_folder, write_zip
from small_views import ANGLE, SRN_INTRINSICS, nerf_files, pose, rgba, srn_files

from inrzoo.errors import InrzooError
from inrzoo.sources._views import composite, spread
from inrzoo.sources.posed_views import PosedViews


def read(path, files, **fields):
    return PosedViews(**fields).read(write_folder(path, files))


def only_table(signals):
    ((_, table),) = signals.tables([0])
    return table


def ray(table, view, row, column):
    """Origin and direction of the ray of a pixel, by the contract of the arrays."""
    fx, fy, cx, cy = table["intrinsics"].astype(np.float64)
    camera = table["poses"][view].astype(np.float64)
    direction = camera[:, :3] @ [(column - cx) / fx, -(row - cy) / fy, -1]
    return camera[:, 3], direction / np.linalg.norm(direction)


def miss(table, view, row, column, point):
    """Distance of a point from the ray of a place in the picture; infinite if it lies behind."""
    origin, direction = ray(table, view, row, column)
    along = (point - origin) @ direction
    return np.linalg.norm(origin + along * direction - point) if along > 0 else np.inf


def test_a_scene_of_nerf_has_its_views_in_order_and_its_cameras_in_units_of_the_cube(tmp_path):
    signals = read(tmp_path, nerf_files(rows=6, columns=8), box=2.0, centre=(0.5, 0.0, -1.0))
    assert signals.ids == ["chair"] and signals.grid == (4, 6, 8) and signals.label_names == {"class": ["all"]}
    assert signals.arrays["held_out_signals"].shape == (3 * 6 * 8, 3)
    table = only_table(signals)
    shown = table["signals"].reshape(4, 6, 8, 3), table["held_out_signals"].reshape(3, 6, 8, 3)
    for number, picture in enumerate(np.concatenate(shown)):
        np.testing.assert_array_equal(picture, composite(rgba(number, 6, 8), "white", "straight", (6, 8)))
    poses = np.concatenate([table["poses"], table["held_out_poses"]])
    expected = np.stack([pose(number)[:3] for number in range(7)])
    expected[:, :, 3] = (expected[:, :, 3] - [0.5, 0, -1]) / 2
    np.testing.assert_allclose(poses, expected, atol=1e-6)
    focal = 4 / math.tan(ANGLE / 2)
    np.testing.assert_allclose(table["intrinsics"], [focal, focal, 4, 3], rtol=1e-6)
    assert {name: table[name].dtype for name in ("poses", "intrinsics", "held_out_poses")} == dict.fromkeys(
        ("poses", "intrinsics", "held_out_poses"), np.float32
    )


def test_a_point_is_on_the_ray_of_the_pixel_that_shows_it(tmp_path):
    """NeRF's own projection; SRN's, on OpenCV's axes, with pictures of another size than the intrinsics say."""
    point = np.array([0.3, -0.4, 0.5])
    scenes = {
        "nerf": (nerf_files(rows=12, columns=20), 20 / 2 / math.tan(ANGLE / 2), 10, 6, 20 / 12),
        "srn": (srn_files("car", side=24), 150 * 24 / 128, 12, 60 * 24 / 128, 1),
    }
    for name, (files, focal, centre_x, centre_y, aspect) in scenes.items():
        for size in (None, 6):
            signals = read(tmp_path / f"{name}{size}", files, size=size, box=1.5, num_held_out=2)
            table = only_table(signals)
            for view, number in enumerate([0, 1, 2] if name == "nerf" else [0, 2, 3]):
                x, y, z = pose(number)[:3, :3].T @ (1.5 * point - pose(number)[:3, 3])
                column, row = centre_x + focal * x / -z, centre_y + focal * y / z
                shrunk = 1 if size is None else size / (12 if name == "nerf" else 24)
                across = shrunk if size is None else shrunk / aspect
                assert miss(table, view, row * shrunk, column * across, point) < 1e-5
                assert miss(table, view, row * shrunk + 1, column * across, point) > 0.01


def test_straight_and_premultiplied_alpha():
    pixel = np.array([[[100, 0, 200, 51]]], dtype=np.uint8)  # alpha is 1/5
    for background, alpha, expected in (
        ("white", "straight", [224, 204, 244]),
        ("black", "straight", [20, 0, 40]),
        ("white", "premultiplied", [255, 204, 255]),
        ("black", "premultiplied", [100, 0, 200]),
    ):
        assert composite(pixel, background, alpha, (1, 1)).tolist() == [[expected]]


@pytest.mark.parametrize(("rows", "columns", "grid"), [(8, 8, (4, 4)), (6, 9, (4, 4)), (7, 5, (5, 5)), (5, 5, (5, 5))])
def test_a_pixel_is_the_mean_over_its_area(rows, columns, grid):
    picture = rgba(3, rows, columns)
    alpha = picture[..., 3:] / 255
    over = picture[..., :3] * alpha + 255 * (1 - alpha)
    fine = over.repeat(grid[0], axis=0).repeat(grid[1], axis=1)
    mean = fine.reshape(grid[0], rows, grid[1], columns, 3).mean(axis=(1, 3))
    got = composite(picture, "white", "straight", grid)
    assert np.abs(got - mean).max() <= 0.5 + 1e-9
    np.testing.assert_array_equal(got, np.floor(mean + 0.5 + 1e-9))


def test_pictures_without_alpha_grey_ones_and_palettes_are_taken_as_they_look(tmp_path):
    files = nerf_files(counts=(4, 1, 0))
    grey, colour = noise(5, 8, 8, 1), noise(6)
    palette = io.BytesIO()
    Image.fromarray(colour).quantize(4).save(palette, "PNG")
    jpeg = io.BytesIO()
    Image.fromarray(grey).save(jpeg, "JPEG")
    files |= {
        f"chair/train/r_{n}.png": content for n, content in enumerate((png(grey), png(colour), palette.getvalue()))
    }
    table = json.loads(files["chair/transforms_train.json"])
    table["frames"][3]["file_path"] = "train/r_3.jpg"
    files |= {"chair/transforms_train.json": json.dumps(table).encode(), "chair/train/r_3.jpg": jpeg.getvalue()}
    views = only_table(read(tmp_path, files))["signals"].reshape(4, 8, 8, 3)
    np.testing.assert_array_equal(views[0], np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(views[1], colour)
    assert len(np.unique(views[2].reshape(-1, 3), axis=0)) == 4
    np.testing.assert_array_equal(views[3], np.asarray(Image.open(jpeg).convert("RGB")))


def test_an_object_of_srn_is_parted_evenly(tmp_path):
    files = srn_files("car", count=11)
    for fields, fitted, held_out in (
        ({}, [0, 1, 3, 4, 5, 6, 7, 9, 10], [2, 8]),
        ({"num_held_out": 1}, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10], [5]),
        ({"num_held_out": 1, "num_views": 2}, [2, 8], [5]),
        ({"num_views": 8}, [0, 2, 3, 4, 6, 7, 8, 10], [1, 5, 9]),
    ):
        table = only_table(read(tmp_path, files, **fields))
        for prefix, numbers in (("", fitted), ("held_out_", held_out)):
            np.testing.assert_array_equal(
                table[f"{prefix}signals"].reshape(-1, 8, 8, 3), np.stack([noise(number) for number in numbers])
            )
            poses = np.stack([pose(number)[:3] for number in numbers])
            np.testing.assert_allclose(table[f"{prefix}poses"], poses, atol=1e-6)


@pytest.mark.parametrize(
    "intrinsics",
    [
        b"150.0 64. 60.\n0. 0. 0.\n0.8\n1.\n128 128\n",  # DeepVoxels: near plane and scale
        b"150 64 60 0\n\n0 0 0\n1\n128 128\n0\n",
        b"75.0 32. 30. 0.\n0. 0. 0.\n1.\n64 64\n",
    ],
)
def test_intrinsics_of_other_spellings_say_the_same(tmp_path, intrinsics):
    files = srn_files("car")
    expected = only_table(read(tmp_path / "a", files))["intrinsics"]
    np.testing.assert_allclose(expected, [150 / 16, 150 / 16, 4, 60 / 16])
    files["car/intrinsics.txt"] = intrinsics
    np.testing.assert_array_equal(only_table(read(tmp_path / "b", files))["intrinsics"], expected)


def test_poses_of_the_world_on_the_axes_of_the_camera_are_inverted(tmp_path):
    files = srn_files("car")
    expected = only_table(read(tmp_path / "a", files))["poses"]
    files["car/intrinsics.txt"] = SRN_INTRINSICS + b"1\n"
    for number in range(6):
        inverse = np.linalg.inv(pose(number) @ np.diag([1, -1, -1, 1]))
        rows = "\n".join(" ".join(map(str, row)) for row in inverse.tolist())
        files[f"car/pose/{number:06d}.txt"] = rows.encode()
    np.testing.assert_allclose(only_table(read(tmp_path / "b", files))["poses"], expected, atol=1e-6)


def test_views_are_taken_evenly():
    assert spread(10, 10).tolist() == list(range(10)) and spread(100, 4).tolist() == [12, 37, 62, 87]


def test_an_archive_a_folder_and_the_scene_itself_give_the_same(tmp_path):
    files = nerf_files("nerf_synthetic/chair")
    folder = PosedViews(size=4).read(write_folder(tmp_path / "a", files))
    archive = PosedViews(size=4).read(write_zip(tmp_path / "a.zip", files))
    inside = PosedViews(size=4).read(tmp_path / "a" / "nerf_synthetic" / "chair")
    assert (folder.ids, archive.ids, inside.ids) == (["chair"], ["chair"], ["scene"])
    for name, array in only_table(folder).items():
        np.testing.assert_array_equal(only_table(archive)[name], array)
        np.testing.assert_array_equal(only_table(inside)[name], array)
    assert list(archive.checksums) == ["a.zip"] and list(folder.checksums) == ["unpacked/"]


def test_a_checksum_covers_the_files_that_were_used(tmp_path):
    files = nerf_files()
    first = read(tmp_path / "a", files).checksums
    more = files | {"chair/train/r_0_depth.png": b"not read", "chair/notes.txt": b"not read"}
    assert read(tmp_path / "b", more).checksums == first
    more["chair/test/r_1.png"] = png(noise(77))
    assert read(tmp_path / "c", more).checksums != first


def test_layouts_of_folders(tmp_path):
    def layout(name, *scenes, **fields):
        files = {key: content for scene in scenes for key, content in srn_files(scene).items()}
        signals = read(tmp_path / name, files, **fields)
        names = signals.label_names["class"]
        return signals.ids, [names[code] for code in signals.labels["class"]], signals.split.tolist()

    assert layout("a", "x", "y") == (["x", "y"], ["all", "all"], [0, 0])
    assert layout("b", "test/x", "train/y") == (["test/x", "train/y"], ["all", "all"], [2, 0])
    assert layout("c", "car/x", "bus/y") == (["bus/y", "car/x"], ["bus", "car"], [0, 0])
    both = (["test/car/x", "train/bus/y"], ["car", "bus"], [2, 0])
    assert layout("d", "test/car/x", "train/bus/y") == both == layout("e", "set/test/car/x", "set/train/bus/y")
    assert layout("f", "car/test/x", "bus/train/y") == (["bus/train/y", "car/test/x"], ["bus", "car"], [0, 2])
    assert layout("g", "cars_test/x", "cars_train/y", classes={"test": ["cars_test"], "train": ["cars_train"]})[2] == [
        2,
        0,
    ]
    write_folder(tmp_path / "a", {"intrinsics.txt": SRN_INTRINSICS})
    assert layout("a", "x", "y")[0] == ["x", "y"]
    with pytest.raises(InrzooError, match="mixes split folders"):
        layout("h", "test/x", "y")
    with pytest.raises(InrzooError, match=r"CLASS/, SPLIT/CLASS/ or CLASS/SPLIT/"):
        layout("i", "a/b/x", "c/y")


def test_scenes_of_one_dataset_have_the_same_numbers_of_views_and_pixels(tmp_path):
    def two(name, other, **fields):
        return read(tmp_path / name, nerf_files("a") | other, **fields)

    with pytest.raises(InrzooError, match=r"b has 3 views to fit, a has 4; --set source.num_views=3 takes"):
        two("a", nerf_files("b", (3, 1, 2)))
    with pytest.raises(InrzooError, match=r"b has 2 held-out views, a has 3; --set source.num_held_out=2 takes"):
        two("b", nerf_files("b", (4, 1, 1)))
    with pytest.raises(InrzooError, match=r"views of b are 6 x 8, those of a 8 x 8; set size"):
        two("c", nerf_files("b", rows=6))
    signals = two("d", nerf_files("b", (5, 2, 2), rows=6), num_views=3, num_held_out=2, size=5)
    assert signals.ids == ["a", "b"] and signals.grid == (3, 5, 5) and signals.array([0, 1]).shape == (2, 75, 3)


def change(name, edit):
    """Return a change of the JSON file of a part of the scene."""

    def apply(files):
        table = json.loads(files[f"chair/transforms_{name}.json"])
        edit(table)
        files[f"chair/transforms_{name}.json"] = json.dumps(table).encode()

    return apply


def frame(edit, name="train"):
    return change(name, lambda table: edit(table["frames"][1]))


def matrix(edit):
    def apply(first):
        array = np.array(first["transform_matrix"])
        first["transform_matrix"] = edit(array).tolist()

    return frame(apply)


def cameras(edit):
    def apply(files):
        for name in ("train", "val", "test"):
            change(
                name,
                lambda table: [
                    view.update(transform_matrix=edit(np.array(view["transform_matrix"])).tolist())
                    for view in table["frames"]
                ],
            )(files)

    return apply


def put(name, content):
    return lambda files: files.__setitem__(f"chair/{name}", content)


def remove(*names):
    return lambda files: [files.pop(f"chair/{name}") for name in names]


def sixteen_bits(mode):
    buffer = io.BytesIO()
    if mode == "grey":
        Image.fromarray(np.zeros((8, 8), np.uint16)).save(buffer, "PNG")
        return buffer.getvalue()
    # Pillow writes no colours of 16 bits; a reader looks at the depth in the header first.
    return png(noise(0))[:24] + b"\x10" + png(noise(0))[25:]


NERF_DAMAGE = {
    "no_json": (put("transforms_train.json", b"{"), "has a damaged transforms_train.json"),
    "deep_json": (put("transforms_train.json", b"[" * 100_000), "has a damaged transforms_train.json"),
    "list": (put("transforms_val.json", b"[]"), "has no table in transforms_val.json"),
    "no_train": (remove("transforms_train.json"), "lacks transforms_train.json"),
    "nothing_held_out": (remove("transforms_val.json", "transforms_test.json"), "has no held-out views: it lacks"),
    "none_held_out": (
        lambda files: [change(name, lambda table: table.update(frames=[]))(files) for name in ("val", "test")],
        "has no views held out",
    ),
    "none_to_fit": (change("train", lambda table: table.update(frames=[])), "has no views to fit"),
    "no_frames": (change("train", lambda table: table.pop("frames")), "has no list of frames in transforms_train.json"),
    "no_angle": (change("val", lambda table: table.pop("camera_angle_x")), "has no camera_angle_x in transforms_val"),
    "wide": (change("train", lambda table: table.update(camera_angle_x=3.2)), "camera_angle_x = 3.2 in transforms_tr"),
    "flat": (change("train", lambda table: table.update(camera_angle_x=0)), "camera_angle_x = 0 in transforms_train"),
    "nan": (change("test", lambda table: table.update(camera_angle_x=math.nan)), "camera_angle_x = nan in transforms"),
    "text": (change("test", lambda table: table.update(camera_angle_x="0.7")), "camera_angle_x = '0.7' in transforms"),
    "another_angle": (change("test", lambda table: table.update(camera_angle_x=0.8)), "camera_angle_x = 0.8 in .* 0.7"),
    "no_path": (frame(lambda view: view.pop("file_path")), "has no file_path in frame 1 of transforms_train.json"),
    "outside": (frame(lambda view: view.update(file_path="../x/r_0")), "'../x/r_0' in .* leaves the scene's folder"),
    "root": (frame(lambda view: view.update(file_path="/etc/passwd")), "'/etc/passwd' in .* leaves the scene's folder"),
    "windows": (frame(lambda view: view.update(file_path="..\\r_0")), r"leaves the scene's folder"),
    "twice": (frame(lambda view: view.update(file_path="test/r_0")), "names the picture 'test/r_0.png' twice"),
    "missing": (remove("train/r_1.png"), "lacks the picture 'train/r_1'"),
    "no_camera": (
        frame(lambda view: view.pop("transform_matrix")),
        r"has no camera \(transform_matrix\) for 'train/r_1",
    ),
    "ragged": (frame(lambda view: view.update(transform_matrix=[[1, 2], [3]])), "no matrix of 4 x 4 numbers"),
    "words": (frame(lambda view: view.update(transform_matrix=[["a"] * 4] * 4)), "no matrix of 4 x 4 numbers"),
    "long": (frame(lambda view: view.update(transform_matrix=[[0] * 4] * 5)), r"matrix of shape \(5, 4\)"),
    "large_number": (frame(lambda view: view.update(transform_matrix=[[10**400] * 4] * 4)), "not finite numbers"),
    "infinite": (matrix(lambda m: m * [1, 1, 1, np.inf]), "camera for 'train/r_1' that has .* not finite numbers"),
    "sheared": (matrix(lambda m: m * [1, 1.01, 1, 1]), r"camera for 'train/r_1' that is no rigid motion: R Rᵀ differs"),
    "huge_rotation": (matrix(lambda m: m * [1e200, 1, 1, 1]), "is no rigid motion"),
    "mirrored": (matrix(lambda m: m * [-1, 1, 1, 1]), "camera for 'train/r_1' that is mirrored"),
    "projective": (matrix(lambda m: m + np.diag([0, 0, 0, 1])), "last row"),
    "far": (
        matrix(lambda m: m * np.where(np.eye(4)[3], [[1e6]] * 3 + [[1]], 1)),
        "has a camera 4.* times box = 1 away from the centre; the maximum",
    ),
    "inside_out": (cameras(lambda m: m @ np.diag([-1, 1, -1, 1])), "look away"),
    "damaged": (put("train/r_1.png", png(rgba(0, 8, 8))[:150]), r"has a picture that cannot be read \(train/r_1.png"),
    "no_picture": (put("test/r_1.png", b"hello"), "test/r_1.png is not an image"),
    "empty": (put("train/r_1.png", b""), "train/r_1.png is not an image"),
    "grey_16": (put("train/r_1.png", sixteen_bits("grey")), "has a picture of 16 bits: train/r_1.png"),
    "colour_16": (put("train/r_1.png", sixteen_bits("colour")), "has a picture of 16 bits: train/r_1.png"),
    "another_size": (
        put("train/r_1.png", png(noise(0, 8, 9))),
        "different sizes: train/r_0.png is 8 x 8, train/r_1.* 8 x 9",
    ),
}


def damaged_nerf(name):
    files = nerf_files()
    NERF_DAMAGE[name][0](files)
    return files


@pytest.mark.parametrize("name", NERF_DAMAGE)
def test_a_scene_that_cannot_be_used_is_one_line(tmp_path, name):
    with pytest.raises(InrzooError, match=NERF_DAMAGE[name][1]) as caught:
        read(tmp_path, damaged_nerf(name) | nerf_files("good"))
    assert (
        "chair has " in str(caught.value) or "chair lacks " in str(caught.value) or "chair names " in str(caught.value)
    )
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert "1 of 2 scenes is unreadable, --set source.skip_unreadable=true leaves it out" in str(caught.value)


def test_all_scenes_that_cannot_be_used_are_listed_and_left_out(tmp_path, caplog):
    files = nerf_files("good")
    for name in NERF_DAMAGE:
        files |= {f"{name}{key.removeprefix('chair')}": content for key, content in damaged_nerf(name).items()}
    with pytest.raises(InrzooError, match=f"{len(NERF_DAMAGE)} of {len(NERF_DAMAGE) + 1} scenes are unreadable"):
        read(tmp_path / "a", files)
    with caplog.at_level(logging.WARNING, "inrzoo.sources"):
        signals = read(tmp_path / "a", files, skip_unreadable=True)
    assert signals.ids == ["good"] and signals.skipped.keys() == NERF_DAMAGE.keys()
    assert all(f": {name} " in caplog.text for name in NERF_DAMAGE)
    assert str(tmp_path) not in str(signals.skipped)
    assert signals.checksums == read(tmp_path / "b", nerf_files("good")).checksums
    with pytest.raises(InrzooError, match=r"1 of 1 scenes is unreadable, which leaves none; chair lacks"):
        read(tmp_path / "c", damaged_nerf("no_train"), skip_unreadable=True)


SRN_DAMAGE = {
    "no_pose": (remove("pose/000001.txt"), "has no camera for rgb/000001.png: it lacks pose/000001.txt"),
    "no_picture": (remove("rgb/000001.png"), "lacks the picture of pose/000001.txt"),
    "words": (put("pose/000001.txt", b"a b c"), "something other than numbers in pose/000001.txt"),
    "bytes": (put("pose/000001.txt", b"\xff\xfe"), "something other than numbers in pose/000001.txt"),
    "short": (put("pose/000001.txt", b"1 2 3"), "has a camera in pose/000001.txt of 3 numbers; expected 4 x 4"),
    "singular": (put("pose/000001.txt", b"0 " * 16), "has a camera in pose/000001.txt that has the last row"),
    "nan": (put("pose/000001.txt", b"nan " * 16), "has a camera in pose/000001.txt that has a matrix with entries"),
    "few_lines": (put("intrinsics.txt", b"1 2 3 0\n"), "has an intrinsics.txt that is not SRN's"),
    "matrix": (put("intrinsics.txt", b"1 0 2\n0 1 2\n0 0 1\n"), "has an intrinsics.txt that is not SRN's"),
    "no_focus": (put("intrinsics.txt", SRN_INTRINSICS.replace(b"150.0", b"-1")), "impossible numbers .* f = -1"),
    "nan_focus": (put("intrinsics.txt", SRN_INTRINSICS.replace(b"150.0", b"nan")), "impossible numbers .* f = nan"),
    "beside": (put("intrinsics.txt", SRN_INTRINSICS.replace(b" 64.", b" 640")), "impossible numbers .* cx = 640"),
    "opengl": (
        lambda files: [
            files.__setitem__(f"chair/pose/{number:06d}.txt", " ".join(map(str, pose(number).ravel())).encode())
            for number in range(6)
        ],
        "has cameras that all look away from the centre of the box",
    ),
}


@pytest.mark.parametrize("name", SRN_DAMAGE)
def test_an_object_that_cannot_be_used_is_one_line(tmp_path, name):
    files = srn_files("chair")
    SRN_DAMAGE[name][0](files)
    with pytest.raises(InrzooError, match=SRN_DAMAGE[name][1]) as caught:
        read(tmp_path, files | srn_files("good"))
    assert "\n" not in str(caught.value) and "1 of 2 scenes is unreadable" in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"num_views": 5}, "has 4 views to fit, fewer than num_views = 5"),
        ({"num_held_out": 4}, "has 3 views held out, fewer than num_held_out = 4"),
        ({"size": 9}, "has views of 8 x 8; size = 9 would enlarge them"),
        ({"box": 1e-3}, "has a camera 4e.03 times box = 0.001 away from the centre"),
    ],
)
def test_settings_that_do_not_fit_the_scenes_are_one_line(tmp_path, fields, why):
    with pytest.raises(InrzooError, match=why):
        read(tmp_path, nerf_files(), **fields)


@pytest.mark.parametrize("fields", [{"num_held_out": 6}, {"num_views": 6}, {"num_views": 5, "num_held_out": 2}])
def test_too_few_views_to_part_are_one_line(tmp_path, fields):
    with pytest.raises(InrzooError, match=r"has (6 views, and .* leave none|4 views to fit, fewer than num_views = 5)"):
        read(tmp_path, srn_files("car"), **fields)


def test_a_picture_that_changes_after_it_was_listed_is_one_line(tmp_path):
    signals = read(tmp_path, nerf_files())
    for content in (b"gone", png(noise(0, 4, 4))):
        (tmp_path / "chair" / "test" / "r_1.png").write_bytes(content)
        with pytest.raises(InrzooError, match=r"chair has a picture .*; it changed after it was listed"):
            only_table(signals)


def test_names_that_only_end_like_those_of_a_scene_are_none(tmp_path):
    with pytest.raises(
        InrzooError, match=r"^no scenes in .* expected \[SPLIT/\]\[CLASS/\]SCENE with one of transforms_train"
    ):
        read(tmp_path, {"a/my_intrinsics.txt": SRN_INTRINSICS})


def test_files_outside_of_a_scene_are_not_opened_by_a_link_in_its_json(tmp_path):
    """A name in a file reaches what lies in the scene's folder, and nothing beside it."""
    files = nerf_files("a") | nerf_files("b")
    table = json.loads(files["b/transforms_train.json"])
    table["frames"][0]["file_path"] = "a/train/r_0"
    files["b/transforms_train.json"] = json.dumps(table).encode()
    with pytest.raises(InrzooError, match="b lacks the picture 'a/train/r_0'"):
        read(tmp_path, files)
