"""Grids of voxels: values, classes, damage."""

import io
import zipfile

import numpy as np
import pytest
from small_datasets import all_values

from inrzoo.errors import InrzooError
from inrzoo.sources.voxels import Voxels

OCCUPIED = np.random.default_rng(0).integers(0, 2, (12, 3, 4, 5), dtype=np.uint8)
LABELS = np.arange(12) % 3


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def test_signals_are_the_occupied_voxels(tmp_path):
    for number, voxels in enumerate((OCCUPIED, OCCUPIED.astype(bool), OCCUPIED.astype(np.int64) * 7)):
        signals = Voxels().read(npz(tmp_path / f"{number}.npz", voxels=voxels))
        assert (signals.grid, signals.channels, signals.dtype) == ((3, 4, 5), 1, "uint8")
        np.testing.assert_array_equal(all_values(signals)[..., 0], OCCUPIED * 255)
        np.testing.assert_array_equal(signals.array([7, 2])[0], OCCUPIED[7].reshape(-1, 1) * 255)


def test_files_of_either_kind_and_their_folder_give_the_same(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "a" / "v.npy", OCCUPIED)
    np.save(tmp_path / "b" / "v.npy", np.asfortranarray(OCCUPIED))
    npz(tmp_path / "c" / "v.npz", voxels=OCCUPIED)
    for place in ("a/v.npy", "a", "b", "c"):
        np.testing.assert_array_equal(all_values(Voxels().read(tmp_path / place))[..., 0], OCCUPIED * 255)


def test_classes_and_splits(tmp_path):
    named = npz(tmp_path / "named.npz", voxels=OCCUPIED, labels=LABELS, classes=np.array(["bed", "sofa", "desk"]))
    signals = Voxels(num_validation=3, num_test=6, class_column="kind").read(named)
    assert signals.label_names == {"kind": ["bed", "sofa", "desk"]} and signals.labels["kind"].tolist() == [*LABELS]
    for code in range(3):
        assert np.bincount(signals.split[signals.labels["kind"] == code]).tolist() == [1, 1, 2]
    numbered = Voxels().read(npz(tmp_path / "numbered.npz", voxels=OCCUPIED, labels=LABELS * 10 - 10))
    assert numbered.label_names == {"class": ["-10", "0", "10"]} and numbered.labels["class"].tolist() == [*LABELS]
    assert Voxels().read(npz(tmp_path / "bare.npz", voxels=OCCUPIED)).label_names == {"class": ["all"]}


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"grids": OCCUPIED}, "has no array voxels; it has: grids"),
        ({"voxels": OCCUPIED[0]}, r"voxels of shape \(3, 4, 5\)"),
        ({"voxels": OCCUPIED[:0]}, r"voxels of shape \(0, 3, 4, 5\)"),
        ({"voxels": OCCUPIED / 2}, "type float64; expected"),
        ({"voxels": OCCUPIED, "labels": LABELS[:5]}, r"labels of shape \(5,\)"),
        ({"voxels": OCCUPIED, "labels": LABELS / 2}, "labels of shape .* type float64"),
        ({"voxels": OCCUPIED, "labels": LABELS, "classes": np.array(["a", "b"])}, "has the label 2, but classes has 2"),
        ({"voxels": OCCUPIED, "labels": LABELS - 1, "classes": np.array(["a", "b"])}, "has the label -1"),
        ({"voxels": OCCUPIED, "labels": LABELS, "classes": np.array(["a", "b", "a"])}, "expected different names"),
        ({"voxels": OCCUPIED.astype(object)}, "holds Python objects"),
    ],
)
def test_other_arrays_are_one_line(tmp_path, arrays, said):
    with pytest.raises(InrzooError, match=said) as caught:
        Voxels().read(npz(tmp_path / "a.npz", **arrays))
    assert "a.npz" in str(caught.value) and "\n" not in str(caught.value)


def header(shape, descr="|u1"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is neither .npy nor .npz"),
        (b"hello", "is neither .npy nor .npz"),
        (b"\x93NUMPY\x01\x00\x10\x00" + b"{" * 16, "is not a whole array of numpy"),
        (b"\x93NUMPY\x09\x00", "has version 9.0 of numpy's format"),
        (header((10**6, 10**6, 10, 10)) + bytes(100), "declares 100000000000000 bytes of numbers and holds 100"),
        (header((1, 2, 3, 4)) + bytes(23), "declares 24 bytes of numbers and holds 23"),
        (header((1, 2, 3, 4)) + bytes(25), "declares 24 bytes of numbers and holds 25"),
        (header((1, 2, 3, -4)) + bytes(24), "declares -24 bytes"),
    ],
)
def test_damaged_files_are_one_line_and_allocate_nothing(tmp_path, content, said):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InrzooError, match=said) as caught:
        Voxels().read(tmp_path / "a.npy")
    assert "a.npy" in str(caught.value) and "\n" not in str(caught.value)


def test_an_archive_that_unpacks_to_too_much_is_not_read(tmp_path, monkeypatch):
    from inrzoo.sources import voxels

    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("voxels.npy", header((1, 1000, 1000, 1)) + bytes(10**6))
    assert Voxels().read(path).grid == (1000, 1000, 1)
    monkeypatch.setattr(voxels, "MAX_BYTES", 10**6)
    voxels._arrays_of.cache_clear()
    with pytest.raises(InrzooError, match="declares 1000128 bytes; the maximum is 1000000"):
        Voxels().read(path)


def test_places_without_one_file_are_one_line(tmp_path):
    with pytest.raises(InrzooError, match=r"no .npz or .npy file in"):
        Voxels().read(tmp_path)
    for name in ("a.npz", "b.npz"):
        npz(tmp_path / name, voxels=OCCUPIED)
    with pytest.raises(InrzooError, match="holds 2 files of numpy; name one"):
        Voxels().read(tmp_path)
