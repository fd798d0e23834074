"""The public datasets themselves, where a machine has them."""

import io
import tomllib
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
from small_datasets import all_values

from inrzoo import registry
from inrzoo.sources.audio_folder import AudioFolder
from inrzoo.sources.hub_images import HubImages
from inrzoo.sources.idx_images import IdxImages
from inrzoo.sources.omniglot import Omniglot
from inrzoo.sources.omniglot_runs import OmniglotRuns

pytestmark = pytest.mark.realdata
MANIFESTS = Path(__file__).parents[2] / "manifests"


def test_omniglot_is_whole(data):
    signals = Omniglot().read(data / "omniglot")
    assert len(signals) == 32_460
    sizes = {column: len(names) for column, names in signals.label_names.items()}
    assert sizes == {"character": 1623, "alphabet": 50, "drawer": 20}
    assert signals.label_names["drawer"] == [f"{drawer:02d}" for drawer in range(1, 21)]
    assert set(np.bincount(signals.labels["character"])) == {20}
    some = all_values(signals.limit(1623))
    assert some.shape == (1623, 32, 32, 1)
    assert 0.02 < (some > 127).mean() < 0.15  # thin white strokes on black
    assert (some[:, [0, -1]] > 127).mean() < 0.01
    # Table 1 of the few-shot paper: 33, 5 and 12 alphabets.
    split_of = dict(zip(signals.labels["alphabet"], signals.split, strict=True))
    assert np.bincount(list(split_of.values())).tolist() == [33, 5, 12]
    official = Omniglot(splits="official").read(data / "omniglot")
    assert np.bincount(official.split).tolist() == [964 * 20, 0, 659 * 20]
    lake = Omniglot(splits="official", num_alphabets=(25, 5, 20)).read(data / "omniglot")
    assert np.bincount(lake.split)[2] == 659 * 20 and (lake.split == 1).any()


def test_one_shot_runs_are_drawings_of_the_evaluation_set(data):
    """Two drawers draw the 20 characters of a run, which are of one alphabet."""
    runs = OmniglotRuns().read(data / "omniglot")
    assert len(runs) == 800 and len(runs.label_names["run"]) == 20
    assert set(np.bincount(runs.labels["character"])) == {2}
    drawings = Omniglot(splits="official").read(data / "omniglot")
    evaluation = np.flatnonzero(drawings.split == 2)
    number_of = {values.tobytes(): number for number, values in drawings.values(evaluation.tolist())}
    found = np.array([number_of[values.tobytes()] for _, values in sorted(runs.values(range(800)), key=lambda x: x[0])])
    for character in range(len(runs.label_names["character"])):
        assert len(set(drawings.labels["character"][found[runs.labels["character"] == character]])) == 1
    for run in range(20):
        for part in range(2):
            members = found[(runs.labels["run"] == run) & (runs.labels["part"] == part)]
            assert len(set(drawings.labels["alphabet"][members])) == len(set(drawings.labels["drawer"][members])) == 1


def test_mnist(data):
    signals = IdxImages(class_column="digit").read(data / "mnist")
    assert len(signals) == 70_000 and signals.grid == (28, 28)
    assert np.bincount(signals.split).tolist() == [55_000, 5_000, 10_000]
    assert np.bincount(signals.labels["digit"][signals.split != 2]).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949
    ]  # fmt: skip
    every = all_values(signals.limit(1000))
    assert abs(every.mean() / 255 - 0.131) < 0.01  # MNIST's mean is 0.1307


def test_a_share_of_cifar10(data):
    signals = HubImages(repo="uoft-cs/cifar10", image_column="img", num_validation=5000).read(data / "cifar10")
    assert len(signals) == 12_000 and signals.grid == (32, 32) and signals.channels == 3
    assert np.bincount(signals.split).tolist() == [5_000, 5_000, 2_000]
    assert signals.label_names["label"][:3] == ["airplane", "automobile", "bird"]
    some = all_values(signals.limit(500)) / 255
    np.testing.assert_allclose(some.mean(axis=(0, 1, 2)), [0.491, 0.482, 0.447], atol=0.03)


def test_spoken_digits_are_the_files_samples(data):
    spec = tomllib.loads((MANIFESTS / "spoken_digits.toml").read_text(encoding="utf-8"))["source"]
    archive = data / "fsdd" / "fsdd_recordings.zip"
    signals = registry.make("sources", spec).read(archive)
    assert len(signals) == 1200 and signals.skipped == {}
    assert signals.label_names["digit"] == list("0123456789") and len(signals.label_names["speaker"]) == 6
    assert np.bincount(signals.split).tolist() == [800, 100, 300]  # 5 of 20 recordings of each digit and speaker
    assert set(np.bincount(signals.labels["digit"][signals.split == 2])) == {30}
    lengths, offsets = signals.numbers["num_samples"], signals.numbers["offset"]
    rows = [int(np.argmin(lengths)), int(np.argmax(lengths)), 0, 700]
    clips = dict(zip(rows, signals.array(rows)[:, :, 0], strict=True))
    with zipfile.ZipFile(archive) as files:
        for row, clip in clips.items():
            with wave.open(io.BytesIO(files.read(f"recordings/{signals.ids[row]}"))) as file:  # not libsndfile
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            assert len(samples) == lengths[row]
            start, stop = signals.valid[row]
            np.testing.assert_array_equal(clip[start:stop], samples[offsets[row] :][: stop - start])
            assert not clip[:start].any() and not clip[stop:].any() and stop - start == min(len(samples), 4096)


def test_speech_prompts(data):
    spec = tomllib.loads((MANIFESTS / "speech.toml").read_text(encoding="utf-8"))["source"]
    pattern = "(?P<word>[^/]+)/(?P<language>[a-z]{2})_[A-Z]{2}_(?P<speaker>[^/]+)$"
    source = AudioFolder(**{key: value for key, value in spec.items() if key != "name"}, label_pattern=pattern)
    signals = source.read(data / "speech_prompts")
    assert len(signals) == 660
    assert signals.label_names["language"] == ["en", "es", "fr", "it", "ru"]
    assert len(signals.label_names["speaker"]) == 4
    some = all_values(signals.limit(40))
    assert some.shape == (len(some), 4096, 1) and some.dtype == np.int16 and np.abs(some).max(axis=(1, 2)).min() > 100


def test_manifests_fit_what_is_there(data):
    for name, place, count in (
        ("omniglot", "omniglot", 32_460),
        ("mnist", "mnist", 70_000),
        ("cifar10", "cifar10", 12_000),
    ):
        spec = tomllib.loads((MANIFESTS / f"{name}.toml").read_text(encoding="utf-8"))["source"]
        assert len(registry.make("sources", spec).read(data / place)) == count
