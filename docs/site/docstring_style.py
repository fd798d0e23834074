"""An extension of griffe, which reads docstrings for mkdocstrings: two habits of this code's docstrings.

One line may describe several parameters, `rank, world: …`, and `Example:` begins examples.
"""

import re
from typing import Any

import griffe

SHARED = re.compile(r"^( {4})(\w+(?:, \w+)+): (.*(?:\n {8,}.*)*)", re.MULTILINE)
"""`a, b: …` and the lines that go on with it, below the title of a section."""


def in_google_style(docstring: str) -> str:
    """A docstring with a description for each parameter, and with `Examples:`."""

    def separated(match: re.Match[str]) -> str:
        return "\n".join(f"{match[1]}{name}: {match[3]}" for name in match[2].split(", "))

    return re.sub(r"^Example:$", "Examples:", SHARED.sub(separated, docstring), flags=re.MULTILINE)


class DocstringStyle(griffe.Extension):
    """Rewrites each docstring before it is parsed."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe for each object that it has read."""
        if obj.docstring:
            obj.docstring.value = in_google_style(obj.docstring.value)
