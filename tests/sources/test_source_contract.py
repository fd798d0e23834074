"""The contract of every source."""

import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_datasets import all_values, hiss, image_files, omniglot_files, one_shot_runs, sound, write_idx, write_zip

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.sources import Signals

Case = Callable[[Path, pytest.FixtureRequest], tuple[dict[str, Any], Path | None]]


def digits(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    return {}, None


def omniglot(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    for archive, alphabets in (
        ("images_background", ("Greek", "Latin", "Tifinagh")),
        ("images_evaluation", ("Keble",)),
    ):
        write_zip(tmp_path / f"{archive}.zip", omniglot_files(archive, alphabets))
    return {"size": 16}, tmp_path


def omniglot_runs(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    return {"size": 16}, write_zip(tmp_path / "all_runs.zip", one_shot_runs())


def idx_images(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    return {"num_validation": 10, "class_column": "digit"}, write_idx(tmp_path)


def image_folder(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    files = image_files(("cat", "dog", "emu"), 6, rows=20, columns=16)
    return {"size": 8, "num_validation": 3, "num_test": 3}, write_zip(tmp_path / "animals.zip", files)


def audio_folder(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    files = {f"{name}/{take}.wav": sound(hiss(take, 20 + 9 * take)) for name in ("one", "two") for take in range(8)}
    return {"num_samples": 50, "num_validation": 2, "num_test": 4}, write_zip(tmp_path / "words.zip", files)


def mesh_folder(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    pytest.importorskip("trimesh", reason="the extra shapes is not installed")
    from small_shapes import box, saved

    files = {
        f"{name}/{size}.off": saved(box(1, width, size))
        for name, width in (("flat", 1), ("high", 3))
        for size in range(2, 7)
    }
    return {"num_points": 40, "num_held_out": 20, "num_validation": 2, "num_test": 4}, write_zip(
        tmp_path / "m.zip", files
    )


def mesh_views(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    pytest.importorskip("embreex", reason="the extra shapes is not installed")
    _, path = mesh_folder(tmp_path, request)
    return {"num_validation": 2, "num_test": 4, "size": 8, "num_views": 3, "num_held_out": 2}, path


def posed_views(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    from small_views import nerf_files, srn_files

    files = {}
    for number in range(5):
        files |= nerf_files(f"nerf/{number}", (3, 1, 1), seed=100 * number) | srn_files(f"srn/{number}", seed=number)
    return {"size": 4, "num_views": 3, "num_held_out": 2, "num_validation": 2, "num_test": 4}, write_zip(
        tmp_path / "views.zip", files
    )


def point_clouds(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    pytest.importorskip("trimesh", reason="the extra shapes is not installed")
    for name in ("flat", "high"):
        (tmp_path / name).mkdir()
        for seed in range(5):
            np.save(tmp_path / name / f"{seed}.npy", np.random.default_rng(seed).normal(size=(30, 3)))
    return {"num_points": 40, "num_held_out": 20, "num_validation": 2, "num_test": 4}, tmp_path


def voxels(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    occupied = np.random.default_rng(0).integers(0, 2, (12, 4, 5, 6), dtype=np.uint8)
    np.savez(tmp_path / "v.npz", voxels=occupied, labels=np.arange(12) % 2, classes=np.array(["bed", "sofa"]))
    return {"num_validation": 2, "num_test": 4}, tmp_path / "v.npz"


def voxel_surfaces(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    pytest.importorskip("scipy", reason="the extra shapes is not installed")
    return {"num_points": 40, "num_held_out": 20, **(made := voxels(tmp_path, request))[0]}, made[1]


def arrays(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    from small_fields import globe, save

    fields = {"variable": "z", "coords": ["latitude", "longitude"], "signals": ["month", "level"], "labels": ["level"]}
    globe_fields = {"globe": True, "stride": 3, "num_held_out": 50, "num_validation": 1, "num_test": 2}
    return {**fields, **globe_fields}, save(globe(), tmp_path / "weather.nc")


def tones(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    return {"num_samples": 40}, None


def solids(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    return {"num_points": 40, "num_held_out": 20}, None


def balls(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    return {"size": 4, "num_views": 3, "num_held_out": 1}, None


def hub_images(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path | None]:
    columns = {"image_column": "img", "label_column": "fine_label", "extra_columns": ["coarse_label", "photographer"]}
    return {"repo": "a/b", "num_validation": 80, **columns}, request.getfixturevalue("parquet")


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        digits,
        omniglot,
        omniglot_runs,
        idx_images,
        image_folder,
        audio_folder,
        mesh_folder,
        mesh_views,
        posed_views,
        point_clouds,
        voxels,
        voxel_surfaces,
        arrays,
        tones,
        solids,
        balls,
        hub_images,
    )
}

EMBEDDED, BY_FORMULA = ("digits", "tones", "solids", "balls"), ("tones", "solids", "balls")
"""Sources that read no files of the user's, and those of them that read no files at all."""


@pytest.fixture(params=CASES)
def read(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Signals]:
    fields, path = CASES[request.param](tmp_path, request)
    source = registry.make("sources", {"name": request.param, **fields})
    return lambda: source.read(path)


def test_every_source_has_a_case():
    assert sorted(CASES) == registry.names("sources")


def test_the_catalogue_is_whole(read, request):
    signals = read()
    count = len(signals.ids)
    assert len(signals) == count > 0
    assert len(set(signals.ids)) == count
    assert signals.labels.keys() == signals.label_names.keys()
    for column, codes in signals.labels.items():
        assert codes.shape == (count,) and codes.dtype == np.int64
        assert codes.min() >= 0 and codes.max() < len(signals.label_names[column])
        assert len(set(signals.label_names[column])) == len(signals.label_names[column])
    assert signals.split.shape == (count,) and signals.split.dtype == np.uint8
    only_to_test = request.node.callspec.params["read"] == "omniglot_runs"
    assert set(signals.split) == ({2} if only_to_test else {0, 1, 2})
    assert signals.split_names == ("train", "validation", "test")
    assert signals.checksums or request.node.callspec.params["read"] in BY_FORMULA
    for name, checksum in signals.checksums.items():
        assert "/" not in name.rstrip("/") and re.fullmatch("[0-9a-f]{64}", checksum)


def test_values_come_once_each_and_depend_on_the_index_alone(read):
    signals = read()
    everything = all_values(signals)
    assert everything.shape == (len(signals), *signals.grid, signals.channels) and everything.dtype == signals.dtype
    assert everything.std() > 0
    wanted = [int(index) for index in np.random.default_rng(0).permutation(len(signals))[:7]]
    got = list(signals.tables(wanted))
    assert sorted(index for index, _ in got) == sorted(wanted)
    for index, table in got:
        assert table.keys() == {"signals", *signals.arrays}
        np.testing.assert_array_equal(table["signals"].reshape(everything[index].shape), everything[index])
    assert list(signals.values([])) == []


def test_reading_twice_gives_the_same(read):
    one, two = read(), read()
    assert list(one.ids) == list(two.ids) and one.checksums == two.checksums and one.label_names == two.label_names
    np.testing.assert_array_equal(one.split, two.split)
    np.testing.assert_array_equal(all_values(one), all_values(two))


def test_views_of_signals_keep_ids_labels_and_values_together(read):
    signals = read()
    everything, view = all_values(signals), read().limit(max(5, len(signals) // 3)).by_split()
    place = {identifier: index for index, identifier in enumerate(signals.ids)}
    rows = [place[identifier] for identifier in view.ids]
    np.testing.assert_array_equal(all_values(view), everything[rows])
    np.testing.assert_array_equal(view.split, signals.split[rows])
    for column in signals.labels:
        np.testing.assert_array_equal(view.labels[column], signals.labels[column][rows])


def test_signals_travel_to_a_worker(read):
    # Ray sends functions with cloudpickle, which keeps what a closure holds: no open file may be in it.
    cloudpickle = pytest.importorskip("ray.cloudpickle", reason="ray is not installed")
    signals = read()
    there = pickle.loads(cloudpickle.dumps(signals))
    np.testing.assert_array_equal(all_values(there), all_values(signals))


@pytest.mark.parametrize("name", [name for name in CASES if name not in EMBEDDED])
def test_a_place_that_does_not_exist_is_one_line(name, tmp_path):
    fields = {"repo": "a/b"} if name == "hub_images" else {}
    with pytest.raises(InrzooError, match="nowhere") as caught:
        registry.make("sources", {"name": name, **fields}).read(tmp_path / "nowhere")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in CASES if name not in EMBEDDED])
def test_an_empty_folder_is_one_line(name, tmp_path):
    fields = {"repo": "a/b"} if name == "hub_images" else {}
    with pytest.raises(InrzooError, match=r"^no .* in |no images") as caught:
        registry.make("sources", {"name": name, **fields}).read(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [name for name in CASES if name not in (*EMBEDDED, "hub_images")],
)
def test_without_a_path_and_nothing_to_download(name):
    with pytest.raises(InrzooError, match="--source PATH"):
        registry.make("sources", {"name": name}).read(None)


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"name": "digits", "num_test": -1}, "num_test = -1"),
        ({"name": "digits", "split_seed": -1}, "split_seed = -1"),
        ({"name": "omniglot", "size": 0}, "size = 0"),
        ({"name": "omniglot", "num_alphabets": [0, 1, 1]}, r"num_alphabets = \[0, 1, 1\]"),
        ({"name": "omniglot_runs", "size": 0}, "size = 0"),
        ({"name": "idx_images", "num_validation": -5}, "num_validation = -5"),
        ({"name": "image_folder", "size": -3}, "size = -3"),
        ({"name": "image_folder", "channels": 2}, "channels = 2"),
        ({"name": "image_folder", "classes": {"trian": ["a"]}}, "trian"),
        ({"name": "image_folder", "classes": {"train": ["a"], "test": ["a"]}}, "'a' twice"),
        ({"name": "image_folder", "classes": {}}, "names no class"),
        ({"name": "image_folder", "classes": {"train": ["a"]}, "num_test": 1}, "leave num_validation"),
        ({"name": "audio_folder", "sample_rate": 0}, "sample_rate = 0"),
        ({"name": "audio_folder", "num_samples": -1}, "num_samples = -1"),
        ({"name": "audio_folder", "channels": "right"}, "right"),
        ({"name": "audio_folder", "label_pattern": "("}, "not a regular expression"),
        ({"name": "audio_folder", "label_pattern": "a_(b)"}, "names no group"),
        ({"name": "audio_folder", "label_pattern": "(?P<a>b)", "labels_csv": "a.csv"}, "set one of them"),
        ({"name": "audio_folder", "labels_csv": "a.csv"}, "belong together"),
        ({"name": "audio_folder", "labels_csv": "a.txt", "label_columns": ["a"]}, "must end in .csv or .tsv"),
        ({"name": "audio_folder", "held_out": {"speaker": ["theo"]}, "num_test": 1}, "leave num_test at 0"),
        ({"name": "mesh_folder", "num_points": 0}, "num_points = 0"),
        ({"name": "mesh_folder", "num_held_out": 0}, "num_held_out = 0"),
        ({"name": "mesh_folder", "share_near": 1.5}, "share_near = 1.5"),
        ({"name": "mesh_folder", "clip": 0}, "clip = 0"),
        ({"name": "mesh_folder", "fill": 1.01}, "fill = 1.01"),
        ({"name": "mesh_folder", "seed": -1}, "seed = -1"),
        ({"name": "mesh_folder", "quantity": "distance"}, "'sdf', 'udf', 'occupancy'"),
        ({"name": "mesh_folder", "dtype": "uint8"}, "'float16', 'float32'"),
        ({"name": "mesh_folder", "num_test": -1}, "num_test = -1"),
        ({"name": "mesh_folder", "classes": {"train": ["a"]}, "num_test": 1}, "leave num_validation"),
        ({"name": "point_clouds", "clip": 5.0}, "clip = 5.0"),
        ({"name": "mesh_views", "size": 0}, "size = 0"),
        ({"name": "mesh_views", "num_views": 0}, "num_views = 0"),
        ({"name": "mesh_views", "num_held_out": -1}, "num_held_out = -1"),
        ({"name": "mesh_views", "radius": 1.7}, "radius = 1.7 is impossible; it must be from 1.75 to 1000"),
        ({"name": "mesh_views", "field_of_view": 180}, "field_of_view = 180.0"),
        ({"name": "mesh_views", "colour": [0, 0, 256]}, r"colour = \(0, 0, 256\)"),
        ({"name": "mesh_views", "up": "x"}, "'y', 'z'"),
        ({"name": "mesh_views", "background": "grey"}, "'white', 'black'"),
        ({"name": "mesh_views", "fill": 0}, "fill = 0"),
        ({"name": "mesh_views", "seed": -1}, "seed = -1"),
        ({"name": "posed_views", "size": 0}, "size = 0"),
        ({"name": "posed_views", "num_views": 0}, "num_views = 0"),
        ({"name": "posed_views", "num_held_out": 0}, "num_held_out = 0"),
        ({"name": "posed_views", "box": 0}, "box = 0"),
        ({"name": "posed_views", "box": float("nan")}, "box = nan"),
        ({"name": "posed_views", "centre": [0, 0, float("inf")]}, r"centre = \[0.0, 0.0, inf\]"),
        ({"name": "posed_views", "centre": [0, 0]}, "centre = "),
        ({"name": "posed_views", "alpha": "none"}, "'straight', 'premultiplied'"),
        ({"name": "posed_views", "classes": {"trian": ["a"]}}, "trian"),
        ({"name": "posed_views", "num_test": -1}, "num_test = -1"),
        ({"name": "voxels", "num_validation": -1}, "num_validation = -1"),
        ({"name": "voxel_surfaces", "num_validation": -1}, "voxel_surfaces.num_validation = -1"),
        ({"name": "voxel_surfaces", "seed": -1}, "voxel_surfaces.seed = -1"),
        ({"name": "arrays", "stride": 0}, "stride = 0"),
        ({"name": "arrays", "num_held_out": 0}, "num_held_out = 0"),
        ({"name": "arrays", "globe": True}, "globe needs stride = 2"),
        ({"name": "arrays", "globe": True, "stride": 2, "coords": ["x"]}, "a latitude and a longitude"),
        ({"name": "arrays", "coords": ["x"], "signals": ["x"]}, "'x' twice"),
        ({"name": "arrays", "signals": ["time"], "labels": ["level"]}, "'level', which is none of signals"),
        ({"name": "arrays", "signals": ["time"], "labels": ["time.week"]}, "parts of a time are: year, month"),
        ({"name": "arrays", "poles": "mean"}, "'same', 'first', 'drop'"),
        ({"name": "hub_images"}, "needs repo"),
        ({"name": "hub_images", "repo": "a/b", "splits": {"dev": "x"}}, "'dev'"),
        ({"name": "hub_images", "repo": "a/b", "splits": {"train": "x", "test": "x"}}, "each once"),
        ({"name": "hub_images", "repo": "a/b", "split_column": "label"}, "belong together"),
        (
            {"name": "hub_images", "repo": "a/b", "split_column": "other", "split_classes": {"train": ["a"]}},
            "'other' must be one of",
        ),
    ],
)
def test_impossible_fields_are_one_line(spec, named):
    with pytest.raises(InrzooError, match=named) as caught:
        registry.make("sources", spec)
    assert "\n" not in str(caught.value)


def test_importing_the_room_is_cheap():
    heavy = (
        "PIL",
        "datasets",
        "embreex",
        "pooch",
        "rich",
        "scipy",
        "sklearn",
        "soundfile",
        "soxr",
        "torch",
        "trimesh",
        "xarray",
    )
    code = f"import sys, inrzoo.sources; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
