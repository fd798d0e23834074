"""The table of what fast fits cost readers of weights is made from end to end on small stand-ins."""

from pathlib import Path

import pytest
from stand_ins import run_pipeline
from test_contrastive_pipelines import cells, write_mnist

pytestmark = pytest.mark.slow  # four stores and eight training runs


TITLES = {
    "shared": "flat MLP, shared start",
    "contrastive": "contrastive message passing, two random starts of each digit",
}


def test_every_setting_has_a_row_for_every_reader(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Recipes\n\nHow.\n")
    chosen = ",".join(TITLES)
    environment = {"OUT": tmp_path / "out", "DOCUMENT": page, "READERS": chosen}
    run_pipeline("recipes_table", MNIST=write_mnist(tmp_path / "mnist"), **environment)
    text = page.read_text()
    assert text.startswith("# Recipes\n\nHow.\n") and text.count("## Accuracy: ") == len(TITLES)
    for title in TITLES.values():
        section = text[text.index(f"## Accuracy: {title}") :]
        rows = [cells(section, name) for name in ("the preset: 5e-4", "recipe fast")]
        assert all("±" in row[1] and 0 < int(row[2]) <= 30 and float(row[5]) > 0 for row in rows)
        assert len({row[3] for row in rows}) == 2, "each has a PSNR of its own"
        assert text.count(f"* {title}: ") == 1
