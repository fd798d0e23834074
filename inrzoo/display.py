"""What an object shows of itself on a terminal and in a notebook, and the log on a terminal.

Names in a store are somebody else's words: a terminal obeys what cannot be printed, and a browser obeys HTML.
"""

from __future__ import annotations

import html
import logging
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

MOST_LISTED = 8
"""Number of names that a list shows."""
LONGEST_VALUE = 400
"""Number of characters that a row shows."""


class Shown:
    """Gives a class a repr, in text and in HTML, out of the rows that its method `_shown` returns."""

    def _shown(self) -> tuple[str, Mapping[str, str]]:
        """A title, and rows by name. Reads nothing large and never fails."""
        raise NotImplementedError

    def __repr__(self) -> str:
        title, rows = self._shown()
        width = max(map(len, rows), default=0)
        return "\n".join([_short(title), *(f"  {name:{width}}  {_short(value)}" for name, value in rows.items())])

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        title, rows = self._shown()
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(_short(name))}</th>"
            f"<td style='text-align:left'>{html.escape(_short(value))}</td></tr>"
            for name, value in rows.items()
        )
        return f"<div><strong>{html.escape(_short(title))}</strong><table>{cells}</table></div>"


class _Terminal(logging.Handler):
    """Writes messages to standard error, whichever that is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        """One message, one line."""
        sys.stderr.write(f"{printable(record.getMessage())}\n")


def show_log() -> None:
    """Show what the rooms of inrzoo log, from INFO on, on standard error. Calling it twice changes nothing.

    The command line and the pipelines do so. A program that uses inrzoo as a library decides for itself: the loggers
    are called as the rooms, `inrzoo.tasks`, `inrzoo.hub`, ….
    """
    log = logging.getLogger("inrzoo")
    log.setLevel(logging.INFO)
    if not any(isinstance(handler, _Terminal) for handler in log.handlers):
        log.addHandler(_Terminal())


def printable(text: str) -> str:
    """Text without what a terminal would obey."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def listed(names: Iterable[str]) -> str:
    """Names with commas between them; of many, the first ones and how many more."""
    every = list(names)
    rest = f" and {len(every) - MOST_LISTED:,} more" if len(every) > MOST_LISTED else ""
    return ", ".join(every[:MOST_LISTED]) + rest


def _short(text: str) -> str:
    line = printable(text[: LONGEST_VALUE + 1]).replace("\n", "?")
    return line if len(line) <= LONGEST_VALUE else line[:LONGEST_VALUE] + "…"


def progress_bar(console: Console, quiet: bool) -> Progress:
    """A bar with description, count, field `note` and remaining time of each task; hidden without a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not sys.stderr.isatty(),
    )
