"""`merge` and `subset` copy INRs to the bit, with everything that is known of them, and record where they came from.

Shape letters: N signals, S seeds, T snapshots.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from tiny_store import set_attributes, small, store_bytes, tiny

import inrzoo
from inrzoo import manifest, verify
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.gather import writing
from inrzoo.gather.records import _joined_tables
from inrzoo.loaders import load
from inrzoo.refit import refit
from inrzoo.store import Store, open_store
from inrzoo.store.blocks import COLUMNS

CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def views(tmp_path_factory) -> Path:
    """A store of three seeds and two snapshots."""
    path = tmp_path_factory.mktemp("views") / "views.zarr"
    build(small(seeds=3, fit__views=[5, 10], limit=8), path, in_process=True, quiet=True)
    return path


def assert_same_inrs(new: Store, old: Store, signals: list[int], seeds: list[int], steps: list[int]) -> None:
    """Everything that `new` holds is what `old` holds of these signals, seeds and places on the step axis."""
    chosen = np.ix_(signals, seeds, steps)
    assert new.weights[:].tobytes() == old.weights[:][chosen].tobytes()
    for name, column in COLUMNS.items():
        expected = getattr(old, name)[chosen if column.axes else np.ix_(signals, seeds)]
        np.testing.assert_array_equal(getattr(new, name), expected)
    assert new.signal_ids == [old.signal_ids[row] for row in signals]
    for name, codes in old.labels.items():
        expected = [old.info.label_names[name][code] for code in codes[signals]]
        assert [new.info.label_names[name][code] for code in new.labels[name]] == expected
    splits = [old.info.split_names[code] for code in old.split[signals]]
    assert [new.info.split_names[code] for code in new.split] == splits
    np.testing.assert_array_equal(new.signals(slice(None)), old.signals(slice(None))[signals])
    assert new.snapshots == [old.snapshots[step] for step in steps]


# --- subset ------------------------------------------------------------------------------------------------------


def test_a_subset_holds_what_was_asked_for(views, tmp_path):
    old = open_store(views)
    new = inrzoo.subset(views, out=tmp_path / "new.zarr", signals=[6, 1, 2], seeds=[2, 0], views=10)
    assert_same_inrs(new, old, [1, 2, 6], [2, 0], [1])
    assert new.complete and not verify.verify(new.path).problems
    (part,) = new.info.gathered.parts
    assert (part.store, part.fingerprint, part.seeds) == ("views.zarr", old.info.fingerprint, (2, 0))
    assert (part.num_signals, part.num_inrs) == (3, 6) and part.environment == old.info.environment
    assert new.info.gathered.selection == {"signals": "6,1,2", "seeds": "2,0", "views": "10"}


def test_every_condition_is_that_of_select(finished, tmp_path, inrzoo):
    old = open_store(finished)
    limit = float(np.median(old.psnr))
    options = ["--split", "train", "--label", "digit=3", "--label", "digit=5", "--label", "digit=8"]
    code, _, error = inrzoo("subset", finished, "--out", tmp_path / "new.zarr", *options, "--min-psnr", limit)
    assert code == 0, error
    chosen_NS = old.select(min_psnr=limit, split="train") & np.isin(old.labels["digit"], [3, 5, 8])[:, None]
    signals = np.flatnonzero(chosen_NS.any(axis=1))
    new, chosen_NS = open_store(tmp_path / "new.zarr"), chosen_NS[signals]
    assert not chosen_NS.all(), "some INR is pending"
    assert new.signal_ids == [old.signal_ids[row] for row in signals]
    np.testing.assert_array_equal(new.status, np.where(chosen_NS, old.status[signals], 0))
    np.testing.assert_array_equal(new.psnr, np.where(chosen_NS[..., None], old.psnr[signals], np.nan))
    expected = np.where(chosen_NS[..., None, None], old.weights[:][signals], np.nan)
    np.testing.assert_array_equal(new.weights[:], expected)
    assert not verify.verify(new.path).problems
    assert len(load(new.path)) == chosen_NS.sum()


def test_what_was_asked_for_is_recorded_in_few_words(finished, tmp_path, inrzoo):
    odd = ",".join(map(str, range(1, 47, 2)))
    for name, signals, words in (("a", "0:40", "0:40"), ("b", odd, "23 numbers, sha256 ")):
        assert inrzoo("subset", finished, "--out", tmp_path / name, "--signals", signals, "--label", "digit=3")[0] == 0
        selection = open_store(tmp_path / name).info.gathered.selection
        assert selection["signals"].startswith(words) and len(selection["signals"]) < 50
        assert selection["label"] == "digit=3"


@pytest.mark.parametrize("value", [3, [], {}, {"parts": 3}, {"parts": [{}]}, {"parts": [], "refits": "yes"}])
def test_a_hostile_record_is_one_line(finished_small, tmp_path, value):
    path = Path(shutil.copytree(finished_small, tmp_path / "store.zarr"))
    set_attributes(path, gathered=value)
    with pytest.raises(InrzooError, match="is damaged") as caught:
        open_store(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["0:20", "7", "3,5", "-4:"])
def test_signals_are_named_as_in_python(finished, tmp_path, inrzoo, part):
    assert inrzoo("subset", finished, "--out", tmp_path / "new.zarr", "--signals", part)[0] == 0
    new, old = open_store(tmp_path / "new.zarr"), open_store(finished)
    rows = {"0:20": range(20), "7": [7], "3,5": [3, 5], "-4:": range(44, 48)}[part]
    assert new.signal_ids == [old.signal_ids[row] for row in rows]


@pytest.mark.parametrize(
    "options, words",
    [
        (["--split", "dev"], "has no split 'dev'; there are: train, validation, test"),
        (["--label", "digit=12"], "has no digit '12'; there are: 0, 1, 2"),
        (["--label", "colour=red"], "has no label 'colour'; there are: digit"),
        (["--label", "digit"], "--label digit is not allowed; expected NAME=VALUE"),
        (["--seeds", "5"], "has no seed 5; there are: 0, 1"),
        (["--seeds", "0,0"], "seeds = [0, 0]"),
        (["--seeds", "one"], "--seeds one is not allowed"),
        (["--views", "7"], "has no view 7; there are: 10"),
        (["--views", "0:7"], "--views 0:7 is not allowed; expected e.g. 800,900"),
        (["--signals", "0:x"], "--signals 0:x is not allowed"),
        (["--signals", "99"], "signals 99 is out of range"),
        (["--min-psnr", "500"], "no INR of"),
        (["--signals", "4:4"], "no INR of"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(finished_small, tmp_path, inrzoo, options, words):
    code, _, error = inrzoo("subset", finished_small, "--out", tmp_path / "new.zarr", *options)
    assert code == 2 and words in error and error.count("\n") == 1
    assert not [*tmp_path.iterdir()]


# --- merge -------------------------------------------------------------------------------------------------------


def test_parts_of_a_store_merge_to_the_store(views, tmp_path):
    old = open_store(views)
    for name, signals in (("b", [2, 5, 7]), ("a", [0, 1, 3, 4, 6])):
        inrzoo.subset(views, out=tmp_path / f"{name}.zarr", signals=signals)
    new = inrzoo.merge([tmp_path / "a.zarr", tmp_path / "b.zarr"], out=tmp_path / "new.zarr")
    assert_same_inrs(new, old, [0, 1, 3, 4, 6, 2, 5, 7], [0, 1, 2], [0, 1])
    for name, array in old.stats.items():
        np.testing.assert_allclose(new.stats[name], array, rtol=1e-6, atol=1e-7)
    assert not verify.verify(new.path).problems
    assert [part.store for part in new.info.gathered.parts] == ["a.zarr", "b.zarr"]


def test_seeds_of_the_same_signals_follow_each_other(views, tmp_path):
    old = open_store(views)
    inrzoo.subset(views, out=tmp_path / "first.zarr", seeds=[1])
    inrzoo.subset(views, out=tmp_path / "others.zarr", seeds=[2, 0])
    new = inrzoo.merge([tmp_path / "first.zarr", tmp_path / "others.zarr"], out=tmp_path / "new.zarr")
    assert_same_inrs(new, old, list(range(8)), [1, 2, 0], [0, 1])
    assert new.info.signals_sha256 == old.info.signals_sha256
    assert not verify.verify(new.path).problems


def test_names_of_labels_and_splits_are_reconciled(views, tmp_path):
    old = open_store(views)
    halves = (slice(0, 4), slice(4, 8))
    low, high = (inrzoo.subset(views, out=tmp_path / f"{half.start}.zarr", signals=half) for half in halves)
    names = ["nine", *(f"digit {n}" for n in range(8, -1, -1))]
    swapped = {"digit": [*names[:9], "digit 0"]}
    set_attributes(high.path, label_names=swapped)
    set_attributes(low.path, label_names={"digit": [f"digit {n}" for n in range(9)] + ["nine"]})
    new = inrzoo.merge([low.path, high.path], out=tmp_path / "new.zarr")
    expected = [["digit 0", *(f"digit {n}" for n in range(1, 9)), "nine"][code] for code in low.labels["digit"]]
    expected += [swapped["digit"][code] for code in high.labels["digit"]]
    assert [new.info.label_names["digit"][code] for code in new.labels["digit"]] == expected
    assert len({*new.info.label_names["digit"]}) == len(new.info.label_names["digit"])
    assert [new.info.split_names[code] for code in new.split] == [old.info.split_names[code] for code in old.split]


def test_stores_that_do_not_fit_together_are_refused_in_one_line(views, finished_small, tmp_path, inrzoo):
    def refused(*words: object) -> str:
        code, _, error = inrzoo("merge", *words, "--out", tmp_path / "new.zarr")
        assert code == 2 and error.count("\n") == 1 and not (tmp_path / "new.zarr").exists()
        return error

    low, more, one = (tmp_path / name for name in ("low.zarr", "more.zarr", "one.zarr"))
    for out, signals, seeds in ((low, "0:5", "0:3"), (more, "3:8", "0:3"), (one, "5:8", "0")):
        assert inrzoo("subset", views, "--out", out, "--signals", signals, "--seeds", seeds)[0] == 0
    assert "differ in fit.views: [5, 10] → []" in refused(views, finished_small)
    assert "share 2 of 5 and 5 signals" in refused(low, more)
    assert f"cut the latter with inrzoo subset {low} --seeds 0:1" in refused(low, one)
    assert f"seed 0 of {low} and seed 0 of {low} hold the same INRs" in refused(low, low)
    assert "merge needs two stores or more" in refused(low)
    set_attributes(low, complete=False)
    assert f"finish it with: inrzoo build {low}" in refused(low, one)


def test_seeds_of_signals_in_another_order_are_brought_into_the_first_order(views, tmp_path):
    halves = {"low": slice(0, 5), "high": slice(5, 8)}
    for seed in (0, 1):
        for half, signals in halves.items():
            inrzoo.subset(views, out=tmp_path / f"{half}{seed}.zarr", signals=signals, seeds=seed)
    first = inrzoo.merge([tmp_path / "high0.zarr", tmp_path / "low0.zarr"], out=tmp_path / "first.zarr")
    second = inrzoo.merge([tmp_path / "low1.zarr", tmp_path / "high1.zarr"], out=tmp_path / "second.zarr")
    new = inrzoo.merge([first.path, second.path], out=tmp_path / "new.zarr")
    assert_same_inrs(new, open_store(views), [5, 6, 7, 0, 1, 2, 3, 4], [0, 1], [0, 1])


def test_signals_of_one_name_that_differ_are_refused(views, tmp_path):
    seeds = [inrzoo.subset(views, out=tmp_path / f"{seed}.zarr", seeds=seed).path for seed in (0, 1)]
    names = {"digit": [str(n) for n in range(10)]}
    set_attributes(seeds[1], label_names={"digit": names["digit"][::-1]})
    with pytest.raises(InrzooError, match="which differ: 8 signals have another digit"):
        inrzoo.merge(seeds, out=tmp_path / "new.zarr")
    set_attributes(seeds[1], label_names=names)
    signals = zarr.open_group(seeds[1])["signals"]
    signals[3] = 1 + signals[3]
    set_attributes(seeds[1], signals_sha256="0" * 64)
    with pytest.raises(InrzooError, match="name the same signals, which differ: 1 of 8 in both have other numbers"):
        inrzoo.merge(seeds, out=tmp_path / "new.zarr")


# --- fitting again -----------------------------------------------------------------------------------------------


def test_inrs_are_fitted_again_to_the_bit_or_the_store_says_that_they_cannot_be(tmp_path):
    settings = tiny(fit__engine="fused", limit=12, seeds=2, fit__steps=20)
    build(settings, tmp_path / "old.zarr", in_process=True, quiet=True)
    low, high = (tmp_path / "low.zarr", tmp_path / "high.zarr")
    inrzoo.subset(tmp_path / "old.zarr", out=low, signals=range(2, 5))
    inrzoo.subset(tmp_path / "old.zarr", out=high, signals=range(5, 12))
    merged = inrzoo.merge([high, low], out=tmp_path / "merged.zarr")
    assert all(one.bit_equal for one in refit(merged.path, 20).refits)
    assert merged.info.gathered.refits
    for name, options in (("seed", {"seeds": 1}), ("again", {"seeds": [1, 0]})):
        cut = inrzoo.subset(merged.path, out=tmp_path / f"{name}.zarr", **options)
        with pytest.raises(InrzooError, match=r"were gathered from merged.zarr \(\d+ INRs\); fit again those of the"):
            refit(cut.path, 1)


def test_inrs_that_depend_on_their_neighbours_cannot_be_fitted_again(finished_small, tmp_path, inrzoo):
    assert inrzoo("subset", finished_small, "--out", tmp_path / "new.zarr", "--signals", "1:")[0] == 0
    for words in (["verify", tmp_path / "new.zarr", "--refit", 1], ["build", tmp_path / "new.zarr", "--seeds", 3]):
        code, _, error = inrzoo(*words)
        assert code == 2 and "were gathered from tiny.zarr" in error
    assert "gathered from  tiny.zarr (10 INRs)" in inrzoo("info", tmp_path / "new.zarr")[1]


# --- whole or not at all -----------------------------------------------------------------------------------------


def test_an_existing_store_is_replaced_only_when_asked_and_only_when_the_new_one_is_complete(
    finished_small, tmp_path, inrzoo, monkeypatch
):
    out = tmp_path / "out.zarr"
    shutil.copytree(finished_small, out)
    before = store_bytes(out)
    code, _, error = inrzoo("subset", finished_small, "--out", out, "--signals", "0")
    assert code == 2 and "exists; give another --out, or --overwrite to replace it" in error

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(writing, "publish_seed", fail)
        code, _, error = inrzoo("subset", out, "--out", out, "--signals", "0", "--overwrite")
    assert code == 2 and "the disk is full" in error
    assert store_bytes(out) == before and [*tmp_path.iterdir()] == [out]
    assert inrzoo("subset", out, "--out", out, "--signals", "0", "--overwrite")[0] == 0
    assert open_store(out).num_signals == 1 and [*tmp_path.iterdir()] == [out]


def test_what_is_no_store_is_never_replaced(finished_small, tmp_path, inrzoo):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    code, _, error = inrzoo("subset", finished_small, "--out", tmp_path / "notes", "--overwrite")
    assert code == 2 and "no store at" in error and (tmp_path / "notes" / "a.txt").read_text() == "mine"
    code, _, error = inrzoo("subset", finished_small, "--out", "s3://bucket/new.zarr")
    assert code == 2 and "expected a folder on this machine" in error


# --- other signals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, changes",
    [
        ("tones", {"fit.steps": 10, "source.num_samples": 64}),
        ("solids", {"fit.steps": 10, "fit.num_coords": 50, "source.num_points": 128, "source.num_held_out": 64}),
    ],
)
def test_points_limits_padding_and_measures_come_along(tmp_path, name, changes):
    settings = {"fit.engine": "reference", "inr.hidden_features": 8, "seeds": 1, "limit": 9, **changes}
    build(manifest.load(name, None, settings), tmp_path / "old.zarr", in_process=True, quiet=True)
    old = open_store(tmp_path / "old.zarr")
    for part, rows in (("a", [0, 3, 4]), ("b", [5, 8])):
        inrzoo.subset(old.path, out=tmp_path / f"{part}.zarr", signals=rows)
    new = inrzoo.merge([tmp_path / "a.zarr", tmp_path / "b.zarr"], out=tmp_path / "new.zarr")
    rows = np.array([0, 3, 4, 5, 8])
    assert not verify.verify(new.path).problems
    for each, measured in old.measures.items():
        np.testing.assert_array_equal(new.measures[each], measured[rows])
    for each, numbers in old.numbers.items():
        np.testing.assert_array_equal(new.numbers[each], numbers[rows])
    ours, theirs = new.signal_table(), old.signal_table(rows)
    assert ours.arrays.keys() == theirs.arrays.keys()
    for each, array in theirs.arrays.items():
        np.testing.assert_array_equal(ours.arrays[each], array)
    for mine, its in ((new.limits, old.limits), (new.valid, old.valid)):
        assert (mine is None) == (its is None)
        if its is not None:
            np.testing.assert_array_equal(mine, its[rows])


def test_stores_without_their_signals_stay_without_them(tmp_path):
    build(small(redistributable=False), tmp_path / "old.zarr", in_process=True, quiet=True)
    parts = [inrzoo.subset(tmp_path / "old.zarr", out=tmp_path / f"{n}.zarr", signals=[n, n + 1]).path for n in (0, 2)]
    new = inrzoo.merge(parts, out=tmp_path / "new.zarr")
    assert not new.has_signals and new.weights[:].tobytes() == open_store(tmp_path / "old.zarr").weights[:4].tobytes()
    findings = verify.verify(new.path)
    assert not findings.problems and "gathered without its signals from 0.zarr (4 INRs)" in findings.unchecked
    assert len({open_store(path).info.signals_sha256 for path in (*parts, new.path)}) == 3


def test_every_source_is_cited_once():
    sources = [{"citation": "A.", "bibtex": "@misc{a}\n"}, {"citation": "B.", "bibtex": "@misc{b}"}, {"citation": "A."}]
    joined = _joined_tables([{"name": "set", **source} for source in sources], "new")
    assert joined["citation"] == "A.; B." and joined["bibtex"] == "@misc{a}\n\n@misc{b}"
    assert "bibtex" not in _joined_tables([{"name": "set", "citation": "A."}] * 2, "new")
