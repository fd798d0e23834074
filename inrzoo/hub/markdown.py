"""Escapes untrusted texts for a card.

Titles, licences, names and settings come from a store that anyone may have made. None of them may become a tag, a link,
a picture, a heading, or code that readers copy. The Hub shows CommonMark with the tables and literal links of GitHub's
flavour.
"""

import json
import re
from collections.abc import Iterable

SPECIAL = re.compile(r"[\\`*_\[\]<>&|~#$!]")
"""Characters that begin inline markup, a formula or the cell of a table."""
LITERAL_LINK = re.compile(r"(?i)(https?:|ftp:|mailto:|xmpp:|www|@)")
"""Plain text that GitHub's flavour turns into a link, escaped or not."""
JOINER = "\u2060"
"""An invisible character that cannot be part of an address."""


def one_line(value: object) -> str:
    """Return the printable characters of a value on one line, with single spaces.

    >>> one_line("a\\n\\nb\\x1b[2J")
    'a b [2J'
    """
    return " ".join("".join(letter if letter.isprintable() else " " for letter in str(value)).split())


def text(value: object) -> str:
    """Escape words inside a paragraph, a heading or the cell of a table.

    >>> text("<b>[a](b)</b>")
    '\\\\<b\\\\>\\\\[a\\\\](b)\\\\</b\\\\>'
    """
    return LITERAL_LINK.sub(rf"\1{JOINER}", SPECIAL.sub(r"\\\g<0>", one_line(value)))


def code(value: object) -> str:
    """Return a name as a code span, or as text if a span in a table cannot contain it.

    >>> code("weights")
    '`weights`'
    """
    line = one_line(value)
    return f"`{line}`" if line and not {*line} & {*"`|\\"} else text(line)


def fenced(content: str, language: str) -> str:
    """Return a block of code with a fence that is longer than every run of backticks inside.

    >>> print(fenced("a = 1", "python"))
    ```python
    a = 1
    ```
    """
    lines = [
        "".join(letter if letter.isprintable() or letter == "\t" else " " for letter in line)
        for line in content.splitlines()
    ]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}{language}", *lines, fence])


def python(value: str) -> str:
    """Return a string as a Python literal on one line.

    >>> python('train"), exec("')
    '"train\\\\"), exec(\\\\""'
    """
    return json.dumps(value, ensure_ascii=False) if value.isprintable() else repr(value)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of Markdown cells.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    head = list(head)
    lines = [" | ".join(line) for line in (head, *rows)]
    return "\n".join([f"| {lines[0]} |", f"|{'---|' * len(head)}", *(f"| {line} |" for line in lines[1:])])
