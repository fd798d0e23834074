"""Datasets of the Hub, from Parquet files on disk; the network is never asked."""

import subprocess
import sys

import numpy as np
import pytest
from small_datasets import all_values, hub_dataset, image_files, noise, write_parquet, write_zip

from inrzoo.errors import InrzooError
from inrzoo.sources.hub_images import HubImages
from inrzoo.sources.image_folder import ImageFolder

COLUMNS = {"repo": "a/b", "image_column": "img", "label_column": "fine_label"}


def test_rows_become_signals_in_order(parquet):
    signals = HubImages(**COLUMNS, num_validation=80).read(parquet)
    assert len(signals) == 640 and signals.grid == (8, 8) and signals.channels == 3
    assert signals.ids[0] == "train/000000" and signals.ids[600] == "test/000000"
    assert signals.labels["fine_label"].tolist() == [row % 8 for row in (*range(600), *range(40))]
    assert signals.label_names["fine_label"] == [f"fine{code}" for code in range(8)]
    assert np.bincount(signals.split).tolist() == [520, 80, 40]
    expected = np.stack([noise(seed) for seed in (*range(600), *range(10_000, 10_040))])
    np.testing.assert_array_equal(all_values(signals), expected)
    assert set(signals.checksums) == {"train-00000-of-00001.parquet", "test-00000-of-00001.parquet"}


def test_split_by_superclass_pools_the_splits_and_leaves_others_out(parquet):
    source = HubImages(
        **COLUMNS,
        extra_columns=["coarse_label"],
        split_column="coarse_label",
        split_classes={"train": ["town"], "validation": ["sea"], "test": ["tree"]},
    )
    signals = source.read(parquet)
    assert list(signals.labels) == ["fine_label", "coarse_label"]
    assert np.bincount(signals.split).tolist() == [160, 160, 160]
    for split, name, fine in ((0, "town", {6, 7}), (1, "sea", {0, 1}), (2, "tree", {4, 5})):
        inside = signals.split == split
        assert {signals.label_names["coarse_label"][code] for code in signals.labels["coarse_label"][inside]} == {name}
        assert set(signals.labels["fine_label"][inside].tolist()) == fine
    assert "train/000002" not in signals.ids and "test/000000" in signals.ids  # row 2 is sky
    index = signals.ids.index("train/000004")
    np.testing.assert_array_equal(dict(signals.values([index]))[index], noise(4))


def test_string_columns_are_coded_by_name(parquet):
    signals = HubImages(**COLUMNS, extra_columns=["photographer"], splits={"test": "test"}).read(parquet)
    assert signals.label_names["photographer"] == ["ann", "bob"]
    assert signals.labels["photographer"][:6].tolist() == [0, 1, 1, 0, 1, 1]
    assert set(signals.split) == {2} and len(signals) == 40


def test_only_the_images_asked_for_are_decoded_and_reading_stops_after_the_last(tmp_path, monkeypatch):
    path = write_parquet(tmp_path, 600, 8, damaged=[5])
    tables = []
    original = HubImages._tables

    def counted(self, stream, path):
        for table in original(self, stream, path):
            tables.append(len(table))
            yield table

    signals = HubImages(**COLUMNS).read(path)
    monkeypatch.setattr(HubImages, "_tables", counted)
    assert [index for index, _ in signals.values([7, 3, 4])] == [3, 4, 7]
    assert tables == [256]
    with pytest.raises(InrzooError, match=r"train/000005 is a damaged image"):
        list(signals.values([5]))


def test_images_of_unequal_size_need_a_size(tmp_path):
    path = write_parquet(tmp_path, 16, 8, size=lambda row: 9 if row == 6 else 8)
    with pytest.raises(InrzooError, match=r"train/000006 is 9 x 9, the images before it 8 x 8; set size"):
        all_values(HubImages(**COLUMNS).read(path))
    assert all_values(HubImages(**COLUMNS, size=4).read(path)).shape == (24, 4, 4, 3)


def test_saved_to_disk(tmp_path):
    import datasets

    train, test = hub_dataset(24, 0), hub_dataset(8, 500)
    datasets.DatasetDict(train=train, test=test).save_to_disk(str(tmp_path / "both"))
    signals = HubImages(**COLUMNS).read(tmp_path / "both")
    np.testing.assert_array_equal(
        all_values(signals), np.stack([noise(seed) for seed in (*range(24), *range(500, 508))])
    )
    assert len(signals.checksums) >= 1
    train.save_to_disk(str(tmp_path / "one"))
    with pytest.raises(InrzooError, match="without splits"):
        HubImages(**COLUMNS).read(tmp_path / "one")


def test_an_image_folder_is_read_as_one(tmp_path):
    files = image_files(("cat", "dog"), 6, split="train/") | image_files(("cat", "dog"), 2, split="test/")
    path = write_zip(tmp_path / "animals.zip", files)
    expected = ImageFolder(num_validation=4, size=4).read(path)
    for place in (path, tmp_path):
        signals = HubImages(repo="a/b", num_validation=4, size=4).read(place)
        assert signals.ids == expected.ids and signals.label_names == {"label": ["cat", "dog"]}
        np.testing.assert_array_equal(signals.split, expected.split)
        np.testing.assert_array_equal(all_values(signals), all_values(expected))
    with pytest.raises(InrzooError, match=r"has no column coarse_label: expected a folder of Parquet files .* a/b"):
        HubImages(repo="a/b", extra_columns=["coarse_label"]).read(path)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"label_column": "kind"}, r"no column 'kind'; it has: img, fine_label, coarse_label, photographer"),
        ({"image_column": "fine_label"}, "'fine_label' does not hold images"),
        ({"splits": {"validation": "dev"}}, r"cannot read .*dev"),
        (
            {"split_column": "fine_label", "split_classes": {"train": ["wolf"]}},
            r"no fine_label 'wolf'; it has: fine0, fine1",
        ),
        ({"num_validation": 600}, "leaves nothing of the 600"),
    ],
)
def test_fields_that_do_not_fit_the_data_are_one_line(parquet, fields, said):
    with pytest.raises(InrzooError, match=said) as caught:
        HubImages(**{**COLUMNS, **fields}).read(parquet)
    assert "\n" not in str(caught.value)


def test_a_damaged_parquet_file_is_one_line(tmp_path):
    path = write_parquet(tmp_path, 24, 8)
    victim = path / "data" / "train-00000-of-00001.parquet"
    victim.write_bytes(victim.read_bytes()[:-100])
    with pytest.raises(InrzooError, match=r"cannot read .* as a dataset") as caught:
        HubImages(**COLUMNS).read(path)
    assert "\n" not in str(caught.value)


def python(code, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, timeout=120
    )


def test_without_network_one_line_says_what_to_fetch():
    done = python(
        "from inrzoo.sources.hub_images import HubImages\n"
        "from inrzoo.errors import InrzooError\n"
        "try:\n    HubImages(repo='nobody/nothing', revision='abc').read(None)\n"
        "except InrzooError as error:\n    print(error)",
        HF_HUB_OFFLINE="1",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert "cannot read nobody/nothing from the Hub" in done.stdout
    assert "https://huggingface.co/datasets/nobody/nothing/tree/abc" in done.stdout and "--source" in done.stdout


def test_a_stream_left_half_read_does_not_hurt_at_the_end(parquet):
    done = python(
        "from pathlib import Path\n"
        "from inrzoo.sources.hub_images import HubImages\n"
        f"signals = HubImages(repo='a/b', image_column='img', label_column='fine_label').read(Path({str(parquet)!r}))\n"
        "values = signals.values(range(600))\n"
        "print(next(values)[0])"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr
