"""The scripts of the few-shot tables run from end to end on small stand-ins, and write what they say they write."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_ins import PIPELINES, run_pipeline

from inrzoo import manifest

SCRIPTS = sorted(path.stem for path in PIPELINES.glob("few_shot_*.py"))


def test_there_is_a_script_for_every_table_and_figure():
    tables = {f"few_shot_table_{number}" for number in (2, 3, 5, 6, 7, 8, 9)}
    assert set(SCRIPTS) == tables | {"few_shot_figure_3", "few_shot_figure_4", "few_shot_recipe"}


def write_cifar100(folder: Path) -> Path:
    """As the Hub repository: 20 superclasses of 2 classes of 22 photographs: a colour that grows along a row, noise."""
    import datasets

    superclasses = [
        name for names in manifest.load("fewshot_cifar100").source["split_classes"].values() for name in names
    ]
    features = datasets.Features(
        {
            "img": datasets.Image(),
            "fine_label": datasets.ClassLabel(names=[f"{name} {kind}" for name in superclasses for kind in "ab"]),
            "coarse_label": datasets.ClassLabel(names=superclasses),
        }
    )
    rng = np.random.default_rng(0)
    columns: dict[str, dict[str, list[object]]] = {
        split: {"img": [], "fine_label": [], "coarse_label": []} for split in ("train", "test")
    }
    for fine in range(2 * len(superclasses)):
        colour = rng.integers(0, 200, 3)
        for number in range(22):
            ramp = np.linspace(0, 50, 32)[:, None]  # something to learn: an INR below its picture's mean has diverged
            pixels = (colour + ramp + rng.integers(0, 6, (32, 32, 3))).astype(np.uint8)
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "PNG")
            into = columns["train" if number < 18 else "test"]
            into["img"].append({"bytes": content.getvalue(), "path": None})
            into["fine_label"].append(fine)
            into["coarse_label"].append(fine // 2)
    (folder / "data").mkdir(parents=True)
    for split, rows in columns.items():
        datasets.Dataset.from_dict(rows, features=features).to_parquet(str(folder / "data" / f"{split}-00000.parquet"))
    return folder


@pytest.mark.slow
def test_fc100_on_a_small_stand_in(tmp_path, capsys):
    """Table 3: superclasses of the training, validation and test split are those of the manifest."""
    cifar100 = write_cifar100(tmp_path / "cifar100")
    run_pipeline("few_shot_table_3", CIFAR100=cifar100, OUT=tmp_path / "out", DOCUMENT=tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert page.startswith("## Table 3: INR-FC100\n")
    assert page.count("| low: ") == page.count("| high: ") == 3
    assert "the transformer is above the MLP: **" in page
    assert "low: transformer" in capsys.readouterr().err
