"""Representations of stores, datasets and batches, in text and in a notebook."""

import html
import json
import logging
import shutil
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

import inrzoo
from inrzoo.display import MAX_CHARACTERS, Shown, listed, show_log
from inrzoo.loaders import Episodes, Pairs, WeightStream
from inrzoo.store import open_store

HOSTILE = "<script>alert(1)</script>\x1b[31m'\"&\n"


def both(thing):
    return repr(thing), thing._repr_html_()


def test_a_store_shows_what_it_holds(finished):
    store = open_store(finished)
    text, page = both(store)
    counts = np.bincount(store.split)
    splits = ", ".join(f"{name} {n}" for name, n in zip(store.info.split_names, counts, strict=True))
    median = np.median(store.psnr[:, :, -1][store.status != 3])
    for words in (
        "digits, complete",
        "48 signals × 2 seeds × 1 snapshot (steps 40)",
        f"siren, {store.layout.num_params:,} parameters",
        "hidden_features 8",
        splits,
        "(10 classes)",
        f"median {median:.2f} dB at step 40",
        str(finished),
    ):
        assert words in text and html.escape(words) in page, words


def test_a_store_shows_nothing_that_has_to_be_fetched_or_is_long(finished, monkeypatch):
    monkeypatch.setattr("inrzoo.store.description.MAX_ENTRIES_READ", 10)
    store = open_store(finished)
    monkeypatch.setattr(type(store._arrays), "read", lambda *_, **__: pytest.fail("a column was read"))
    text = repr(store)
    assert "train, validation, test" in text and "median" not in text


def test_a_store_that_is_being_built_says_so(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "half.zarr")
    root = json.loads((copy / "zarr.json").read_text())
    root["attributes"] |= {"complete": False, "published_seeds": [0]}
    (copy / "zarr.json").write_text(json.dumps(root))
    assert "being built: 1 of 2 seeds are finished" in repr(open_store(copy))


def test_names_in_a_store_cannot_command_a_terminal_or_a_browser(finished):
    store = open_store(finished)
    hostile = {
        "dataset": HOSTILE,
        "split_names": [HOSTILE] * len(store.info.split_names),
        "label_columns": [HOSTILE],
        "label_names": {HOSTILE: ["0"]},
        "inr": {"name": HOSTILE, HOSTILE: HOSTILE},
    }
    store.info = SimpleNamespace(
        **{**vars(store.info), **hostile, "status_codes": store.info.status_codes, "num_axes": 2},
        codec=store.info.codec,
    )
    store.location = HOSTILE
    text, page = both(store)
    assert all(letter.isprintable() or letter == "\n" for letter in text + page)
    assert len(text.splitlines()) <= 9 and "<script>" in text

    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)
    parser.feed(page)
    assert set(tags) == {"div", "strong", "table", "tr", "th", "td"}


def test_a_damaged_store_is_still_shown(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "damaged.zarr")
    store = open_store(copy)
    shutil.rmtree(copy / "split")
    shutil.rmtree(copy / "psnr")
    text = repr(store)
    assert "labels" in text and text.count("cannot be read") == 2 and "48 signals" in text


def test_loaders_and_batches_show_their_shapes(finished):
    dataset = inrzoo.load(finished, split="train")
    stream = inrzoo.load(finished, split="train", streaming=True, shuffle=True, batch_size=8)
    params = dataset.layout.num_params
    batch = next(iter(stream))
    pairs = Pairs(dataset)
    column = next(iter(batch.labels))
    for thing, words in (
        (dataset, [f"{len(dataset)}, split train, steps 40", f"{params} parameters", "per tensor", str(finished)]),
        (stream, [f"{len(stream)} of 8 an epoch", "shuffled", f"{len(dataset)}, split train", "WeightDataset"]),
        (WeightStream(pairs, batch_size=4), ["Pairs", "items", str(len(pairs)), "in order"]),
        (batch, [f"(8, {params}) float32 on cpu", f"labels['{column}']", "(8,) int64"]),
        (pairs[[0, 1]], ["PairBatch", "first.weights", "second.weights", f"(2, {params}) float32"]),
        (
            Episodes(dataset, ways=2, shots=1, queries=1)[0],
            ["Episode", "support.weights", f"(2, {params})", "classes"],
        ),
    ):
        text, page = both(thing)
        for word in words:
            assert word in text and html.escape(word) in page, (word, text)
    assert "values" not in repr(batch)
    assert "meta" in repr(batch.to("meta"))  # a tensor without data is shown, so no data are read


def test_long_rows_are_cut():
    class Long(Shown):
        def _shown(self):
            return "Long", {"row": "x" * 10**6, "list": listed(map(str, range(100)))}

    text, page = both(Long())
    assert len(text) < MAX_CHARACTERS + 100 and len(page) < MAX_CHARACTERS + 600
    assert "7 and 92 more" in text


def test_a_log_is_shown_once_and_cannot_command_a_terminal(capsys):
    log = logging.getLogger("inrzoo")
    before, level = list(log.handlers), log.level
    try:
        show_log()
        show_log()
        logging.getLogger("inrzoo.tasks").info("from %s", "\x1b[31mred")
        logging.getLogger("inrzoo.tasks").debug("not shown")
        assert capsys.readouterr().err == "from ?[31mred\n"
    finally:
        log.handlers[:] = before
        log.setLevel(level)
