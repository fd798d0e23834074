"""Images in class folders: splits, pixels, damage."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from small_datasets import all_values, image_files, noise, png, write_folder, write_zip

from inrzoo.errors import InrzooError
from inrzoo.sources.image_folder import ImageFolder


def test_zip_folder_wrapper_and_folder_of_a_zip_give_the_same(tmp_path):
    files = image_files(("cat", "dog"), split="train/") | image_files(("cat", "dog"), 2, split="val/")
    wrapped = {f"animals/{name}": content for name, content in files.items()}
    junk = {"__MACOSX/train/cat/00.png": b"x", "train/cat/.DS_Store": b"x", "README.txt": b"hello"}
    (tmp_path / "d").mkdir()
    places = [
        write_zip(tmp_path / "a.zip", files),
        write_zip(tmp_path / "b.zip", dict(reversed(wrapped.items()))),
        write_folder(tmp_path / "c", files | junk),
        write_zip(tmp_path / "d" / "only.zip", files | junk).parent,
        write_folder(tmp_path / "e", wrapped),
    ]
    first = ImageFolder().read(places[0])
    assert first.ids[0] == "train/cat/00.png" and len(first) == 12
    assert first.label_names == {"class": ["cat", "dog"]}
    assert np.bincount(first.split).tolist() == [8, 4]
    for place in places[1:]:
        other = ImageFolder().read(place)
        assert other.ids == first.ids
        np.testing.assert_array_equal(other.split, first.split)
        np.testing.assert_array_equal(other.labels["class"], first.labels["class"])
        np.testing.assert_array_equal(all_values(other), all_values(first))


def test_pixels_are_the_file_s(tmp_path):
    array = noise(3, 5, 5)
    signals = ImageFolder().read(write_folder(tmp_path, {"a/x.PNG": png(array), "b/y.png": png(noise(4, 5, 5))}))
    np.testing.assert_array_equal(all_values(signals)[0], array)
    grey = ImageFolder(channels=1).read(tmp_path)
    luma = array @ np.array([0.299, 0.587, 0.114])
    assert grey.channels == 1 and np.abs(all_values(grey)[0, :, :, 0] - luma).max() <= 1


def test_area_resampling_is_the_block_mean(tmp_path):
    array = noise(5, 64, 64) // 4 * 4  # multiples of 4, so that means of 2 × 2 pixels are whole numbers
    path = write_folder(tmp_path, {"a/x.png": png(array)})
    got = all_values(ImageFolder(size=32).read(path))[0]
    np.testing.assert_array_equal(got, array.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3)))
    for resample in ("bilinear", "bicubic", "nearest", "lanczos"):
        assert (all_values(ImageFolder(size=32, resample=resample).read(path))[0] != got).any()


def test_crop_is_the_centred_square(tmp_path):
    wide = noise(6, 10, 30)
    path = write_folder(tmp_path, {"a/x.png": png(wide)})
    np.testing.assert_array_equal(all_values(ImageFolder().read(path))[0], wide[:, 10:20])
    np.testing.assert_array_equal(all_values(ImageFolder(size=10).read(path))[0], wide[:, 10:20])
    assert ImageFolder(crop="none").read(path).grid == (10, 30)
    np.testing.assert_array_equal(all_values(ImageFolder(crop="none").read(path))[0], wide)
    squeezed = wide.reshape(10, 10, 3, 3).mean(axis=2)
    assert np.abs(all_values(ImageFolder(crop="none", size=10).read(path))[0] - squeezed).max() <= 1


def test_images_of_unequal_size_need_a_size(tmp_path):
    files = image_files(("a", "b"), 3) | {"a/zz.png": png(noise(0, 9, 9)), "b/zz.png": png(noise(0, 7, 7))}
    path = write_zip(tmp_path / "a.zip", files)
    with pytest.raises(InrzooError, match=r"a/zz.png is 9 x 9, the images before it 8 x 8; set size"):
        ImageFolder().read(path)
    assert all_values(ImageFolder(size=8).read(path)).shape == (8, 8, 8, 3)


def test_split_by_class_leaves_other_classes_out_and_wins_over_folders(tmp_path):
    files = image_files(("a", "b", "c"), split="train/") | image_files(("d",), split="test/")
    path = write_zip(tmp_path / "a.zip", files)
    signals = ImageFolder(classes={"train": ["d"], "validation": ["c"], "test": ["a"]}).read(path)
    assert signals.label_names == {"class": ["a", "c", "d"]}
    split_of = dict(zip(signals.labels["class"].tolist(), signals.split.tolist(), strict=True))
    assert split_of == {0: 2, 1: 1, 2: 0} and len(signals) == 12
    with pytest.raises(InrzooError, match=r"lacks 2 of the 3 classes in image_folder.classes \(x, y\)"):
        ImageFolder(classes={"train": ["a", "x"], "test": ["y"]}).read(path)


def test_seeded_splits(tmp_path):
    path = write_zip(tmp_path / "a.zip", image_files(("a", "b"), 10))
    signals = ImageFolder(num_validation=4, num_test=6).read(path)
    counts = [np.bincount(signals.split[signals.labels["class"] == code], minlength=3).tolist() for code in (0, 1)]
    assert counts == [[5, 2, 3], [5, 2, 3]]
    assert (ImageFolder(num_validation=4, num_test=6, split_seed=1).read(path).split != signals.split).any()
    with pytest.raises(InrzooError, match="leaves nothing of the 20"):
        ImageFolder(num_test=20).read(path)


def test_validation_out_of_train_and_sizes_that_do_not_fit_the_folders(tmp_path):
    files = image_files(("a", "b"), 10, split="Train/") | image_files(("a", "b"), 3, split="TEST/")
    path = write_zip(tmp_path / "a.zip", files)
    signals = ImageFolder(num_validation=4).read(path)
    assert np.bincount(signals.split).tolist() == [16, 4, 6]
    with pytest.raises(InrzooError, match=r"num_test = 2, but .* has split folders"):
        ImageFolder(num_test=2).read(path)
    with_validation = write_zip(tmp_path / "b.zip", files | image_files(("a",), split="valid/"))
    with pytest.raises(InrzooError, match="have a validation split"):
        ImageFolder(num_validation=4).read(with_validation)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"x.png": b"", "a/y.png": b""}, "x.png is not in a folder CLASS/"),
        ({"a/deep/x.png": b"", "b/y.png": b""}, "a/deep/x.png is not in a folder CLASS/"),
        ({"train/a/x.png": png(noise(0)), "b/y.png": png(noise(0))}, "mixes split folders"),
        ({"a/x.png": b"no image"}, "a/x.png is not an image"),
        ({"a/x.png": png(noise(0, channels=1).astype(np.uint16) * 256)}, "a/x.png has pixels of type 'I;16'"),
        ({"../a/x.png": png(noise(0))}, r"'../a/x.png', which points outside"),
        ({"/etc/a/x.png": png(noise(0))}, r"'/etc/a/x.png', which points outside"),
        ({"a/notes.txt": b"hello"}, "no images in"),
    ],
)
def test_odd_content_is_one_line(tmp_path, files, said):
    path = write_zip(tmp_path / "odd.zip", files)
    with pytest.raises(InrzooError, match=said) as caught:
        all_values(ImageFolder().read(path))
    assert "\n" not in str(caught.value)


def test_a_truncated_image_is_named_and_the_others_are_read(tmp_path):
    files = image_files(("a",), 3, rows=40, columns=40)
    files["a/01.png"] = files["a/01.png"][:1000]
    signals = ImageFolder().read(write_zip(tmp_path / "a.zip", files))
    assert len(list(signals.values([0, 2]))) == 2
    with pytest.raises(InrzooError, match=r"a/01.png is a damaged image"):
        list(signals.values([1]))


def test_a_name_twice_two_archives_and_no_archive(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("a/x.png", "a/y.png", "a/x.png"):
            archive.writestr(name, png(noise(0)))
    with pytest.raises(InrzooError, match=r"'a/x.png' twice"):
        ImageFolder().read(tmp_path)
    write_zip(tmp_path / "b.zip", image_files(("a",)))
    with pytest.raises(InrzooError, match=r"holds 2 zip archives; name one: .*a.zip, .*b.zip"):
        ImageFolder().read(tmp_path)
    (tmp_path / "c.zip").write_bytes(b"PK but no archive")
    with pytest.raises(InrzooError, match=r"c.zip is not a whole zip archive"):
        ImageFolder().read(tmp_path / "c.zip")


def test_colour_kinds_of_image_files(tmp_path):
    array = noise(8, 6, 6)
    kinds = {"RGB": "png", "RGBA": "png", "P": "gif", "CMYK": "tiff"}
    for mode, suffix in kinds.items():
        buffer = io.BytesIO()
        Image.fromarray(array).convert(mode).save(buffer, suffix)
        write_folder(tmp_path, {f"{mode}/x.{suffix}": buffer.getvalue()})
    signals = ImageFolder().read(tmp_path)
    values = dict(zip(signals.label_names["class"], all_values(signals), strict=True))
    for mode in ("RGB", "RGBA", "CMYK"):
        np.testing.assert_array_equal(values[mode], array)
    assert np.abs(values["P"].astype(int) - array).mean() < 64  # 216 web colours at worst
