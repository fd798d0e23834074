"""Other people's words on a card: each escaped for the place where it stands.

Titles, licences, names and settings come out of a store that anyone may have made. None of them may become a tag, a
link, a picture or a heading of the page, or code in what its readers copy. Markdown is CommonMark with the tables and
literal links of GitHub's flavour, as the Hub shows it.
"""

import json
import re
from collections.abc import Iterable

SPECIAL = re.compile(r"[\\`*_\[\]<>&|~#$!]")
"""Characters with which inline markup begins, a formula and the cell of a table included."""
LITERAL_LINK = re.compile(r"(?i)(https?:|ftp:|mailto:|xmpp:|www|@)")
"""Where GitHub's flavour makes a link of plain text, whether it is escaped or not."""
JOINER = "\u2060"
"""An invisible character that is no part of an address."""


def one_line(value: object) -> str:
    """Printable characters on one line, words one space apart; nothing of the value is interpreted.

    >>> one_line("a\\n\\nb\\x1b[2J")
    'a b [2J'
    """
    return " ".join("".join(letter if letter.isprintable() else " " for letter in str(value)).split())


def text(value: object) -> str:
    """Words in the middle of a line, in a paragraph, a heading or the cell of a table.

    >>> text("<b>[a](b)</b>")
    '\\\\<b\\\\>\\\\[a\\\\](b)\\\\</b\\\\>'
    """
    return LITERAL_LINK.sub(rf"\1{JOINER}", SPECIAL.sub(r"\\\g<0>", one_line(value)))


def code(value: object) -> str:
    """A name as a code span; as text where it holds what a span or a cell of a table cannot.

    >>> code("weights")
    '`weights`'
    """
    line = one_line(value)
    return f"`{line}`" if line and not {*line} & {*"`|\\"} else text(line)


def fenced(content: str, language: str) -> str:
    """A block of code: its fence is longer than every run of backticks inside.

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
    """A string as a Python literal on one line.

    >>> python('train"), exec("')
    '"train\\\\"), exec(\\\\""'
    """
    return json.dumps(value, ensure_ascii=False) if value.isprintable() else repr(value)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are Markdown already.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    head = list(head)
    lines = [" | ".join(line) for line in (head, *rows)]
    return "\n".join([f"| {lines[0]} |", f"|{'---|' * len(head)}", *(f"| {line} |" for line in lines[1:])])
