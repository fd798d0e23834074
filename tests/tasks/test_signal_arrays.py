"""Signals of a source in memory, decoded when they are needed, and from a scratch file: the same, to the bit."""

import os
import runpy
import threading
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inrzoo import manifest, registry, tasks
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.sources import Signals, _files
from inrzoo.sources._quiet import quiet
from inrzoo.sources.digits import Digits
from inrzoo.sources.solids import Solids
from inrzoo.tasks import UnfittedDataset, signal_arrays, signals
from inrzoo.tasks.signal_arrays import SignalArrays
from inrzoo.tasks.signals import signal_set
from inrzoo.tasks.training.batches import TrainingBatches

WAYS = {"memory": {}, "decoded": {"random_access": True}, "scratch file": {}}
"""Ways to the arrays of signals, and what a source says for them."""


@pytest.fixture(autouse=True)
def nothing_is_kept():
    """Sets that an earlier test has read in another way."""
    yield
    for cached in (signals._of_dataset, signals._arrays, signals._listed):
        cached.cache_clear()


@pytest.fixture
def way(request, monkeypatch, tmp_path):
    """Read the signals of every source in this way."""
    monkeypatch.setenv("INRZOO_CACHE", str(tmp_path / "cache"))
    if request.param == "memory":
        return request.param
    monkeypatch.setattr(signal_arrays, "IN_MEMORY_BYTES", 0)
    make = Signals.__init__

    def said(self, **fields):
        make(self, **{**fields, "random_access": request.param == "decoded"})

    monkeypatch.setattr(Signals, "__init__", said)
    return request.param


EVERY_WAY = pytest.mark.parametrize("way", WAYS, indirect=True)


@EVERY_WAY
@pytest.mark.parametrize("source", [Digits(), Solids(num_points=20, num_held_out=8)])
def test_rows_are_those_of_the_source_in_any_order(way, source):
    listed = source.read(None)
    arrays, expected = SignalArrays(listed), listed.read_arrays(range(len(listed)))
    for rows in ([7, 3, 11, 0, 5], [4], []):
        found = arrays(np.array(rows, dtype=np.int64))
        assert found.keys() == expected.keys()
        for name, array in found.items():
            assert array.dtype == expected[name].dtype and np.array_equal(array, expected[name][rows])
    assert arrays.signal_bytes == sum(array[0].nbytes for array in expected.values())
    flat = expected["signals"].astype(np.float64).reshape(len(listed), -1)
    assert np.array_equal(arrays.extremes_N2, np.stack([flat.min(1), flat.max(1)], axis=1))


def task(**fields):
    hypernet = {"name": "learned_init", "inner_lr": 0.05}
    inr = {"name": "siren", "hidden_features": 8, "hidden_layers": 1, "omega_0": 8.0}
    table = {"name": "hypernetwork", "hypernet": hypernet, "inr": inr, "batch": 8, "steps": 12, "validate_every": 6}
    return registry.make("tasks", {**table, **fields})


def test_every_way_trains_the_same_network_and_continues_to_the_same_bits(monkeypatch, tmp_path):
    """Augmented, over more than one epoch, by one decoder and by several."""
    data = UnfittedDataset(manifest.load("digits", overrides={"source.num_validation": 800, "source.num_test": 950}))
    one = task(augment=[{"name": "crop", "padding": 2}])
    assert len(signal_set(data, "train")) < one.steps * one.batch
    tasks.train(one, data, tmp_path / "memory", device="cpu", quiet=True)
    expected = read(tmp_path / "memory" / "last.safetensors").module
    monkeypatch.setattr(signal_arrays, "IN_MEMORY_BYTES", 0)
    make = Signals.__init__
    for name, random_access, threads in (("decoded", True, 1), ("by four", True, 4), ("scratch", False, 1)):
        signals._of_dataset.cache_clear(), signals._arrays.cache_clear(), signals._listed.cache_clear()
        monkeypatch.setattr(
            Signals, "__init__", lambda self, _=random_access, **f: make(self, **f | {"random_access": _})
        )
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, count=threads: set(range(count)))
        for stop in (5, None):
            tasks.train(one, data, tmp_path / name, device="cpu", quiet=True, stop_after=stop)
        found = read(tmp_path / name / "last.safetensors").module
        assert all(torch.equal(found[key], expected[key]) for key in expected), name


@pytest.fixture
def photos(tmp_path):
    """Twelve photographs of 8×8 in a folder, and in an archive, with a manifest."""
    folder, generator = tmp_path / "photos", np.random.default_rng(0)
    for number in range(12):
        place = folder / ("train", "val", "test")[number % 3] / f"class_{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02d}.png")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder))
    (tmp_path / "photos.toml").write_text('[source]\nname = "image_folder"\n[inr]\nname = "siren"\n')
    return tmp_path


