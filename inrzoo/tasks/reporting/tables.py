"""Tables of a paper's numbers and ours, and the sections of Markdown files that hold them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from inrzoo.store.files import write_atomically
from inrzoo.tasks.measurements import Measurement

LOG = logging.getLogger("inrzoo.tasks")


def write_section(document: Path, title: str, lines: Sequence[str]) -> None:
    """Replace the section `## title`, or append it; the rest of the file stays as it is.

    Args:
        document: a Markdown file, made if it does not exist.
        title: of the section.
        lines: of the section, without headings of the first or second level.
    """
    old = document.read_text(encoding="utf-8").splitlines() if document.exists() else []
    heading = f"## {title}"
    start = old.index(heading) if heading in old else len(old)
    next_headings = [row for row in range(start + 1, len(old)) if old[row].startswith(("# ", "## "))]
    before, after = old[:start], old[next_headings[0] :] if next_headings else []
    while before and not before[-1]:
        before.pop()
    text = [*before, *([""] if before else []), heading, "", *lines, *(["", *after] if after else [])]
    write_atomically(document, ("\n".join(text) + "\n").encode())


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table with padded cells."""
    cells = [list(header), *map(list, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


class Comparison:
    """The paper's numbers and ours, logged one by one and written into a document at the end.

    Args:
        document: a Markdown file; the section `title` is made or replaced.
        title: of the section.
        columns: names of the measurements; each is a column, with another for the paper's numbers if it has any.
        recipes: headings of our columns of a measurement, one for each way in which a method is trained.
        notes: headings of the last columns, which hold text.
        decimals: decimal places.
    """

    def __init__(
        self,
        document: Path,
        title: str,
        columns: Sequence[str],
        *,
        recipes: Sequence[str] = ("here",),
        notes: Sequence[str] = (),
        decimals: int = 1,
    ) -> None:
        self._document, self._title, self._columns = document, title, list(columns)
        self._recipes, self._notes, self._decimals = list(recipes), list(notes), decimals
        self._rows: list[tuple[str, list[tuple[str, ...]], list[str]]] = []
        self._findings: list[str] = []

    def add(
        self,
        name: str,
        ours: Mapping[str, Measurement] | Sequence[Mapping[str, Measurement]],
        paper: Sequence[float | None] = (),
        notes: Sequence[str] = (),
    ) -> None:
        """Add the row of one method.

        Args:
            name: of the method.
            ours: measurements by name, of every recipe if there are several; columns without one stay empty.
            paper: the paper's numbers, column by column; empty if the paper has no such row.
            notes: text, one for each heading in `notes`.
        """
        by_recipe = [ours] if isinstance(ours, Mapping) else list(ours)
        if len(by_recipe) != len(self._recipes):
            raise ValueError(f"{len(by_recipe)} tables of measurements for the recipes {self._recipes}")
        if len(notes) != len(self._notes):
            raise ValueError(f"{len(notes)} notes for the headings {self._notes}")
        theirs = ["" if number is None else f"{number:g}" for number in paper] or [""] * len(self._columns)
        cells = [
            (number, *(self._number(found[column]) if column in found else "" for found in by_recipe))
            for column, number in zip(self._columns, theirs, strict=True)
        ]
        self._rows.append((name, cells, list(notes)))
        LOG.info("%-40s %s", name, "   ".join(" | ".join(f"{cell or '-':>6}" for cell in group) for group in cells))

    def check(self, claim: str, better: Measurement, worse: Measurement, paired: Measurement | None = None) -> None:
        """Add a finding: `better` is above `worse`.

        It is `held` if the difference exceeds its 95 % interval, `not held` if the difference is below minus that
        interval, and `undecided` otherwise.

        Args:
            claim: in words.
            better, worse: what should be larger, and what smaller.
            paired: mean of the differences between trials that belong together, such as those of one training seed. Its
                interval counts; √(a² + b²), that of two independent means, if None.
        """
        difference = better.mean - worse.mean
        interval = math.hypot(better.interval, worse.interval) if paired is None else paired.interval
        verdict = "held" if difference > interval else "not held" if difference < -interval else "undecided"
        places = self._decimals
        numbers = (
            f"{better.mean:.{places}f} against {worse.mean:.{places}f}, "
            f"difference {difference:+.{places}f} ± {interval:.{places}f}"
        )
        self._findings.append(f"* {claim}: **{verdict}** ({better.name}: {numbers})")
        LOG.info("%s: %s (%s: %s)", claim, verdict, better.name, numbers)

    def _number(self, measurement: Measurement) -> str:
        """Mean and interval; one trial has no interval."""
        mean = f"{measurement.mean:.{self._decimals}f}"
        return mean if measurement.trials == 1 else f"{mean} ± {measurement.interval:.{self._decimals}f}"

    def write(self, *paragraphs: str) -> None:
        """Write the section: the paragraphs, the table, and the findings."""
        in_paper = [any(cells[number][0] for _, cells, _ in self._rows) for number in range(len(self._columns))]
        header = [""]
        for column, paper in zip(self._columns, in_paper, strict=True):
            if paper:
                header += [f"{column}, paper", *self._recipes]
            elif len(self._recipes) == 1:
                header.append(column)
            else:
                header += [f"{column}, {self._recipes[0]}", *self._recipes[1:]]
        header += self._notes
        rows = [
            [name, *(cell for group, paper in zip(cells, in_paper, strict=True) for cell in group[not paper :]), *notes]
            for name, cells, notes in self._rows
        ]
        findings = ["", *self._findings] if self._findings else []
        write_section(self._document, self._title, [*paragraphs, "", *table(header, rows), *findings])
