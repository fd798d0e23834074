"""The card says what the store holds, and the command on it builds the store."""

import hashlib
import itertools
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny_store import small

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.hub.card import card
from inrzoo.hub.header import says_images, size_category
from inrzoo.hub.rebuild import rebuild, to_toml
from inrzoo.interchange import parquet
from inrzoo.store import Store, open_store
from inrzoo.store.recorded import RecordedManifest


def record(store: Store, **changes: object) -> None:
    """Let an open store have another manifest."""
    tables = {**store.info.manifest.tables, **changes}
    store.info = replace(store.info, manifest=RecordedManifest.from_tables(tables))


def header(text: str) -> dict:
    from huggingface_hub import DatasetCard

    parsed = DatasetCard(text)  # its own validation of the YAML block
    assert parsed.data.to_dict() == yaml.safe_load(text.split("---\n")[1])
    return parsed.data.to_dict()


def test_the_header_is_what_the_hub_expects(store: Store) -> None:
    data = header(card(store, "ada/tiny", 3, True))
    assert data["license"] == "cc-by-4.0" and data["size_categories"] == ["n<1K"] and "inrzoo" in data["tags"]
    assert data["inrzoo"]["version"] == 3 and data["inrzoo"]["fingerprint"] == store.info.fingerprint
    files = data["configs"][0]["data_files"]
    assert [entry["split"] for entry in files] == ["train", "validation", "test"]
    assert all(len(entry["path"]) == store.num_seeds for entry in files)
    assert data["inrzoo"]["psnr_median"] == round(float(np.median(store.psnr)), 2)


