"""Errors about settings that name the option as the user typed it, not the file or the table that it changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from inrzoo.errors import InrzooError

Result = TypeVar("Result")

FILE = re.compile(r"^[^\s:]+\.toml: ")
"""The file that an error of a manifest begins with."""


def option(name: str, value: object) -> str:
    """Return an option as it is typed.

    >>> option("stop_psnr", 40.0), option("views", (10, 20))
    ('--stop-psnr 40.0', '--views 10,20')
    """
    words = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"--{name.replace('_', '-')} {words}"


def checked(
    make: Callable[[Mapping[str, Any]], Result], settings: Mapping[str, Any], typed: Mapping[str, str]
) -> Result:
    """Return `make(settings)`; an error that goes away without one of the settings names its option.

    Args:
        make: the function; it has no other effect than its result.
        settings: values by key.
        typed: the option of each key that the user typed.

    Raises:
        InrzooError: that of `make`.

    Example:
        >>> def square_root(settings):
        ...     if settings.get("fit.number", 0) < 0:
        ...         raise InrzooError("digits.toml: fit.number = -1 is not allowed; it must be 0 or more")
        >>> checked(square_root, {"fit.number": -1}, {"fit.number": "--number -1"})
        Traceback (most recent call last):
        inrzoo.errors.InrzooError: --number -1 is not allowed; it must be 0 or more
    """
    try:
        return make(settings)
    except InrzooError as error:
        message, kind = str(error), type(error)

    def message_without(key: str) -> str | None:
        try:
            make({each: value for each, value in settings.items() if each != key})
        except InrzooError as error:
            return str(error)
        return None

    def last(key: str) -> str:
        return key.rpartition(".")[2]

    def refused(key: str) -> re.Match[str] | None:
        return re.match(rf"[\w.]*\b{re.escape(last(key))} = .*? is not allowed", reason)

    def rank(key: str) -> int:
        mentioned = re.search(rf"\b{re.escape(last(key))}\b", reason) is not None
        return 0 if refused(key) else 1 if mentioned else 2

    reason = FILE.sub("", message)
    # One that the message names goes first: without another INR, for one, other fields are wrong.
    for key in sorted(typed, key=rank):
        if reason.startswith("--") or message_without(key) == message:
            continue
        if start := refused(key):
            raise kind(f"{typed[key]} is not allowed{reason[start.end() :]}")
        raise kind(f"{typed[key]}: {reason}")
    raise kind(message)
