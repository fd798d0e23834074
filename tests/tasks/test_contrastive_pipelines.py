"""The scripts of the contrastive paper run from end to end on small stand-ins, and write what they say they write."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_ins import run_pipeline, write_idx

from inrzoo import checkpoint, open_store

pytestmark = pytest.mark.slow  # a minute, most of it for some 70 runs of a few steps

PAPER = {"siren-mnist": ("95.16", "53.01"), "fourier_net-mnist": ("54.71", "42.97")}
"""Sets, and the paper's supervised and contrastive accuracy."""


def write_mnist(folder: Path) -> Path:
    """Bars at ten angles on a ramp, 12 × 12 pixels: 100 to train on, 40 to test on."""
    rows, cols = np.meshgrid(*[np.linspace(-1, 1, 12)] * 2, indexing="ij")
    rng = np.random.default_rng(0)
    parts = {}
    for part, count in {"train": 100, "t10k": 40}.items():
        labels = (np.arange(count) % 10).astype(np.uint8)
        angle = labels[:, None, None] * np.pi / 10 + rng.normal(0, 0.05, (count, 1, 1))
        bars = np.abs(np.cos(angle) * rows + np.sin(angle) * cols) < 0.3
        images = (180 * bars + 30 * (1 + cols)).astype(np.uint8)
        parts[part] = (images, labels)
    return write_idx(folder, parts)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Output folder and page of all scripts, of MNIST alone."""
    folder = tmp_path_factory.mktemp("contrastive")
    settings = {"MNIST": write_mnist(folder / "mnist"), "OUT": folder / "out", "DOCUMENT": folder / "page.md"}
    run_pipeline("contrastive_table_2", SETS=",".join(PAPER), **settings)
    run_pipeline("contrastive_figure_3", SETS=",".join(PAPER), **settings)
    run_pipeline("contrastive_ablations", **settings)
    run_pipeline("contrastive_supervised", SETS="mnist-nfn", **settings)
    return folder / "out", (folder / "page.md").read_text()


def section(page: str, title: str) -> str:
    return page.split(f"## {title}\n")[1].split("\n## ")[0]


def cells(page: str, row: str) -> list[str]:
    line = next(line for line in page.splitlines() if line.startswith(f"| {row} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("name", PAPER)
def test_table_2_has_the_paper_s_numbers_beside_ours_and_what_each_took(ran, name):
    out, page = ran
    page = section(page, f"Table 2: {name}")
    for method, number in zip(("supervised", "contrastive"), PAPER[name], strict=True):
        row = cells(page, f"{method}, message_passing")
        assert row[1] == number and "±" in row[2] and row[-4:-2] == ["10 × 16", "2"]
        run = "supervised" if method == "supervised" else "contrastive-message_passing"
        costs = [json.loads((out / "runs" / f"{name}-{run}-seed{seed}" / "run.json").read_text()) for seed in (0, 1)]
        assert row[-2:] == [costs[0]["device"], f"{sum(cost['cpu_seconds'] for cost in costs) / 120:.1f}"]
    for method in ("contrastive, flat_mlp", "no encoder, canonical weights", "no encoder, weights"):
        row = cells(page, method)
        assert row[1] == "" and all("±" in cell for cell in row[2:6])
        assert page.count(f"* {name}: contrastive message_passing above {method}: **") == 2
    assert ("| contrastive, graded_message_passing " in page) == name.startswith("siren")
    few, many = (cells(page, f"part, {count} seeds: contrastive, message_passing") for count in (2, 3))
    assert int(few[-5]) * 3 == int(many[-5]) * 2


def test_a_row_of_several_trainings_has_student_s_interval_over_them(ran):
    out, page = ran
    runs = [out / "runs" / f"siren-mnist-contrastive-message_passing-seed{seed}" / "measured.json" for seed in (0, 1)]
    one, other = (json.loads(run.read_text())["accuracy"]["mean"] for run in runs)
    half = 12.7062 * abs(one - other) / 2  # t of one degree of freedom; s/√2 of two numbers is half their distance
    row = cells(section(page, "Table 2: siren-mnist"), "contrastive, message_passing")
    assert row[2] == f"{(one + other) / 2:.1f} ± {half:.1f}"


def test_what_a_fourier_net_loses_without_labels_is_compared_with_a_siren(ran):
    assert "fourier_net-mnist: without labels a SIREN loses more accuracy than a FourierNet: **" in ran[1]


def test_each_augmentation_is_left_out_once_and_snapshots_replace_seeds(ran):
    page = section(ran[1], "What each augmentation is worth")
    without = [f"without {name}" for name in ("scale", "rotate", "translate", "noise", "dropout")]
    for title in (*without, "motions alone", "none: two seeds alone", "all, snapshots in place of seeds"):
        assert "±" in cells(page, title)[1]
        assert page.count(f"* all augmentations, pairs of seeds: above {title}: **") == 2
    pairs = ran[0] / "runs" / "ablation-all-snapshots-in-place-of-seeds-seed0" / "best.safetensors"
    assert checkpoint.read(pairs).task["between"] == "views"


def test_inrs_with_and_without_anti_aliasing_are_learned_from(ran):
    page = section(ran[1], "Anti-aliasing and features")
    bounds = {kind: open_store(ran[0] / f"fourier_net-mnist-2nyquist-{kind}.zarr").max_frequency.max()
              for kind in ("none", "projection")}  # fmt: skip
    nyquist = 12 * np.pi / 2  # of 12 pixels from -1 to 1; end points make it a little less
    assert bounds["none"] > nyquist > bounds["projection"]
    assert page.count("* regularised INRs (projection) give better features: **") == 2


def test_the_curve_has_a_row_for_every_number_of_images(ran):
    _, page = ran
    for encoder in ("message_passing", "equivariant_mlp", "flat_mlp"):
        rows = [line for line in page.splitlines() if line.startswith(f"| mnist-nfn: {encoder} ")]
        images = [[cell.strip() for cell in row.strip("|").split("|")][3] for row in rows]
        assert images[0] == "20" and len(images) == 2 and int(images[1]) > 20
        assert page.count(f"* mnist-nfn: {encoder} learns more from more images: **") == 1
    assert cells(page, "mnist-nfn: relational_transformer")[1] == "95.16"


def test_the_figure_has_weights_and_features_of_every_set(ran):
    out, page = ran
    for name, panels in {"siren-mnist": 3, "fourier_net-mnist": 2}.items():
        assert f"![{name}: t-SNE of weights and of features](page_{name}.png)" in page
        assert Image.open(out.parent / f"page_{name}.png").size[0] == 150 * (4 * panels + 1)
