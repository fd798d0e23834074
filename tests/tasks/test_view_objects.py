"""The objects of the scripts of novel views: renderings in the layout of TransINR's code, and classes of meshes."""

import importlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_ins import PIPELINES

from inrzoo import registry
from inrzoo.observations.rays import looking_at_0


@pytest.fixture
def view_objects(tmp_path, monkeypatch):
    """The module, made for the files that a call names: `view_objects(SHAPENET=folder)`."""

    def load(**environment: object):
        for key, value in {"SCALE": "tiny", "OUT": tmp_path / "out", **environment}.items():
            monkeypatch.setenv(f"INRZOO_{key}", str(value))
        monkeypatch.syspath_prepend(PIPELINES)
        for name in ("script", "view_objects"):
            monkeypatch.delitem(importlib.sys.modules, name, raising=False)
        return importlib.import_module("view_objects")

    return load


def render(folder: Path, count: int, shade: int) -> list[np.ndarray]:
    """An object's pictures, half of each transparent, and its file of cameras, 4 away; returns the poses."""
    folder.mkdir(parents=True)
    rng, frames, poses = np.random.default_rng(shade), [], []
    for number in range(count):
        pixels = np.zeros((8, 8, 4), np.uint8)
        pixels[:4] = [shade, number, 0, 255]
        Image.fromarray(pixels).save(folder / f"img{number}.png")
        direction = rng.normal(size=3)
        poses.append(looking_at_0(direction / np.linalg.norm(direction), 4.0))
        matrix = [*poses[-1].tolist(), [0, 0, 0, 1]]
        frames.append({"file_path": f"./elsewhere/img{number}", "transform_matrix": matrix})
    (folder / "transforms.json").write_text(json.dumps({"camera_angle_x": 0.8, "frames": frames}))
    return poses


def test_renderings_of_transinrs_layout_are_posed_views(tmp_path, view_objects):
    """The first 25 frames are fitted or support views, held-out views come after them, or else from their end."""
    poses = [render(tmp_path / "in/chairs" / name, count, 50 * row) for row, (name, count) in enumerate(
        [("a", 40), ("b", 40), ("c", 25), ("d", 25)], start=1
    )]  # fmt: skip
    splits = {"train": ["a", "c", "lost"], "test": ["b", "d"]}
    (tmp_path / "in/chair_splits.json").write_text(json.dumps(splits))
    (data,) = view_objects(SHAPENET=tmp_path / "in", CLASSES="chairs").objects().values()
    for _ in range(2):  # links of an earlier call are taken
        signals = registry.make("sources", data.manifest.source).read(data.source)
    assert [identifier.split("/")[-1] for identifier in signals.ids] == ["b", "d", "a", "c"]
    assert sorted(signals.split.tolist()) == [0, 1, 2, 2]
    arrays = signals.read_arrays(range(4))
    assert arrays["signals"].shape == (4, 19 * 64, 3)
    for row, (found, count) in enumerate(((1, 25), (3, 19), (0, 25), (2, 19))):
        numbers = [
            {int(picture.reshape(8, 8, 3)[0, 0, 1]) for picture in np.split(arrays[name][row], parts)}
            for name, parts in (("signals", 19), ("held_out_signals", 6))
        ]
        assert max(numbers[0]) < count and min(numbers[1]) >= count, "held-out frames come after the fitted ones"
        assert (arrays["signals"][row].reshape(19, 8, 8, 3)[:, 4:] == 255).all()
        first = int(arrays["signals"][row, 0, 1])
        pose = poses[found][first].copy()
        pose[:, 3] /= 1.5
        np.testing.assert_allclose(arrays["poses"][row, 0], pose, atol=1e-6)


@pytest.mark.parametrize("packed", [False, True])
def test_some_classes_are_taken_from_a_folder_or_an_archive_of_all(packed, tmp_path, view_objects):
    box = "OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"
    for place in ("chair/train/one.off", "chair/test/two.off", "lamp/train/three.off", "table/test/four.off"):
        path = tmp_path / "all" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(box)
    meshes = tmp_path / "all"
    if packed:
        meshes = tmp_path / "all.zip"
        with zipfile.ZipFile(meshes, "w") as archive:
            for path in sorted((tmp_path / "all").rglob("*.off")):
                archive.write(path, Path("furniture3d") / path.relative_to(tmp_path / "all"))
    (data,) = view_objects(FURNITURE_VIEWS=meshes, CLASSES="chair,table").objects().values()
    names = sorted(path.name for path in data.source.rglob("*.off")) if packed else None
    assert names in (None, ["four.off", "one.off", "two.off"])
    source = {**data.manifest.source, "num_validation": 0}
    signals = registry.make("sources", source).read(data.source)
    assert signals.label_names["class"] == ["chair", "table"] and len(signals) == 3
