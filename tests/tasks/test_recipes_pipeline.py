"""The table of what fast fits cost readers of weights is made from end to end on small stand-ins."""

from pathlib import Path

import pytest
from stand_ins import run_pipeline
from test_contrastive_pipelines import cells, write_mnist

pytestmark = pytest.mark.slow  # four stores and eight training runs


def test_every_setting_has_a_row_for_every_reader(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Recipes\n\nHow.\n")
    run_pipeline("recipes_table", MNIST=write_mnist(tmp_path / "mnist"), OUT=tmp_path / "out", DOCUMENT=page)
    text = page.read_text()
    assert text.startswith("# Recipes\n\nHow.\n") and "## Accuracy" in text
    for reader in ("message_passing, random starts", "flat_mlp, shared start"):
        rows = [cells(text, f"{reader}: {name}") for name in ("the preset: 5e-4", "recipe fast")]
        assert all("±" in row[1] and 0 < int(row[2]) <= 30 for row in rows)
        assert len({row[3] for row in rows}) == 2, "each has a PSNR of its own"
        assert text.count(f"* {reader}: ") == 1
