"""Runs the notebooks of docs/notebooks and makes a page of each, with what its cells printed and drew.

A notebook is a Python file whose cells begin with `# %%` (jupytext's percent format), so it also runs as a script.
"""

import base64
import os
import re
from pathlib import Path
from typing import Any

import jupytext
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
MAX_SECONDS = 600
"""Maximum time that a cell may take."""


def notebooks() -> list[Path]:
    """The notebooks, in order of their file names."""
    return sorted(NOTEBOOKS.glob("*.py"))


def write_notebook(path: Path, out: Path, folder: Path) -> Path:
    """Run a notebook and write its page, with the pictures that it drew beside it.

    Args:
        path: the notebook.
        out: folder of the page.
        folder: where the notebook runs and leaves its files.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = jupytext.read(path)
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else the kernel warns of frozen modules
    client = NotebookClient(notebook, timeout=MAX_SECONDS, resources={"metadata": {"path": str(folder)}})
    client.extra_arguments = [
        "--log-level=ERROR"
    ]  # else the kernel warns that its messages on this machine are not encrypted
    client.execute()
    out.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.source.strip():
            parts.append(f"```python\n{cell.source}\n```")
            parts += outputs_as_markdown(cell.outputs, out, f"{path.stem}_{number}")
    parts.append(f"*This page is the notebook `docs/notebooks/{path.name}`, run when the site was built.*")
    page = out / f"{path.stem}.md"
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return page


def outputs_as_markdown(outputs: list[Any], out: Path, stem: str) -> list[str]:
    """What a cell printed and drew, as Markdown.

    Args:
        outputs: of a cell, as in Jupyter's format.
        out: folder that pictures are written to.
        stem: beginning of the pictures' file names.
    """
    parts: list[str] = []
    printed = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    if printed.strip():
        parts.append(_block(printed))
    for number, output in enumerate(outputs):
        data = output.get("data", {})
        if "image/png" in data:
            picture = out / f"{stem}_{number}.png"
            picture.write_bytes(base64.b64decode(data["image/png"]))
            parts.append(f"![What the cell drew]({picture.name})")
        elif "text/html" in data:
            parts.append(f'<div class="output">\n{data["text/html"]}\n</div>')
        elif "text/plain" in data:
            parts.append(_block(data["text/plain"]))
    return parts


def _block(text: str) -> str:
    return f'<div class="output" markdown>\n\n```text\n{TERMINAL_CODE.sub("", text).rstrip()}\n```\n\n</div>'
