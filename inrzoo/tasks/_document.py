"""Sections of a Markdown file that a program writes and may write again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inrzoo.store.files import write_atomically


def write_section(document: Path, title: str, lines: Sequence[str]) -> None:
    """Replace the section `## title`, or put it at the end; the rest of the file stays as it is.

    Args:
        document: made if it is not there.
        title: of the section.
        lines: what stands in it, no headings of first or second level.
    """
    old = document.read_text(encoding="utf-8").splitlines() if document.exists() else []
    heading = f"## {title}"
    start = old.index(heading) if heading in old else len(old)
    later = [place for place in range(start + 1, len(old)) if old[place].startswith(("# ", "## "))]
    before, behind = old[:start], old[later[0] :] if later else []
    while before and not before[-1]:
        before.pop()
    text = [*before, *([""] if before else []), heading, "", *lines, *(["", *behind] if behind else [])]
    write_atomically(document, ("\n".join(text) + "\n").encode())


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, columns of equal width."""
    cells = [list(header), *map(list, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