def test_figures_are_those_of_the_store(store: Store) -> None:
    text = card(store, "ada/tiny", 1, True)
    for code, name in enumerate(store.info.split_names):
        psnr, status = store.psnr[store.split == code, :, 0], store.status[store.split == code]
        figures = [psnr.mean(dtype=np.float64), np.median(psnr), np.quantile(psnr, 0.05), psnr.min()]
        counts = [int((status == number).sum()) for number in (1, 2, 3)]
        lossless = f"{(store.exact[store.split == code] == 1).mean():.1%}"
        row = [name, "10", str(psnr.size), *(f"{figure:.2f}" for figure in figures), lossless, *map(str, counts)]
        assert f"| {' | '.join(row)} |" in text
    counted = [int(line.split()[-1]) for line in text.splitlines() if " dB  " in line]
    assert sum(counted) == store.psnr.size
    root = hashlib.sha256((store.path / "zarr.json").read_bytes()).hexdigest()
    for fact in (root, store.info.signals_sha256, store.info.manifest.citation):
        assert fact in text
    shown = [column.name for column in parquet.columns(store, False)]
    table = text.partition("## Columns of the Parquet files")[2].partition("## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == shown and "image" not in shown
    pictured = card(store, "ada/tiny", 1, True, True)
    assert "| `image` | PNG | picture of the INR |" in pictured
    assert says_images(pictured.encode()) and not says_images(text.encode())
    for line in ("sitzmann", "end points", "[-1, 1]", "10·log10((high − low)² / MSE)", "stops at 18 dB"):
        assert line in text
    assert str(store.path) not in text and "None" not in text and "nan" not in text.lower().split()


def test_the_same_store_gives_the_same_card(store: Store) -> None:
    assert card(store, "ada/tiny", 1, True) == card(open_store(store.path), "ada/tiny", 1, True)


def test_the_command_builds_the_store(
    finished: Path, tmp_path: Path, inrzoo: Callable[..., tuple[int, str, str]]
) -> None:
    command, content = rebuild(open_store(finished))
    assert content == ""
    words = shlex.split(command)
    assert words[:2] == ["inrzoo", "build"]
    code, _, err = inrzoo(*words[1:], "--out", tmp_path / "again.zarr", "--in-process")
    assert code == 0, err
    before, after = (open_store(path).info for path in (finished, tmp_path / "again.zarr"))
    assert before == after


@pytest.mark.parametrize(
    "changes",
    [
        {"fit__views": [1, 3], "fit__stop_psnr": None},
        {"inr__name": "fourier_net", "fit__stop_psnr": None},
        {"init__mode": "fixed"},
        {"antialias__weight": 0.0, "values__range": [0.0, 1.0], "coords__spacing": "pixel_centres"},
    ],
)
def test_other_settings_are_in_the_command_and_on_the_card(
    tmp_path: Path, changes: dict[str, object], inrzoo: Callable[..., tuple[int, str, str]]
) -> None:
    build(small(**changes), tmp_path / "a.zarr", in_process=True, quiet=True)
    store = open_store(tmp_path / "a.zarr")
    command, _ = rebuild(store)
    code, _, err = inrzoo(*shlex.split(command)[1:], "--out", tmp_path / "b.zarr", "--in-process")
    assert code == 0, err
    assert open_store(tmp_path / "b.zarr").info == store.info
    assert header(card(store, "ada/tiny", 1, False))["inrzoo"]["num_inrs"] == store.status.size * len(store.snapshots)


def test_a_manifest_of_ones_own_stands_on_the_card(store: Store, tmp_path: Path) -> None:
    record(store, name="mine")
    command, content = rebuild(store)
    assert command == "inrzoo build manifest.toml"
    (tmp_path / "manifest.toml").write_text(content)
    loaded = manifest.load(str(tmp_path / "manifest.toml"))
    assert manifest.differences(store.info.manifest.tables, loaded.to_json()) == []
    assert to_toml(loaded.to_json()).strip()


def test_a_licence_the_hub_does_not_know_is_named(store: Store) -> None:
    record(store, licence="ImageNet terms of access (non-commercial research)")
    data = header(card(store, "ada/tiny", 1, True))
    assert data["license"] == "other" and "imagenet" in data["license_name"]
    assert "ImageNet terms of access (non-commercial research)" in card(store, "ada/tiny", 1, True)


@pytest.mark.parametrize("licence", ["", "unknown", "unknown (redistributed widely)"])
def test_without_a_known_licence_the_card_claims_none(store: Store, licence: str) -> None:
    record(store, licence=licence)
    text = card(store, "ada/tiny", 1, True)
    assert not {"license", "license_name"} & header(text).keys()
    assert "Its licence is not known" in text and "under the same licence" not in text
    assert "| licence | that of the source is not recorded" in text


def test_the_title_and_the_limitations_are_honest(store: Store, finished: Path) -> None:
    text = card(store, "ada/tiny", 1, True)
    assert header(text)["pretty_name"].startswith("6 signals of Optical recognition of handwritten digits")
    low, lowest = np.quantile(store.psnr[:, :, -1], 0.05), store.psnr.min()
    assert f"5 % of the INRs are below {low:.2f} dB, the worst has {lowest:.2f} dB" in text
    assert "at most 6 signals were fitted" in text and "diverged fits" not in text
    record(store, limit=None)
    whole = card(store, "ada/tiny", 1, True)
    assert header(whole)["pretty_name"].startswith("Optical recognition") and "a part of the source" not in whole
    store.status[3, 1] = store.info.status_names.index("diverged")
    assert "| diverged fits | 1 of 12;" in card(store, "ada/tiny", 1, True)


def entries(bibtex: str) -> dict[str, str]:
    """Entries of BibTeX by their key; braces are balanced in each."""
    found = {}
    for entry in re.split(r"\n\n(?=@)", bibtex.strip()):
        depth = 0
        for letter in entry:
            depth += {"{": 1, "}": -1}.get(letter, 0)
            assert depth >= 0
        assert depth == 0
        found[re.match(r"@\w+\{([^,\s]+),\n", entry)[1]] = entry
    return found


def test_the_card_says_how_to_cite_the_set_inrzoo_and_the_source(store: Store) -> None:
    text = card(store, "ada/tiny", 3, True)
    found = entries(re.search(r"^```bibtex\n(.*?)^```", text, re.M | re.S)[1])
    assert list(found) == ["ada_tiny_v3", "inrzoo", "alpaydin1998optical"]
    assert "/datasets/ada/tiny}" in found["ada_tiny_v3"] and "version = {v3}" in found["ada_tiny_v3"]
    assert f"version = {{{store.info.version}}}" in found["inrzoo"]
    record(store, title="a } b \\input{x} 100%", bibtex="")
    hostile = entries(re.search(r"^```bibtex\n(.*?)^```", card(store, "ada/tiny", 3, True), re.M | re.S)[1])
    assert len(hostile) == 2 and "of a b input x 100 ," in hostile["ada_tiny_v3"]


@pytest.mark.parametrize("dataset", manifest.names())
def test_the_citations_of_shipped_manifests_are_bibtex(dataset: str) -> None:
    bibtex = manifest.load(dataset).bibtex
    assert (
        all(re.search(r"^  (author|title) = ", entry, re.M) for entry in entries(bibtex).values()) if bibtex else True
    )


def test_sounds_are_a_task_of_audio(tmp_path: Path) -> None:
    settings = {"fit.steps": 2, "fit.engine": "reference"}
    build(manifest.load("tones", overrides=settings), tmp_path / "tones.zarr", in_process=True, quiet=True)
    data = header(card(open_store(tmp_path / "tones.zarr"), "ada/tones", 1, False))
    assert data["task_categories"] == ["audio-classification", "other"] and "audio" in data["tags"]
    assert data["license"] == "cc0-1.0"


BOUNDS = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
CATEGORIES = ["n<1K", *(f"{low}<n<{high}" for low, high in itertools.pairwise(BOUNDS)), "n>1T"]


@pytest.mark.parametrize("number", range(10))
def test_the_category_of_size_changes_at_powers_of_ten(number: int) -> None:
    bound = 10 ** (3 + number)
    assert [size_category(rows) for rows in (bound - 1, bound, bound + 1)] == [
        CATEGORIES[number], CATEGORIES[number + 1], CATEGORIES[number + 1]
    ]  # fmt: skip
    assert "n>10M" not in CATEGORIES and size_category(0) == "n<1K"
