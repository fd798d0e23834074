"""IDX files, whole and damaged."""

import gzip

import numpy as np
import pytest
from small_datasets import all_values, write_idx
from stand_ins import idx

from inrzoo.errors import InrzooError
from inrzoo.sources.idx_images import IdxImages

SOURCE = IdxImages(num_validation=10)


def test_values_labels_and_order_are_the_files(tmp_path):
    signals = SOURCE.read(write_idx(tmp_path))
    assert signals.grid == (4, 6) and signals.channels == 1
    assert signals.ids[0] == "train/00000" and signals.ids[60] == "test/00000" and signals.ids[-1] == "test/00019"
    train = np.random.default_rng(0).integers(0, 256, (60, 4, 6), dtype=np.uint8)
    test = np.random.default_rng(1).integers(0, 256, (20, 4, 6), dtype=np.uint8)
    np.testing.assert_array_equal(all_values(signals)[..., 0], np.concatenate([train, test]))
    assert signals.labels["class"].tolist() == [row % 10 for row in (*range(60), *range(20))]
    assert np.bincount(signals.split).tolist() == [50, 10, 20]
    assert np.bincount(signals.labels["class"][signals.split == 1]).tolist() == [1] * 10
    assert set(signals.split[60:]) == {2}


def test_gzipped_and_plain_files_give_the_same(tmp_path):
    zipped, plain = (SOURCE.read(write_idx(tmp_path / str(zipped), zipped=zipped)) for zipped in (True, False))
    assert zipped.ids == plain.ids
    np.testing.assert_array_equal(all_values(zipped), all_values(plain))
    assert "train-images-idx3-ubyte" in plain.checksums and "train-images-idx3-ubyte.gz" in zipped.checksums


def test_files_that_change_are_read_again(tmp_path):
    before = all_values(SOURCE.read(write_idx(tmp_path)))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros((60, 4, 6), np.uint8)), 1))
    assert before[:60].any() and not all_values(SOURCE.read(tmp_path))[:60].any()


def test_names_of_column_and_classes(tmp_path):
    names = list("abcdefghij")
    signals = IdxImages(num_validation=0, class_column="letter", class_names=names).read(write_idx(tmp_path))
    assert signals.label_names == {"letter": names} and list(signals.labels) == ["letter"]
    with pytest.raises(InrzooError, match=r"label 9, but idx_images.class_names has 3 names"):
        IdxImages(num_validation=0, class_names=names[:3]).read(tmp_path)


def damage(folder, name, change):
    path = folder / f"{name}-ubyte.gz"
    path.write_bytes(change(path.read_bytes()))


def unzipped(change):
    return lambda content: gzip.compress(change(gzip.decompress(content)))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("train-images-idx3", lambda content: content[:-30], "is damaged .*fetch it again"),
        ("train-images-idx3", lambda content: content[:40] + b"junk" + content[44:], "is damaged"),
        ("train-images-idx3", lambda content: content[:10] + b"\xff" * 8 + content[18:], "is damaged"),
        ("t10k-labels-idx1", lambda content: b"not an idx file", "begins with 6e6f7420, not 00000801"),
        ("t10k-images-idx3", unzipped(lambda content: content[:-1]), "declares 20 x 4 x 6 bytes and holds 479"),
        ("t10k-images-idx3", unzipped(lambda content: content + b"x"), "declares 20 x 4 x 6 bytes and holds 481"),
        ("train-labels-idx1", unzipped(lambda content: content[:6]), "not an IDX file of this kind"),
        ("train-labels-idx1", lambda content: gzip.compress(idx(np.zeros(59, np.uint8))), "60 images .* 59 labels"),
        (
            "t10k-images-idx3",
            lambda content: gzip.compress(idx(np.zeros((20, 5, 5), np.uint8))),
            r"\(4, 6\) .*\(5, 5\)",
        ),
        ("t10k-images-idx3", lambda content: gzip.compress(idx(np.zeros(20, np.uint8))), "begins with 00000801"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, name, change, said):
    write_idx(tmp_path)
    damage(tmp_path, name, change)
    with pytest.raises(InrzooError, match=said) as caught:
        SOURCE.read(tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    (write_idx(tmp_path) / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InrzooError, match=r"no t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz in"):
        SOURCE.read(tmp_path)


def test_too_many_for_validation(tmp_path):
    with pytest.raises(InrzooError, match="leaves nothing of the 60"):
        IdxImages().read(write_idx(tmp_path))
