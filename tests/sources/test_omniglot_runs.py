"""Lake's one-shot runs, made small."""

import numpy as np
import pytest
from small_datasets import all_values, one_shot_runs, write_folder, write_zip

from inrzoo.errors import InrzooError
from inrzoo.sources.omniglot import Omniglot
from inrzoo.sources.omniglot_runs import OmniglotRuns


def test_every_drawing_has_its_run_its_part_and_its_character(tmp_path):
    signals = OmniglotRuns(size=16).read(write_zip(tmp_path / "all_runs.zip", one_shot_runs()))
    names = [np.array(signals.label_names[column])[codes].tolist() for column, codes in signals.labels.items()]
    labels = dict(zip(signals.ids, zip(*names, strict=True), strict=True))
    assert len(labels) == 12
    assert labels["run01/training/class03.png"] == ("run01/class03", "run01", "training")
    assert labels["run01/test/item01.png"] == ("run01/class03", "run01", "test")  # not the class of its number
    assert labels["run02/test/item03.png"] == ("run02/class01", "run02", "test")
    assert list(signals.labels) == ["character", "run", "part"]
    assert np.bincount(signals.labels["character"]).tolist() == [2] * 6


def test_an_archive_its_folder_and_the_folder_around_it_give_the_same(tmp_path):
    write_zip(tmp_path / "all_runs.zip", one_shot_runs())
    folder = write_folder(tmp_path / "unpacked", one_shot_runs())
    first, *others = [OmniglotRuns(size=16).read(path) for path in (tmp_path, tmp_path / "all_runs.zip", folder)]
    for other in others:
        assert other.ids == first.ids and other.labels["character"].tolist() == first.labels["character"].tolist()
        np.testing.assert_array_equal(all_values(other), all_values(first))
    files = one_shot_runs()
    name = "run01/class_labels.txt"
    swapped = files[name].replace(b"class01", b"x").replace(b"class02", b"class01").replace(b"x", b"class02")
    changed = OmniglotRuns().read(write_folder(tmp_path / "changed", {**files, name: swapped}))
    assert changed.checksums != others[-1].checksums  # the table is data, too


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        (
            "run01/class_labels.txt",
            b"run01/test/item01.png",
            "has the line 'run01/test/item01.png'; expected a drawing",
        ),
        ("run01/class_labels.txt", b"run01/test/item01.png run09/training/class01.png", "has the line"),
        ("run01/class_labels.txt", b"run01/training/class02.png run01/training/class01.png", "has the line"),
        ("run01/class_labels.txt", b"", r"no class_labels.txt names the character of run01/test/item01.png"),
        ("run01/class_labels.txt", None, r"no class_labels.txt names the character of run01/test/item01.png"),
    ],
)
def test_a_wrong_table_is_one_line(tmp_path, name, content, match):
    files = one_shot_runs()
    files.pop(name) if content is None else files.update({name: content})
    with pytest.raises(InrzooError, match=match) as caught:
        OmniglotRuns().read(write_zip(tmp_path / "all_runs.zip", files))
    assert "\n" not in str(caught.value)


def test_runs_are_no_alphabets(tmp_path):
    with pytest.raises(InrzooError, match="no Omniglot drawings"):
        Omniglot().read(write_zip(tmp_path / "all_runs.zip", one_shot_runs()))
