"""Sounds: samples, windows, labels, splits, damage."""

import logging
import sys

import numpy as np
import pytest
from small_datasets import all_values, hiss, sound, write_folder, write_zip

from inrzoo.errors import InrzooError
from inrzoo.sources import _sounds
from inrzoo.sources._sounds import decode, window_start
from inrzoo.sources._unreadable import UnreadableError
from inrzoo.sources.audio_folder import AudioFolder

EVERY_INT16 = np.arange(-(2**15), 2**15).astype(np.int16)
SECONDS = np.arange(16_000) / 16_000
TONE = 0.5 * np.sin(2 * np.pi * 440 * SECONDS)  # a second at 16 kHz
DIGITS = r"(?P<digit>\d)_(?P<speaker>[a-z]+)_(?P<index>\d+)$"


def digit_files(indices=range(6), speakers=("ann", "bob"), digits=range(3)):
    return {
        f"recordings/{digit}_{speaker}_{index}.wav": sound(hiss(digit * 100 + index, 40))
        for digit in digits
        for speaker in speakers
        for index in indices
    }


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("RF64", "PCM_16")])
def test_samples_of_16_bits_come_back_exactly(kind, subtype):
    np.testing.assert_array_equal(decode(sound(EVERY_INT16, 8000, kind, subtype), "x", 8000), EVERY_INT16)


def test_deeper_samples_are_rounded_and_saturate():
    steps = np.array([0.4, 0.6, -0.6, 1.5, 2.5, 2**15 - 0.4, 2**15 + 9, -(2**15) - 9]) / 2**15
    expected = [0, 1, -1, 2, 2, 2**15 - 1, 2**15 - 1, -(2**15)]  # halves go to the even number
    content = sound(steps, 8000, subtype="DOUBLE")
    assert decode(content, "x", 8000).tolist() == expected
    np.testing.assert_array_equal(decode(content, "x", 8000, dtype="float32"), steps.astype(np.float32))
    deep = np.array([0.4, 0.6, -0.6]) / 2**15
    assert decode(sound(deep, 8000, subtype="PCM_24"), "x", 8000).tolist() == [0, 1, -1]


@pytest.mark.parametrize("kind", ["OGG", "MP3"])
def test_lossy_formats_give_the_tone(kind):
    got = decode(sound(TONE, 16_000, kind), "x", 16_000, dtype="float32")
    assert abs(len(got) - len(TONE)) <= 1152
    assert abs(np.fft.rfft(got[2000:14_000]).__abs__().argmax() * 16_000 / 12_000 - 440) < 2


