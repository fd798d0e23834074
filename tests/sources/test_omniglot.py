"""Omniglot's archives, made small."""

import io

import numpy as np
import pytest
from PIL import Image
from small_datasets import all_values, omniglot_files, png, write_folder, write_zip

from inrzoo.errors import InrzooError
from inrzoo.sources.omniglot import Omniglot

SMALL_1, SMALL_2 = ("Greek", "Latin", "Sanskrit"), ("Balinese", "Greek", "Latin")


def archives(folder, write, suffix=""):
    for number, alphabets in ((1, SMALL_1), (2, SMALL_2)):
        name = f"images_background_small{number}"
        if suffix:
            write(folder / f"{name}{suffix}", omniglot_files(name, alphabets))
        else:
            write(folder, omniglot_files(name, alphabets))
    return folder


def test_an_alphabet_in_two_archives_is_read_once(tmp_path):
    signals = Omniglot(size=16).read(archives(tmp_path, write_zip, ".zip"))
    assert len(signals) == 4 * 2 * 3
    assert signals.label_names["alphabet"] == ["Balinese", "Greek", "Latin", "Sanskrit"]
    assert signals.label_names["drawer"] == ["01", "02", "03"]
    assert signals.label_names["character"][:3] == [
        "Balinese/character01",
        "Balinese/character02",
        "Greek/character01",
    ]
    assert next(iter(signals.labels)) == "character"
    assert signals.labels["character"].tolist() == [code for code in range(8) for _ in range(3)]
    assert signals.labels["alphabet"].tolist() == [code for code in range(4) for _ in range(6)]
    assert signals.labels["drawer"].tolist() == [0, 1, 2] * 8
    assert set(signals.checksums) == {"images_background_small1.zip", "images_background_small2.zip"}


def test_zip_files_and_unpacked_folders_give_the_same(tmp_path):
    (tmp_path / "zips").mkdir()
    zips = Omniglot(size=16).read(archives(tmp_path / "zips", write_zip, ".zip"))
    folders = Omniglot(size=16).read(archives(tmp_path / "folders", write_folder))
    assert zips.ids == folders.ids
    np.testing.assert_array_equal(zips.split, folders.split)
    np.testing.assert_array_equal(all_values(zips), all_values(folders))
    inner = Omniglot(size=16).read(tmp_path / "folders" / "images_background_small1")
    single = Omniglot(size=16).read(tmp_path / "zips" / "images_background_small1.zip")
    assert inner.ids == single.ids == [name for name in zips.ids if not name.startswith("Balinese")]


def test_the_folder_s_checksum_follows_its_content(tmp_path):
    folder = write_folder(tmp_path / "a", omniglot_files("images_background", SMALL_1))
    before = Omniglot().read(folder).checksums
    assert Omniglot().read(folder).checksums == before
    victim = next(folder.rglob("*.png"))
    victim.write_bytes(png(np.ones((105, 105), bool)))
    assert Omniglot().read(folder).checksums != before


def test_ink_is_high_and_resampling_is_by_area(tmp_path):
    files = omniglot_files("images_background", ("Greek",), characters=1, drawers=1)
    page = np.asarray(Image.open(io.BytesIO(next(iter(files.values())))))
    signals = Omniglot(size=35).read(write_zip(tmp_path / "images_background.zip", files))
    blocks = 255.0 * (1 - page.reshape(35, 3, 35, 3).mean(axis=(1, 3)))
    assert np.abs(all_values(signals)[0, :, :, 0] - blocks).max() <= 1  # Pillow rounds once an axis
    full = all_values(Omniglot(size=105).read(tmp_path))[0, :, :, 0]
    np.testing.assert_array_equal(full, np.where(page, 0, 255))
    assert 0 < (full == 255).sum() < full.size / 2


def split_sizes(signals):
    """Alphabets of each split; fails if an alphabet is in two."""
    pairs = set(zip(signals.labels["alphabet"].tolist(), signals.split.tolist(), strict=True))
    assert len(pairs) == len(signals.label_names["alphabet"])
    return tuple(sum(split == wanted for _, split in pairs) for wanted in range(3))