@pytest.mark.parametrize("kind", ["photos", "photos.zip"])
def test_files_are_listed_and_hashed_once_for_all_splits(kind, photos, monkeypatch):
    """Also where the size of every picture is checked, and an archive is opened once."""
    reads, opened = [], []
    read_file, open_zip = _files.read_file, zipfile.ZipFile.__init__
    monkeypatch.setattr(_files, "read_file", lambda path: reads.append(path) or read_file(path))
    monkeypatch.setattr(
        zipfile.ZipFile, "__init__", lambda self, *words: opened.append(words) or open_zip(self, *words)
    )
    data = UnfittedDataset(manifest.load(str(photos / "photos.toml")), photos / kind)
    sets = [signal_set(data, split) for split in ("train", "validation", "test")]
    assert [len(each) for each in sets] == [4, 4, 4]
    assert len(reads) == (13 if kind == "photos" else 0), "each file once, and the first one for its size"
    assert len(opened) == (0 if kind == "photos" else 2), "once for the names, once for the contents"
    monkeypatch.setattr(signal_arrays, "IN_MEMORY_BYTES", 0)
    for each in sets:
        for _ in range(3):
            assert each.read_rows(slice(None)).values.shape == (4, 64, 3)
    assert len(opened) == (0 if kind == "photos" else 2)


def test_a_photograph_that_changes_is_one_line(photos, monkeypatch):
    monkeypatch.setattr(signal_arrays, "IN_MEMORY_BYTES", 0)
    data = UnfittedDataset(manifest.load(str(photos / "photos.toml")), photos / "photos")
    train = signal_set(data, "train")
    next((photos / "photos" / "train").rglob("*.png")).write_bytes(b"no picture")
    with pytest.raises(InrzooError, match="is not an image"):
        train.read_rows(slice(None))


def test_a_scratch_file_has_no_name_and_needs_room(monkeypatch, tmp_path):
    monkeypatch.setenv("INRZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(signal_arrays, "IN_MEMORY_BYTES", 0)
    listed = Digits().read(None)
    assert SignalArrays(listed)(np.array([1]))["signals"].shape == (1, 64, 1)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
    monkeypatch.setattr(signal_arrays, "free_bytes", lambda folder: 1000)
    with pytest.raises(InrzooError, match=r"a file of 115,008 bytes, .* 1,000 free; set INRZOO_CACHE"):
        SignalArrays(listed)(np.array([1]))


@pytest.mark.parametrize("kept", [0, signal_arrays.IN_MEMORY_BYTES])
def test_the_scale_of_a_set_is_that_of_its_training_split_however_it_is_read(kept, monkeypatch):
    overrides = {"source.num_points": 20, "source.num_held_out": 8, "values.limits": None}
    settings = manifest.load("solids", overrides={**overrides, "values.scale": "dataset"})
    monkeypatch.setattr(signal_arrays, "IN_MEMORY_BYTES", kept)
    listed = Solids(num_points=20, num_held_out=8).read(None)
    of_training, of_test = (
        listed.array(np.flatnonzero(listed.split == number).tolist()).astype(np.float64) for number in (0, 2)
    )
    first, last = of_training.min(), of_training.max()
    assert (first, last) != (of_test.min(), of_test.max())
    found = signal_set(UnfittedDataset(settings), "test").read_rows(torch.tensor([1, 0])).values
    np.testing.assert_allclose(found, (2 * (of_test[[1, 0]] - first) / (last - first) - 1), rtol=0, atol=1e-6)


def test_the_order_mixes_runs_from_all_over_the_set():
    """Large signals are few in a run, so that a window of a set that is sorted by class has many classes."""
    made = signal_set("digits", "train")
    large = replace(made, signal_bytes=95_052, size=100_000)
    starts, _ = large.chunks()
    assert starts[1] == 44 and len(starts) == 2274
    batches = large.batches(16, seed=0)
    assert isinstance(batches, TrainingBatches)
    window = next(batches._stream.order.groups(0)).windows[0]
    assert len(window.positions) * 95_052 / 2**20 == pytest.approx(128, rel=0.1)
    assert len(np.unique(window.positions // 10_000)) >= 9


@pytest.mark.slow
def test_memory_does_not_grow_with_the_set(tmp_path):
    """Four times as many photographs, 1.1 GB more of pixels: a few hundred bytes more for each name."""
    script = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "streaming.py"))
    peaks = {}
    for count in (3_000, 12_000):
        assert count * script["SIDE"] ** 2 * 3 > signal_arrays.IN_MEMORY_BYTES
        first, second = script["measured"](
            script["made_photos"](tmp_path / str(count), count, 200), tmp_path / f"r{count}"
        )
        assert (first["step"], second["step"]) == (script["STOP_AFTER"], script["STEPS"])
        peaks[count] = max(first["peak"], second["peak"])
    assert peaks[12_000] - peaks[3_000] < 64 * 2**20


def test_threads_that_decode_leave_the_filters_of_warnings_as_they_were():
    """The first to come is not the last to go; whoever is inside is warned of bombs by an error."""
    before, inside, leave = list(warnings.filters), threading.Barrier(2), threading.Event()

    def first():
        with quiet():
            inside.wait(10)
        leave.set()

    thread = threading.Thread(target=first)
    thread.start()
    with quiet():
        inside.wait(10)
        assert leave.wait(10), "the other thread is out"
        with pytest.raises(Image.DecompressionBombWarning):
            warnings.warn("large", Image.DecompressionBombWarning, stacklevel=1)
    thread.join()
    assert warnings.filters == before
