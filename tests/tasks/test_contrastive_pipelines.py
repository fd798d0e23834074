"""The scripts of the contrastive paper run from end to end on small stand-ins, and write what they say they write."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_ins import run_pipeline, write_idx

pytestmark = pytest.mark.slow  # half a minute, most of it for curves of 19 runs


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
    """Output folder and page of all three scripts, of MNIST alone."""
    folder = tmp_path_factory.mktemp("contrastive")
    settings = {"MNIST": write_mnist(folder / "mnist"), "OUT": folder / "out", "DOCUMENT": folder / "page.md"}
    run_pipeline("contrastive_table_2", **settings)
    run_pipeline("contrastive_figure_3", **settings)
    run_pipeline("contrastive_supervised", SETS="mnist-nfn", **settings)
    return folder / "out", (folder / "page.md").read_text()


def cells(page: str, row: str) -> list[str]:
    line = next(line for line in page.splitlines() if line.startswith(f"| {row} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table_2_has_the_paper_s_numbers_beside_ours_and_what_each_took(ran):
    out, page = ran
    assert page.startswith("## Table 2\n")
    paper = {"siren-mnist": ("95.16", "53.01"), "fourier_net-mnist": ("54.71", "42.97")}
    for name, numbers in paper.items():
        for method, number in zip(("supervised", "contrastive"), numbers, strict=True):
            row = cells(page, f"{name}: {method}, message_passing")
            assert row[1] == number and "±" in row[2]
            run = json.loads((out / "runs" / f"{name}-{method}-message_passing" / "run.json").read_text())
            assert row[-2:] == [run["device"], f"{run['seconds'] / 60:.1f}"] and run["seconds"] > 0
            assert row[-3] == "10 × 16"
        for method in ("contrastive, flat_mlp", "no encoder, canonical weights", "no encoder, weights"):
            row = cells(page, f"{name}: {method}")
            assert row[1] == "" and all("±" in cell for cell in row[2:6])
            assert page.count(f"* {name}: contrastive message_passing above {method}: **") == 2


def test_the_curve_has_a_row_for_every_number_of_images(ran):
    _, page = ran
    for encoder in ("message_passing", "equivariant_mlp", "flat_mlp"):
        rows = [line for line in page.splitlines() if line.startswith(f"| mnist-nfn: {encoder} ")]
        images = [[cell.strip() for cell in row.strip("|").split("|")][3] for row in rows]
        assert images[0] == "20" and len(images) == 2 and int(images[1]) > 20
        assert page.count(f"* mnist-nfn: {encoder} learns more from more images: **") == 1
    assert cells(page, "mnist-nfn: relational_transformer")[1] == "95.16"


def test_the_figure_has_two_panels_a_set(ran):
    out, page = ran
    assert "![t-SNE of weights and of features](page.png)" in page
    assert Image.open(out.parent / "page.png").size[0] == 150 * (4 * 4 + 1)
