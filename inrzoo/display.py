"""Representations of objects on a terminal and in a notebook, and the log on a terminal.

Names in a store are untrusted: a terminal obeys control characters, and a browser obeys HTML.
"""

from __future__ import annotations

import html
import io
import logging
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

MAX_COLUMNS = 100
"""Maximum number of columns of a line for people, unless a single word is longer."""
MAX_LISTED = 8
"""Maximum number of names that a list shows."""
MAX_CHARACTERS = 400
"""Maximum number of characters that a row shows."""


class Shown:
    """Gives a class a repr, in text and in HTML, made of the rows that its method `_shown` returns."""

    def _shown(self) -> tuple[str, Mapping[str, str]]:
        """Return a title and rows by name. It reads nothing large and never fails."""
        raise NotImplementedError

    def __repr__(self) -> str:
        title, rows = self._shown()
        width = max(map(len, rows), default=0)
        return "\n".join([_short(title), *(f"  {name:{width}}  {_short(value)}" for name, value in rows.items())])

    def _repr_html_(self) -> str:
        """Return the representation in Jupyter."""
        title, rows = self._shown()
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(_short(name))}</th>"
            f"<td style='text-align:left'>{html.escape(_short(value))}</td></tr>"
            for name, value in rows.items()
        )
        return f"<div><strong>{html.escape(_short(title))}</strong><table>{cells}</table></div>"


class _Terminal(logging.Handler):
    """Writes messages to the current `sys.stderr`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message and a line break; what only `--verbose` shows says its room."""
        room = f"{record.name}: " if record.levelno < logging.INFO else ""
        sys.stderr.write(f"{room}{printable(record.getMessage())}\n")


def show_log(level: int = logging.INFO) -> None:
    """Show the log of inrzoo on standard error, from a level on; above INFO progress is hidden, too.

    The command line and the pipelines call it. A program that uses inrzoo as a library configures the loggers of the
    rooms itself: `inrzoo.tasks`, `inrzoo.hub`, ….
    """
    log = logging.getLogger("inrzoo")
    log.setLevel(level)
    if not any(isinstance(handler, _Terminal) for handler in log.handlers):
        log.addHandler(_Terminal())


def printable(text: str) -> str:
    """Replace the control characters in a text."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def listed(names: Iterable[str]) -> str:
    """Join names with commas; of more than `MAX_LISTED`, only the first ones and the number of the rest."""
    every = list(names)
    rest = f" and {len(every) - MAX_LISTED:,} more" if len(every) > MAX_LISTED else ""
    return ", ".join(every[:MAX_LISTED]) + rest


def folded(text: str, hanging: str = "  ") -> str:
    """Fold the lines of a text at `MAX_COLUMNS`; words, as paths are, stay whole.

    >>> [len(line) for line in folded("word " * 30).splitlines()]
    [99, 51]
    """
    lines = (
        textwrap.fill(line, MAX_COLUMNS, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )
    return "\n".join(lines)


def _short(text: str) -> str:
    line = printable(text[: MAX_CHARACTERS + 1]).replace("\n", "?")
    return line if len(line) <= MAX_CHARACTERS else line[:MAX_CHARACTERS] + "…"


def is_quiet() -> bool:
    """Whether the user wants warnings and errors alone."""
    return logging.getLogger("inrzoo").level > logging.INFO


def bars_are_hidden() -> bool:
    """Whether there is no terminal for progress bars, or the user wants none."""
    return is_quiet() or not sys.stderr.isatty()


def progress_bar(console: Console, quiet: bool) -> Progress:
    """Return a bar with description, count, field `note` and remaining time of each task, hidden without a terminal.

    All of it is one line: the bar has the columns of the terminal that the rest leaves.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        expand=True,
        disable=quiet or bars_are_hidden(),
    )


def table_text(table: Table, width: int) -> str:
    """The text of a table of rich, folded to `width` columns, without spaces at the ends of lines."""
    from rich.console import Console

    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())