@pytest.mark.parametrize(
    ("count", "expected"), [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (8, (5, 1, 2)), (50, (33, 5, 12))]
)
def test_alphabets_are_split_in_the_paper_s_proportion(tmp_path, count, expected):
    names = [f"Alphabet{number:02d}" for number in range(count)]
    path = write_zip(tmp_path / "a.zip", omniglot_files("images_background", names, 1, 1))
    signals = Omniglot(size=8).read(path)
    assert split_sizes(signals) == expected
    if count == 50:
        assert (Omniglot(size=8, split_seed=1).read(path).split != signals.split).any()


def test_official_splits_and_own_sizes(tmp_path):
    write_zip(tmp_path / "images_background.zip", omniglot_files("images_background", SMALL_1))
    write_zip(tmp_path / "images_evaluation.zip", omniglot_files("images_evaluation", ("Keble", "Avesta")))
    official = Omniglot(splits="official").read(tmp_path)
    names = official.label_names["alphabet"]
    in_test = {names[code] for code, split in zip(official.labels["alphabet"], official.split, strict=True) if split}
    assert split_sizes(official) == (3, 0, 2) and in_test == {"Keble", "Avesta"}
    assert split_sizes(Omniglot(num_alphabets=(2, 3, 0)).read(tmp_path)) == (2, 3, 0)
    with pytest.raises(InrzooError, match=r"\[2, 1, 1\] adds up to 4, but there are 5 alphabets: Avesta, Greek"):
        Omniglot(num_alphabets=(2, 1, 1)).read(tmp_path)
    of_background = Omniglot(splits="official", num_alphabets=(2, 1, 2)).read(tmp_path)
    assert split_sizes(of_background) == (2, 1, 2)
    np.testing.assert_array_equal(of_background.split == 2, official.split == 2)
    drawn = [Omniglot(splits="official", num_alphabets=(2, 1, 2), split_seed=seed).read(tmp_path) for seed in range(8)]
    assert len({signals.split.tobytes() for signals in drawn}) > 1
    with pytest.raises(InrzooError, match=r"\[3, 1, 1\] is impossible .* the test split, has 2 alphabets"):
        Omniglot(splits="official", num_alphabets=(3, 1, 1)).read(tmp_path)


def test_official_splits_of_an_unpacked_archive_and_of_a_zip_without_wrapper(tmp_path):
    folder = write_folder(tmp_path, omniglot_files("images_evaluation", ("Keble",))) / "images_evaluation"
    assert split_sizes(Omniglot(splits="official").read(folder)) == (0, 0, 1)
    assert split_sizes(Omniglot(splits="official").read(folder.parent)) == (0, 0, 1)
    bare = write_zip(tmp_path / "images_evaluation.zip", omniglot_files("", ("Keble",), wrapper=False))
    assert split_sizes(Omniglot(splits="official").read(bare)) == (0, 0, 1)


def test_a_truncated_archive_is_one_line(tmp_path):
    path = write_zip(tmp_path / "images_background.zip", omniglot_files("images_background", SMALL_1))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InrzooError, match=r"images_background.zip is not a whole zip archive .*fetch it again"):
        Omniglot().read(tmp_path)


def test_a_damaged_drawing_is_named(tmp_path):
    files = omniglot_files("images_background", ("Greek",))
    victim = sorted(files)[2]
    files[victim] = files[victim][:70]
    signals = Omniglot().read(write_zip(tmp_path / "images_background.zip", files))
    assert len(list(signals.values([0, 1, 3]))) == 3
    with pytest.raises(InrzooError, match=signals.ids[2]):
        list(signals.values([2]))


def test_a_changed_byte_in_an_archive_is_named(tmp_path):
    files = omniglot_files("images_background", ("Greek",), 1, 1)
    path = write_zip(tmp_path / "images_background.zip", files)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 8] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InrzooError, match=r"cannot read .*character01.*CRC"):
        list(Omniglot().read(path).values([0]))


def test_the_wrong_folder_is_one_line(tmp_path):
    write_folder(tmp_path, {"cats/01.png": png(np.ones((3, 3), bool)), "Greek/notes.txt": b"x"})
    with pytest.raises(InrzooError, match=r"no Omniglot drawings in .*ALPHABET/characterNN/NNNN_NN.png"):
        Omniglot().read(tmp_path)
