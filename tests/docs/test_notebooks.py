"""The notebooks run from beginning to end, and their outputs become pages."""

import ast
import base64
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jupytext
import pytest
from notebook_pages import notebooks, outputs_as_markdown, write_notebook

ROOT = Path(__file__).parents[2]
NAMES = [path.stem for path in notebooks()]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_as_a_script_without_a_network(name: str, tmp_path: Path) -> None:
    """No proxy answers, so what is not on this machine cannot be reached."""
    nowhere = "http://127.0.0.1:9"
    environment = {**os.environ, "MPLBACKEND": "agg", "TMPDIR": str(tmp_path), "NO_PROXY": "127.0.0.1"}
    environment |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), nowhere)
    script = ROOT / "docs" / "notebooks" / f"{name}.py"
    done = subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.strip() and "Traceback" not in done.stderr


def test_training_asserts_a_visible_success() -> None:
    source = (ROOT / "docs" / "notebooks" / "train_on_weights.py").read_text(encoding="utf-8")
    assert any(isinstance(node, ast.Assert) and "85" in ast.unparse(node) for node in ast.walk(ast.parse(source)))


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_begins_with_its_title_and_names_no_file_of_a_machine(name: str) -> None:
    path = ROOT / "docs" / "notebooks" / f"{name}.py"
    first = jupytext.read(path).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    text = path.read_text(encoding="utf-8")
    assert "/home/" not in text and "/tmp" not in text and "/work" not in text
    assert max(len(line) for line in text.splitlines() if not line.startswith("#")) <= 90  # the width of the page


def test_the_page_of_a_notebook_has_what_its_cells_printed(tmp_path: Path) -> None:
    (tmp_path / "three.py").write_text("# %% [markdown]\n# # Three\n\n# %%\nprint(1 + 1)\n1 + 2\n")
    page = write_notebook(tmp_path / "three.py", tmp_path / "out", tmp_path).read_text(encoding="utf-8")
    assert page.startswith("# Three\n\n```python\nprint(1 + 1)\n1 + 2\n```\n")
    assert "```text\n2\n```" in page and "```text\n3\n```" in page


def test_a_cell_that_fails_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("# %%\nassert 1 == 2\n")
    with pytest.raises(Exception, match="AssertionError"):
        write_notebook(tmp_path / "broken.py", tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


def test_pictures_of_a_cell_become_files_beside_the_page(tmp_path: Path) -> None:
    picture = base64.b64encode(b"picture").decode()
    output = SimpleNamespace(output_type="display_data", get=lambda *_: {"image/png": picture, "text/plain": "<Image>"})
    assert outputs_as_markdown([output], tmp_path, "page_3") == ["![What the cell drew](page_3_0.png)"]
    assert (tmp_path / "page_3_0.png").read_bytes() == b"picture"
