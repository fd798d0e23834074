"""Sections of a Markdown file that a program writes and may write again, and tables of the paper's numbers and ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from inrzoo.store.files import write_atomically
from inrzoo.tasks import LOG, Measurement


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


class Comparison:
    """The paper's numbers and ours, printed as they come and written into a document at the end.

    Args:
        document: Markdown; the section `title` is made or replaced.
        title: of the section.
        columns: names of the measurements, one column each; one more for the paper's where it has a number.
        notes: headings of columns of words, the last ones.
        decimals: places behind the point.
    """

    def __init__(
        self, document: Path, title: str, columns: Sequence[str], *, notes: Sequence[str] = (), decimals: int = 1
    ) -> None:
        self._document, self._title, self._columns = document, title, list(columns)
        self._notes, self._decimals = list(notes), decimals
        self._rows: list[tuple[str, list[tuple[str, str]], list[str]]] = []
        self._findings: list[str] = []

    def add(
        self,
        name: str,
        ours: Mapping[str, Measurement],
        paper: Sequence[float | None] = (),
        notes: Sequence[str] = (),
    ) -> None:
        """One method.

        Args:
            name: of the method.
            ours: measurements by name; columns without one stay empty.
            paper: its numbers, column by column; none where the paper has no such row.
            notes: words, one for each heading of the table.
        """
        found = [ours.get(column) for column in self._columns]
        shown = ["" if one is None else self._number(one) for one in found]
        theirs = ["" if number is None else f"{number:g}" for number in paper] or [""] * len(shown)
        if len(notes) != len(self._notes):
            raise ValueError(f"{len(notes)} notes for the headings {self._notes}")
        self._rows.append((name, list(zip(theirs, shown, strict=True)), list(notes)))
        numbers = "   ".join(f"{a or '-':>6} | {b}" for a, b in zip(theirs, shown, strict=True))
        LOG.info("%-40s %s", name, numbers)

    def check(self, claim: str, better: Measurement, worse: Measurement) -> None:
        """A finding: `better` is above `worse`. It is held if the difference is above its 95 % interval, that of
        two independent means, √(a² + b²).
        """
        difference = better.mean - worse.mean
        interval = math.hypot(better.interval, worse.interval)
        verdict = "held" if difference > interval else "not held" if difference < -interval else "undecided"
        of = self._decimals
        numbers = (
            f"{better.mean:.{of}f} against {worse.mean:.{of}f}, difference {difference:+.{of}f} ± {interval:.{of}f}"
        )
        self._findings.append(f"* {claim}: **{verdict}** ({better.name}: {numbers})")
        LOG.info("%s: %s (%s: %s)", claim, verdict, better.name, numbers)

    def _number(self, found: Measurement) -> str:
        """Mean and interval; one trial has no interval."""
        mean = f"{found.mean:.{self._decimals}f}"
        return mean if found.trials == 1 else f"{mean} ± {found.interval:.{self._decimals}f}"

    def write(self, *words: str) -> None:
        """Write the section: `words`, the table, what was checked."""
        known = [any(pairs[number][0] for _, pairs, _ in self._rows) for number in range(len(self._columns))]
        heads = [
            (f"{column}, paper", "here") if paper else (column,)
            for column, paper in zip(self._columns, known, strict=True)
        ]
        header = ["", *(cell for head in heads for cell in head), *self._notes]
        rows = [
            [name, *(cell for pair, paper in zip(pairs, known, strict=True) for cell in pair[not paper :]), *notes]
            for name, pairs, notes in self._rows
        ]
        findings = ["", *self._findings] if self._findings else []
        write_section(self._document, self._title, [*words, "", *table(header, rows), *findings])
