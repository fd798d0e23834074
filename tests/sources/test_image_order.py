"""An order of images brings every copy of a dataset to the same signals."""

import gzip

import numpy as np
import pytest
import stand_ins
from small_datasets import all_values, hub_dataset, write_idx, write_parquet

from inrzoo.errors import InrzooError
from inrzoo.sources import image_order
from inrzoo.sources.hub_images import HubImages
from inrzoo.sources.idx_images import IdxImages, read_idx

PARTS = {"train": "train", "test": "t10k"}


@pytest.fixture
def orders(tmp_path, monkeypatch):
    """An empty folder in place of manifests/orders."""
    monkeypatch.setattr(image_order, "folder", lambda: tmp_path)
    (tmp_path / "orders").mkdir()
    return tmp_path / "orders"


def images(signals, part):
    codes = next(iter(signals.labels.values()))
    rows = [row for row, each in enumerate(signals.ids) if each.startswith(part)]
    return [(int(codes[row]), values.tobytes()) for row, values in signals.values(rows)]


def write_order(path, signals):
    image_order.write_order(path, {part: images(signals, part) for part in PARTS})


def shuffled_idx(source, folder, seed=0):
    """The same images and labels in another order."""
    parts = {}
    for number, part in enumerate(PARTS.values()):
        contents = [
            read_idx(source / f"{part}-{kind}-ubyte.gz", size)
            for kind, size in (("images-idx3", 3), ("labels-idx1", 1))
        ]
        order = np.random.default_rng(seed + number).permutation(len(contents[1]))
        parts[part] = tuple(content[order] for content in contents)
    return stand_ins.write_idx(folder, parts, True)


def test_a_shuffled_copy_of_idx_files_gives_the_same_signals(tmp_path, orders):
    first = IdxImages(num_validation=10).read(write_idx(tmp_path / "first"))
    write_order(orders / "mine.npz", first)
    copy = shuffled_idx(tmp_path / "first", tmp_path / "copy")
    assert not np.array_equal(all_values(IdxImages(num_validation=10).read(copy)), all_values(first))
    second = IdxImages(num_validation=10, order="mine").read(copy)
    np.testing.assert_array_equal(all_values(second), all_values(first))
    assert second.ids == first.ids and second.split.tolist() == first.split.tolist()
    assert second.labels["class"].tolist() == first.labels["class"].tolist()


def test_rows_of_a_parquet_copy_are_brought_to_the_order(tmp_path, orders):
    columns = {"repo": "a/b", "image_column": "img", "label_column": "fine_label", "extra_columns": ["photographer"]}
    (tmp_path / "first").mkdir()
    first = HubImages(**columns, num_validation=8).read(write_parquet(tmp_path / "first", 40, 16))
    write_order(orders / "mine.npz", first)
    (tmp_path / "copy" / "data").mkdir(parents=True)
    for split, count, seed in (("train", 40, 0), ("test", 16, 10_000)):
        rows = hub_dataset(count, seed).shuffle(seed=3)
        rows.to_parquet(str(tmp_path / "copy" / "data" / f"{split}-00000-of-00001.parquet"))
    second = HubImages(**columns, num_validation=8, order="mine").read(tmp_path / "copy")
    np.testing.assert_array_equal(all_values(second), all_values(first))
    assert second.ids == first.ids and second.split.tolist() == first.split.tolist()
    assert {name: codes.tolist() for name, codes in second.labels.items()} == {
        name: codes.tolist() for name, codes in first.labels.items()
    }


def test_equal_images_of_two_classes_are_told_apart(tmp_path, orders):
    pixels = np.zeros((4, 4, 6), np.uint8)
    codes = np.array([3, 1, 2, 0], np.uint8)
    parts = dict.fromkeys(PARTS.values(), (pixels, codes))
    first = IdxImages(num_validation=0).read(stand_ins.write_idx(tmp_path / "first", parts, True))
    write_order(orders / "mine.npz", first)
    copy = shuffled_idx(tmp_path / "first", tmp_path / "copy", seed=1)
    assert IdxImages(num_validation=0, order="mine").read(copy).labels["class"].tolist() == [3, 1, 2, 0] * 2


def test_other_images_and_unknown_orders_are_refused(tmp_path, orders):
    files = write_idx(tmp_path / "first")
    write_order(orders / "mine.npz", IdxImages(num_validation=10).read(files))
    with pytest.raises(InrzooError, match=r"source\.order = 'min' names no order.*mine"):
        IdxImages(order="min").read(files)
    path = files / "train-images-idx3-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(InrzooError, match=r"is an order of 60 other images of 'train'"):
        IdxImages(order="mine").read(files)


def test_images_in_class_folders_have_no_rows_to_order(tmp_path):
    with pytest.raises(InrzooError, match=r"source\.order = 'cifar10' orders the rows of a dataset"):
        HubImages(repo="a/b", order="cifar10").read(tmp_path)


@pytest.mark.realdata
def test_every_copy_of_mnist_is_brought_to_the_order_of_the_board(tmp_path, data):
    copy = shuffled_idx(data / "mnist", tmp_path)
    first, second = (IdxImages(order="mnist").read(path) for path in (data / "mnist", copy))
    assert first.ids == second.ids and first.split.tolist() == second.split.tolist()
    assert first.labels["class"].tolist() == second.labels["class"].tolist()
    rows = list(range(0, 70_000, 7))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first.values(rows), second.values(rows), strict=True))
