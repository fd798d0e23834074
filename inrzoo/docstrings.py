"""Reads the descriptions of a class and of its fields from docstrings in Google's style."""

from __future__ import annotations

import inspect
import re
from typing import Any

SECTIONS = ("Attributes:", "Args:")
"""Titles of the sections that describe fields and parameters."""


def summary(cls: type[Any]) -> str:
    """The first paragraph of a class's docstring, as one line."""
    return " ".join(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].split())


def descriptions(cls: type[Any]) -> dict[str, str]:
    """Name -> description of the fields of a class and the parameters of its constructor, inherited ones included.

    Example:
        >>> from inrzoo.coords import Axis
        >>> descriptions(Axis)["unit"]
        'such as `s`; empty for none.'
    """
    described: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        for owner in (base, base.__dict__.get("__init__")):
            described |= _entries(inspect.cleandoc(getattr(owner, "__doc__", None) or ""))
    return described


def _entries(docstring: str) -> dict[str, str]:
    """Name -> description, from the sections of one docstring; `a, b: …` describes both."""
    entries: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for line in docstring.splitlines():
        if line in SECTIONS:
            inside, names = True, []
        elif not line.startswith(" "):
            inside = False
        elif inside and (start := re.match(r"    (\w+(?:, \w+)*): (.*)", line)):
            names = start[1].split(", ")
            entries |= dict.fromkeys(names, start[2])
        elif inside:
            entries |= {name: f"{entries[name]} {line.strip()}" for name in names}
    return entries