def test_resampling_keeps_the_tone_and_the_seconds():
    for rate in (8000, 22_050):
        got = decode(sound(TONE, 16_000, subtype="DOUBLE"), "x", rate, dtype="float32")
        assert len(got) == rate
        times = np.arange(rate) / rate
        middle = slice(rate // 10, -rate // 10)  # the ends ring
        np.testing.assert_allclose(got[middle], 0.5 * np.sin(2 * np.pi * 440 * times)[middle], atol=1e-4)


def test_blocks_do_not_matter(monkeypatch):
    content = sound(np.column_stack([hiss(1, 5000), hiss(2, 5000)]), 11_025)
    whole = decode(content, "x", 8000, "mean")
    monkeypatch.setattr(_sounds, "BLOCK_FRAMES", 77)
    np.testing.assert_array_equal(decode(content, "x", 8000, "mean"), whole)


def test_stereo_is_refused_or_mixed_as_the_setting_says(tmp_path):
    left, right = np.array([100, 200, -50], np.int16), np.array([300, 0, -50], np.int16)
    path = write_folder(tmp_path, {"a/x.wav": sound(np.column_stack([left, right])), "b/y.wav": sound(left)})
    for skip in (False, True):
        with pytest.raises(
            InrzooError, match=r"a/x.wav has 2 channels; --set source.channels=\"mean\" mixes"
        ) as caught:
            AudioFolder(num_samples=3, skip_unreadable=skip).read(path)
        assert "\n" not in str(caught.value)
    mixed = all_values(AudioFolder(num_samples=3, channels="mean").read(path))
    np.testing.assert_array_equal(mixed[:, :, 0], [[200, 100, -50], left])
    first = all_values(AudioFolder(num_samples=3, channels="first").read(path))
    np.testing.assert_array_equal(first[:, :, 0], [left, left])


def test_a_short_clip_stands_in_the_middle_of_zeros(tmp_path):
    path = write_folder(tmp_path, {"a/x.wav": sound(hiss(0, 5)), "a/y.wav": sound(hiss(1, 8))})
    signals = AudioFolder(num_samples=8).read(path)
    np.testing.assert_array_equal(all_values(signals)[0, :, 0], [0, *hiss(0, 5), 0, 0])
    assert signals.valid.tolist() == [[1, 6], [0, 8]]
    assert signals.numbers["offset"].tolist() == [0, 0] and signals.numbers["num_samples"].tolist() == [5, 8]
    assert signals.grid == (8,) and signals.channels == 1 and signals.dtype == "int16"
    assert signals.axes[0].name == "time" and signals.axes[0].step == 1 / 8000


def test_a_long_clip_is_cut_by_the_rule(tmp_path):
    long = np.array([9, 1, 1, 7, -7, 1, 7, -7, 1, 1], np.int16)
    path = write_folder(tmp_path, {"a/x.wav": sound(long)})
    for crop, start in (("start", 0), ("centre", 4), ("energy", 3)):  # 3: the first of two windows
        signals = AudioFolder(num_samples=2, crop=crop).read(path)
        np.testing.assert_array_equal(all_values(signals)[0, :, 0], long[start : start + 2])
        assert signals.numbers["offset"].tolist() == [start] and signals.numbers["num_samples"].tolist() == [10]
        assert signals.valid.tolist() == [[0, 2]]


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_the_window_of_greatest_energy_is_that_of_brute_force(dtype, monkeypatch):
    monkeypatch.setattr(_sounds, "BLOCK_FRAMES", 64)
    samples = np.concatenate([hiss(3, 100), hiss(4, 100) // 2, hiss(5, 313)]).astype(dtype)
    for count in (1, 10, 63, 64, 65, 200, 512, 513, 600):
        energies = [(samples[first:][:count].astype(float) ** 2).sum() for first in range(max(1, 514 - count))]
        assert window_start(samples, count, "energy") == int(np.argmax(energies))


def test_the_first_of_equal_windows_is_taken_in_whichever_block_it_begins(monkeypatch):
    monkeypatch.setattr(_sounds, "BLOCK_FRAMES", 4)
    assert window_start(np.array([0, 0, 0, 5, 0, 5, 0, 0, 5, 0], np.int16), 2, "energy") == 2


def test_loud_samples_do_not_overflow_the_energy():
    samples = np.concatenate([np.full(70_000, 1, np.int16), np.full(70_000, -(2**15), np.int16)])
    assert window_start(samples, 70_000, "energy") == 70_000


def test_zip_folder_and_folder_of_recordings_give_the_same(tmp_path):
    files = digit_files()
    places = [
        write_zip(tmp_path / "a.zip", files),
        write_folder(tmp_path / "b", files),
        tmp_path / "b" / "recordings",
        write_zip(tmp_path / "c.zip", {f"fsdd/{name}": content for name, content in files.items()}),
    ]
    first = AudioFolder(num_samples=40, label_pattern=DIGITS).read(places[0])
    assert first.ids[0] == "0_ann_0.wav" and len(first) == 36
    assert list(first.labels) == ["digit", "speaker", "index"]
    for place in places[1:]:
        other = AudioFolder(num_samples=40, label_pattern=DIGITS).read(place)
        assert other.ids == first.ids and other.label_names == first.label_names
        np.testing.assert_array_equal(all_values(other), all_values(first))


def test_labels_from_names_count_numbers_as_numbers(tmp_path):
    path = write_zip(tmp_path / "a.zip", digit_files(range(12)))
    signals = AudioFolder(num_samples=40, label_pattern=DIGITS).read(path)
    assert signals.label_names["index"] == [str(index) for index in range(12)]
    assert signals.label_names["speaker"] == ["ann", "bob"]
    for row, identifier in enumerate(signals.ids):
        labels = [signals.label_names[column][codes[row]] for column, codes in signals.labels.items()]
        assert "_".join(labels) == identifier.removesuffix(".wav")
    with pytest.raises(InrzooError, match=r"recordings/0_ann_0.wav does not match label_pattern"):
        AudioFolder(label_pattern=r"(?P<speaker>carol)").read(path)
    with pytest.raises(InrzooError, match=r"recordings/0_ann_0.wav does not match"):
        AudioFolder(label_pattern=r"(?P<first>ann)|(?P<second>bob)").read(path)


def test_labels_from_a_table(tmp_path):
    files = {f"set/audio/{name}.wav": sound(hiss(seed, 30)) for seed, name in enumerate(("a", "b", "c", "d"))}
    table = "filename,kind,fold,note\na.wav,dog,1,x\nb,cat,2,\naudio/d.wav,cat,10,\n".encode("utf-8-sig")
    fields = {"num_samples": 30, "labels_csv": "meta.csv", "label_columns": ["kind", "fold"]}
    path = write_zip(tmp_path / "a.zip", files | {"set/meta/meta.csv": table, "set/meta/other.csv": b"x"})
    signals = AudioFolder(**fields, held_out={"fold": ["10"]}).read(path)
    assert signals.ids == ["a.wav", "b.wav", "d.wav"]  # c.wav has no row
    assert signals.label_names == {"kind": ["cat", "dog"], "fold": ["1", "2", "10"]}
    assert signals.labels["kind"].tolist() == [1, 0, 0] and signals.split.tolist() == [0, 0, 2]
    tabbed = {"meta.tsv": table.replace(b",", b"\t")}
    other = AudioFolder(**(fields | {"labels_csv": "meta.tsv"})).read(write_zip(tmp_path / "b.zip", files | tabbed))
    assert other.label_names == signals.label_names and other.ids == signals.ids


def test_the_checksum_of_a_folder_covers_the_table(tmp_path):
    files = {"audio/a.wav": sound(hiss(0)), "audio/b.wav": sound(hiss(1))}
    source = AudioFolder(labels_csv="meta.csv", label_columns=["kind"])
    sums = [
        source.read(
            write_folder(tmp_path / kind, files | {"meta.csv": f"filename,kind\na,{kind}\n".encode()})
        ).checksums
        for kind in ("cat", "dog")
    ]
    assert sums[0] != sums[1]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (b"file,kind\na,b\n", r"has no column 'filename' \(did you mean 'file'\?\); it has: 'file', 'kind'"),
        (b"filename,sort\na,b\n", "has no column 'kind'"),
        (b'"file\nname",kind\na,b\n', r"it has: 'file\\nname', 'kind'"),
        (b"", "has no column 'filename'; it has: none"),
        (b"filename,kind\n", "has no rows"),
        (b"filename,kind\na\n", "row 2 has no kind"),
        (b"filename,kind\nz,dog\n", "row 2 names 'z', which is no file"),
        (b"filename,kind\na.wav,dog\na,cat\n", "row 3 names 'a', which has a row already"),
        (b"filename,kind\nx.wav,dog\n", "names 'x.wav', which is several files"),
        (b"filename,kind\n\xff,dog\n", "is not a table in UTF-8"),
        (b"filename,kind\na," + b"x" * 200_000 + b"\n", "is not a table in UTF-8"),
    ],
)
def test_odd_tables_are_one_line(tmp_path, table, said):
    names = ("p/a.wav", "p/x.wav", "q/x.wav")
    files = {name: sound(hiss(0)) for name in names} | {"meta.csv": table}
    with pytest.raises(InrzooError, match=said) as caught:
        AudioFolder(labels_csv="meta.csv", label_columns=["kind"]).read(write_zip(tmp_path / "a.zip", files))
    assert "\n" not in str(caught.value)


def test_a_table_that_is_absent_is_one_line(tmp_path):
    path = write_folder(tmp_path, {"a/x.wav": sound(hiss(0)), "a/labels.csv": b"x"})
    with pytest.raises(InrzooError, match=r"holds 0 tables called meta.csv .* expected one of: a/labels.csv"):
        AudioFolder(labels_csv="meta.csv", label_columns=["kind"]).read(path)


def test_held_out_labels_are_the_test_split(tmp_path):
    path = write_zip(tmp_path / "a.zip", digit_files())
    fields = {"num_samples": 40, "label_pattern": DIGITS}
    official = AudioFolder(**fields, held_out={"index": ["0", "1"]}, num_validation=6).read(path)
    test = np.array([identifier.endswith(("_0.wav", "_1.wav")) for identifier in official.ids])
    np.testing.assert_array_equal(official.split == 2, test)
    for digit in range(3):
        assert np.bincount(official.split[official.labels["digit"] == digit]).tolist() == [6, 2, 4]
    speaker = AudioFolder(**fields, held_out={"speaker": ["bob"]}).read(path)
    np.testing.assert_array_equal(speaker.split == 2, ["bob" in identifier for identifier in speaker.ids])
    for held_out, said in (
        ({"speaker": ["eve"]}, "held_out.speaker names 'eve', which no signal has; there are: 'ann', 'bob'"),
        ({"singer": ["bob"]}, "held_out has no column 'singer'; there are: 'digit', 'speaker', 'index'"),
        ({"speaker": ["ann", "bob"]}, "holds out 36 of the 36 signals"),
        ({"speaker": []}, "holds out 0 of the 36 signals"),
    ):
        with pytest.raises(InrzooError, match=said):
            AudioFolder(**fields, held_out=held_out).read(path)


def test_split_folders_and_drawn_splits(tmp_path):
    files = {
        f"{split}/{name}/{n}.wav": sound(hiss(n)) for split in ("Train", "test") for name in "ab" for n in range(4)
    }
    signals = AudioFolder(num_validation=2).read(write_zip(tmp_path / "a.zip", files))
    assert np.bincount(signals.split).tolist() == [6, 2, 8] and signals.label_names == {"class": ["a", "b"]}
    with pytest.raises(InrzooError, match=r"audio_folder.num_test = 1, but .* has split folders"):
        AudioFolder(num_test=1).read(tmp_path / "a.zip")
    named = AudioFolder(label_pattern=r"(?P<take>\d)$").read(tmp_path / "a.zip")
    assert np.bincount(named.split).tolist() == [8, 0, 8]
    files = {name: content for name, content in files.items() if name.startswith("test/")}
    only_test = AudioFolder(label_pattern=r"(?P<take>\d)$").read(write_zip(tmp_path / "c.zip", files))
    assert set(only_test.split) == {2} and only_test.ids[0] == "test/a/0.wav"
    drawn = AudioFolder(num_samples=40, label_pattern=DIGITS, num_validation=3, num_test=6)
    signals = drawn.read(write_zip(tmp_path / "b.zip", digit_files()))
    assert [np.bincount(signals.split[signals.labels["digit"] == d]).tolist() for d in range(3)] == [[9, 1, 2]] * 3


BAD = {
    "a/damaged.flac": sound(hiss(0, 5000), kind="FLAC")[:400],
    "a/empty.wav": b"",
    "a/infinite.wav": sound(np.array([0.5, np.inf]), subtype="FLOAT"),
    "a/nan.wav": sound(np.array([0.5, np.nan]), subtype="FLOAT"),
    "a/silent.wav": sound(np.zeros(50, np.int16)),
    "a/text.mp3": b"no sound",
    "a/truncated.mp3": sound(TONE, 16_000, "MP3")[:1500],
    "a/truncated.wav": sound(hiss(0, 50))[:-20],
    "a/zero.wav": sound(np.zeros(0, np.int16)),
}
REASONS = {
    "a/damaged.flac": "cannot be decoded",
    "a/empty.wav": "is empty",
    "a/infinite.wav": "holds NaN or infinite samples",
    "a/nan.wav": "holds NaN or infinite samples",
    "a/silent.wav": "is silent",
    "a/text.mp3": "is no WAV, FLAC, Ogg or MP3 file",
    "a/truncated.mp3": "ends after",
    "a/truncated.wav": "ends after 124 of 144 bytes",
    "a/zero.wav": "is of zero length",
}


@pytest.mark.parametrize("name", BAD)
def test_an_unreadable_file_is_one_line_that_says_what_would_help(tmp_path, name):
    files = {"a/good.wav": sound(hiss(0)), "b/good.wav": sound(hiss(1)), name: BAD[name]}
    with pytest.raises(InrzooError, match=f"{name} {REASONS[name]}") as caught:
        AudioFolder().read(write_zip(tmp_path / "a.zip", files))
    assert "1 of 3 files is unreadable, --set source.skip_unreadable=true leaves it out" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files_are_counted_or_all_listed_and_left_out(tmp_path, caplog):
    good = {"a/good.wav": sound(hiss(0)), "b/good.wav": sound(hiss(1))}
    path = write_folder(tmp_path / "set", good | BAD)
    with pytest.raises(InrzooError, match=r"a/damaged.flac cannot be decoded .*; 9 of 11 files are unreadable, --set"):
        AudioFolder().read(path)
    with caplog.at_level(logging.WARNING, "inrzoo.sources"):
        signals = AudioFolder(skip_unreadable=True).read(path)
    assert list(signals.skipped) == sorted(BAD) and list(signals.ids) == sorted(good)
    assert len(caplog.messages) == len(BAD)
    for message, (name, reason) in zip(caplog.messages, signals.skipped.items(), strict=True):
        assert message == f"left out: {path}: {name} {reason}" and reason.startswith(REASONS[name])
        assert str(tmp_path) not in reason
    plain = AudioFolder().read(write_folder(tmp_path / "good", good))
    assert plain.checksums == signals.checksums and plain.skipped == {}
    np.testing.assert_array_equal(all_values(plain), all_values(signals))
    with pytest.raises(InrzooError, match=r"9 of 9 files are unreadable, which leaves none; a/damaged\.flac"):
        AudioFolder(skip_unreadable=True).read(write_folder(tmp_path / "bad", BAD))


def test_a_damaged_archive_member_and_a_device_are_unreadable_files(tmp_path):
    zipped = write_zip(tmp_path / "a.zip", {"a/x.wav": sound(hiss(0)), "a/y.wav": sound(hiss(1))})
    content = zipped.read_bytes()
    place = content.index(hiss(1).tobytes())
    zipped.write_bytes(content[:place] + b"\0\0" + content[place + 2 :])
    signals = AudioFolder(skip_unreadable=True).read(zipped)
    assert signals.ids == ["a/x.wav"] and "Bad CRC-32" in signals.skipped["a/y.wav"]
    folder = write_folder(tmp_path / "b", {"a/x.wav": sound(hiss(0))})
    (folder / "a" / "zero.wav").symlink_to("/dev/zero")
    skipped = AudioFolder(skip_unreadable=True).read(folder).skipped
    assert skipped == {"a/zero.wav": "cannot be read (a/zero.wav is not a regular file; leave it out)"}


def test_a_silent_window_of_a_sound_is_unreadable(tmp_path):
    late = np.concatenate([np.zeros(100, np.int16), hiss(0)])
    path = write_folder(tmp_path, {"a/x.wav": sound(late), "b/y.wav": sound(hiss(1))})
    assert len(AudioFolder(num_samples=50).read(path)) == 2
    with pytest.raises(InrzooError, match=r"a/x.wav is silent \(crop = 'start'"):
        AudioFolder(num_samples=50, crop="start").read(path)


def test_hours_of_silence_in_a_small_file_are_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(_sounds, "MAX_SECONDS", 1)
    second = sound(hiss(0, 8000), kind="FLAC")
    assert len(decode(second, "x", 8000)) == 8000
    with pytest.raises(UnreadableError, match="lasts longer than 1 s"):
        decode(sound(hiss(0, 8001), kind="FLAC"), "x", 8000)
    with pytest.raises(UnreadableError, match="states 1000000 samples a second; the maximum is 768000"):
        decode(sound(hiss(0), 1_000_000), "x", 8000)


def test_a_header_that_states_hours_is_enough():
    class Hours:
        samplerate, channels, format, frames = 8000, 1, "FLAC", 8000 * 3600

        def read(self, frames, **_):
            raise AssertionError("the file was decoded")

    with pytest.raises(UnreadableError, match="lasts longer than 600 s"):
        list(_sounds._mono_blocks(Hours(), "refuse"))


def test_a_recording_whose_header_states_no_length_is_cut_off_as_well(monkeypatch):
    class Stream:
        samplerate, channels, format, frames = 8000, 1, "OGG", np.iinfo(np.int64).max
        num_read = 0

        def read(self, frames, **_):
            self.num_read += frames
            assert self.num_read < 601 * 8000 + _sounds.BLOCK_FRAMES
            return np.ones((frames, 1))

    with pytest.raises(UnreadableError, match="lasts longer than 600 s"):
        list(_sounds._mono_blocks(Stream(), "refuse"))


def test_a_streamed_wav_file_without_a_size_is_read():
    content = sound(hiss(0))
    streamed = content[:4] + b"\xff" * 4 + content[8:40] + b"\xff" * 4 + content[44:]
    np.testing.assert_array_equal(decode(streamed, "x", 8000), hiss(0))


def test_without_soundfile_the_line_says_what_to_install(tmp_path, monkeypatch):
    path = write_folder(tmp_path, {"a/x.wav": sound(hiss(0))})
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(InrzooError, match=r"reading sounds needs soxr: pip install 'inrzoo\[audio\]'") as caught:
        AudioFolder().read(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_changes_after_it_was_listed_is_one_line(tmp_path):
    path = write_folder(tmp_path, {"a/x.wav": sound(hiss(0))})
    signals = AudioFolder().read(path)
    for content in (sound(hiss(0, 99)), b""):
        (path / "a" / "x.wav").write_bytes(content)
        with pytest.raises(InrzooError, match=r"a/x.wav .*changed after it was listed"):
            list(signals.values([0]))


@pytest.mark.parametrize("name", ["x.wav", "a/deep/x.wav"])
def test_a_clip_outside_of_a_class_folder_is_one_line(tmp_path, name):
    path = write_zip(tmp_path / "a.zip", {name: sound(hiss(0)), "b/y.wav": sound(hiss(1))})
    with pytest.raises(InrzooError, match=f"{name} is not in a folder CLASS/ or SPLIT/CLASS/.*; label_pattern"):
        AudioFolder().read(path)
