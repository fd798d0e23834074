"""Errors for unknown keyword arguments: one line that names the nearest keyword and all that exist."""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

from inrzoo.errors import InrzooError
from inrzoo.nearest import among

Function = TypeVar("Function", bound=Callable[..., Any])


class UnknownKeyword(InrzooError, TypeError):
    """A function has no such keyword. Python raises a TypeError for that, so this is one as well."""


def unknown(function: str, keyword: str, allowed: Iterable[str], kind: str = "keyword") -> UnknownKeyword:
    """Return the error for `keyword`, or for another `kind` of name.

    >>> print(unknown("load", "slit", ["seeds", "split"]))
    load has no keyword 'slit' (did you mean 'split'?); there are: seeds, split
    """
    return UnknownKeyword(f"{function} has no {kind} {keyword!r}{among(keyword, allowed)}")


def keywords_checked(function: Function) -> Function:
    """Decorate a function so that an unknown keyword raises `UnknownKeyword`.

    The function keeps its signature, types and docstring.
    """
    parameters = inspect.signature(function).parameters.values()
    names = {parameter.name for parameter in parameters}
    listed = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]

    @wraps(function)
    def checked(*args: Any, **keywords: Any) -> Any:
        for keyword in keywords:
            if keyword not in names:
                raise unknown(function.__name__, keyword, listed)
        return function(*args, **keywords)

    return cast(Function, checked)
