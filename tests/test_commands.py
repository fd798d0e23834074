"""The commands that only look."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inrzoo import manifest, registry, summary
from inrzoo.cli import key_values
from inrzoo.errors import InrzooError
from inrzoo.preview import preview
from inrzoo.store import open_store

CommandLine = Callable[..., tuple[int, str, str]]


def test_list_names_everything(inrzoo: CommandLine) -> None:
    code, out, _ = inrzoo("list")
    assert code == 0
    for name in [*manifest.names(), *registry.names("sources"), *registry.names("inrs")]:
        assert name in out


def test_info_says_the_same_in_both_forms(finished: Path, inrzoo: CommandLine) -> None:
    code, out, _ = inrzoo("info", finished, "--json")
    content = json.loads(out)
    assert code == 0 and content["complete"] and content["inrs"] == {"done": 96, "wanted": 96}
    assert sum(content["status"].values()) == 96 and sum(content["splits"].values()) == 48
    _, text, _ = inrzoo("info", finished)
    assert content["fingerprint"] in text and f"{content['psnr'][0]['mean']:.2f}" in text


@pytest.mark.parametrize("columns", [80, 100])
def test_info_is_grouped_and_as_wide_as_the_terminal(
    columns: int, finished: Path, inrzoo: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = inrzoo("info", finished)[1].splitlines()
    heads = ["set", "INRs", "fit", "quality", "PSNR in dB by digit", "provenance"]
    assert [line for line in lines if not line.startswith(" ")] == heads
    assert columns - 10 < max(map(len, lines)) <= columns


def test_info_leaves_out_what_is_absent(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrzoo.summary.MAX_WIDTH", 10_000)
    store = open_store(finished)
    assert None in store.info.manifest.fit.values() and None in store.info.inr.values()
    text = summary.as_text(store, 10_000)
    assert not {"None", "partial", "anti-alias", "left"} & {*text.split()}
    for line in text.splitlines():
        assert not line.startswith("  ") or re.fullmatch(r"  \S+( \S+)*  +\S.*", line), line


def test_info_says_the_formula(finished: Path, inrzoo: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrzoo.summary.MAX_WIDTH", 10_000)
    store = open_store(finished)
    assert store.formula is not None and store.formula.latex in summary.as_text(store, 10_000)
    assert json.loads(inrzoo("info", finished, "--json")[1])["formula"] == store.formula.to_json()


def test_info_says_the_quality_of_each_class(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(finished)
    store.status[5] = store.info.status_names.index("diverged")
    digits = store.labels["digit"]

    def expected(values: np.ndarray, classes: list[int]) -> list[str]:
        of = [values[(digits == digit) & store.usable.all(axis=1), :, -1].astype(float) for digit in classes]
        return [
            f"{digit} mean {each.mean():.2f}, 5 % quantile {np.quantile(each, 0.05):.2f}, {each.size} INRs"
            for digit, each in zip(classes, of, strict=True)
        ]

    def shown(title: str) -> list[str]:
        lines = summary.as_text(store, 100).splitlines()
        first = lines.index(title) + 1
        end = next(number for number in range(first, len(lines)) if not lines[number].startswith(" "))
        return [" ".join(line.split()) for line in lines[first:end]]

    assert shown("PSNR in dB by digit") == expected(store.psnr, [*range(10)])
    content = summary.of_store(store)["by_class"]
    assert (content["column"], content["measure"], len(content["classes"])) == ("digit", "psnr", 10)
    assert sum(one["inrs"] for one in content["classes"]) == store.usable.sum()
    store.measures = {"iou": store.psnr / 30, "other": store.psnr}
    assert shown("iou by digit") == expected(store.measures["iou"], [*range(10)])
    monkeypatch.setattr("inrzoo.summary.MAX_CLASSES", 3)
    means = [store.psnr[(digits == digit) & store.usable.all(axis=1), :, -1].mean(dtype=float) for digit in range(10)]
    lowest = np.argsort(means)[:3].tolist()
    assert shown("iou by digit, the 3 lowest of 10 classes") == expected(store.measures["iou"], lowest)


def test_names_in_a_store_are_no_markup(finished: Path) -> None:
    store = open_store(finished)
    object.__setattr__(store.info, "dataset", "[bold]a[/b]")
    assert "[bold]a[/b]" in summary.as_text(store, 80)


def test_preview_draws_the_same_picture_twice(finished: Path, tmp_path: Path, inrzoo: CommandLine) -> None:
    for name in ("a.png", "b.png"):
        code, out, _ = inrzoo("preview", finished, "--out", tmp_path / name, "--count", 5)
        assert code == 0 and "5 INRs" in out
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > 500 and np.asarray(picture.convert("L")).std() > 20


def test_a_preview_draws_no_more_than_its_maximum(
    finished: Path, tmp_path: Path, inrzoo: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inrzoo.preview.MAX_DRAWN", 6)
    out = tmp_path / "a.png"
    assert inrzoo("preview", finished, "--out", out, "--count", 100_000) == (
        0,
        f"{out}: 6 of 100000 requested INRs; the maximum is 6\n",
        "",
    )
    monkeypatch.setattr("inrzoo.preview.MAX_DRAWN", 64)
    store = open_store(finished)
    store.status[2:] = 0  # as if the other INRs were pending
    store.psnr[2:] = np.nan
    assert preview(store, out, num_signals=100_000) == 2


def test_statistics_again_change_nothing(finished: Path, inrzoo: CommandLine) -> None:
    from tiny_store import store_bytes

    before = store_bytes(finished)
    assert inrzoo("stats", finished)[0] == 0
    assert store_bytes(finished) == before


def test_usage_errors_are_one_line(inrzoo: CommandLine) -> None:
    for words in (["fly"], ["build"], ["build", "digits", "--wings"], ["info"]):
        code, out, err = inrzoo(*words)
        assert (code, out) == (2, "") and len(err.strip().splitlines()) == 1 and err.startswith("inrzoo: ")


def test_help_and_version_without_the_heavy_packages() -> None:
    code = "import sys; sys.argv = ['inrzoo', '{}']\ntry:\n from inrzoo.cli import main; main()\nfinally:\n print(sorted(set(sys.modules) & {{'torch', 'ray', 'dask', 'datasets', 'zarr', 'matplotlib'}}))"  # noqa: E501
    for word in ("--help", "--version"):
        done = subprocess.run([sys.executable, "-c", code.format(word)], capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.strip().endswith("[]"), done.stderr


@pytest.mark.parametrize(
    ("words", "table"),
    [
        (("fit.views=10,20", "fit.lr=1e-3"), {"fit.views": [10, 20], "fit.lr": 1e-3}),
        (('title="a, b"', "citation=a, b"), {"title": "a, b", "citation": "a, b"}),
        (("test_ways=[5, 20]", "inr.name=siren", "x=a=b"), {"test_ways": [5, 20], "inr.name": "siren", "x": "a=b"}),
    ],
)
def test_values_of_settings(words: tuple[str, ...], table: dict[str, object]) -> None:
    assert key_values("--set", words) == table


@pytest.mark.parametrize("words", [("lr",), ("=1",), ("lr=",), ("lr=1", "lr=2")])
def test_what_is_no_setting_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(InrzooError, match=r"--set (lr|=1)"):
        key_values("--set", words)


def test_a_build_with_fewer_seeds_says_that_the_store_keeps_its_own(
    finished_small: Path, tmp_path: Path, inrzoo: CommandLine
) -> None:
    from tiny_store import store_bytes

    copy = Path(shutil.copytree(finished_small, tmp_path / "copy.zarr"))
    code, out, err = inrzoo("build", copy, "--seeds", 1, "--in-process")
    assert code == 0 and "12, complete, nothing to do" in out
    assert f"{copy} keeps its 2 seeds; --seeds 1 removes none" in err
    assert store_bytes(copy) == store_bytes(finished_small)
    code, out, err = inrzoo("build", copy, "--in-process")
    assert code == 0 and "12, complete, nothing to do" in out and "keeps" not in err
