"""Checks values from TOML or the command line against the types of their fields."""

import json
import math
import re
import tomllib
import types
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from inrzoo.errors import InrzooError
from inrzoo.nearest import hint

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
"""Keys that TOML takes without quotes."""


def check_type(key: str, value: Any, expected: Any) -> Any:
    """Convert `value` to the type `expected`.

    Supports bool, int, float (also from int), str, None in unions, Literal, list[...], tuple[...], dict[str, ...].
    Lists become tuples where a tuple is expected.

    Raises:
        InrzooError: the type differs; one line names the key, the value and the allowed ones.
    """
    if not _fits(value, expected):
        raise InrzooError(
            f"{key} = {value!r} is not allowed{hint(value, _choices(expected))}; expected {describe(expected)}"
        )
    return _convert(value, expected)


def check_table(key: str, value: Any, part: type[Any]) -> Any:
    """Make the dataclass `part` from a table; keys that it does not have are left out.

    Raises:
        InrzooError: no table, a value of another type, or a field without a default that is missing.
    """
    table, hints = check_type(key, value, dict[str, Any]), get_type_hints(part)
    known = {name: check_type(f"{key}.{name}", table[name], hint) for name, hint in hints.items() if name in table}
    required = [each.name for each in fields(part) if each.default is each.default_factory]  # both are MISSING
    if missing := [name for name in required if name not in known]:
        raise InrzooError(f"{key} lacks {', '.join(missing)}")
    return part(**known)


def toml_value(text: str) -> Any:
    """The value of a text by the rules of TOML, or the text itself.

    Example:
        >>> toml_value("1e-3"), toml_value("[5, 20]"), toml_value("siren")
        (0.001, [5, 20], 'siren')
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def to_toml(value: Any) -> str:
    """A value as TOML, tables inline; None, for which TOML has nothing, as `none`.

    Example:
        >>> print(to_toml({"name": "rotate", "degrees": (5, 1e-7)}))
        { name = "rotate", degrees = [5, 1e-07] }
    """
    if isinstance(value, Mapping):
        pairs = (f"{key if BARE_KEY.fullmatch(key) else to_toml(key)} = {to_toml(each)}" for key, each in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(to_toml, value))}]"
    if value is None:
        return "none"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # inf and nan, as in TOML; JSON has other names
    return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")


def _fits(value: Any, expected: Any) -> bool:
    origin, args = get_origin(expected), get_args(expected)
    if expected is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, arg) for arg in args)
    if origin is Literal:
        return any(type(value) is type(arg) and value == arg for arg in args)
    if origin is tuple and isinstance(value, list | tuple):
        if args[-1] is Ellipsis:
            return all(_fits(element, args[0]) for element in value)
        return len(value) == len(args) and all(map(_fits, value, args))
    if origin is list:
        return isinstance(value, list | tuple) and all(_fits(element, args[0]) for element in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(k, args[0]) and _fits(v, args[1]) for k, v in value.items())
    if expected is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if expected is type(None):
        return value is None
    return isinstance(expected, type) and isinstance(value, expected)


def _choices(expected: Any) -> list[str]:
    """The strings that a type names, inside of unions too."""
    args = get_args(expected)
    if get_origin(expected) is Literal:
        return [arg for arg in args if isinstance(arg, str)]
    return [name for arg in args for name in _choices(arg)] if get_origin(expected) in (Union, types.UnionType) else []


def _convert(value: Any, expected: Any) -> Any:
    origin, args = get_origin(expected), get_args(expected)
    if origin in (Union, types.UnionType):
        return _convert(value, next(arg for arg in args if _fits(value, arg)))
    if origin is tuple:
        inner = [args[0]] * len(value) if args[-1] is Ellipsis else args
        return tuple(map(_convert, value, inner))
    if origin is list:
        return [_convert(element, args[0]) for element in value]
    if origin is dict:
        return {k: _convert(v, args[1]) for k, v in value.items()}
    return float(value) if expected is float else value


def describe(expected: Any) -> str:
    """A type in words: `one of 'a', 'b' or nothing`."""
    origin, args = get_origin(expected), get_args(expected)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(arg) for arg in args)
    if origin is Literal:
        return "one of " + ", ".join(repr(arg) for arg in args)
    if origin in (tuple, list):
        if origin is list or args[-1] is Ellipsis:
            return f"a list of {describe(args[0])}"
        return f"a list of {len(args)} values ({', '.join(map(describe, args))})"
    if origin is dict:
        return f"a table of {describe(args[1])}"
    if expected is Any:
        return "anything"
    plain = {float: "a number", int: "a whole number", str: "a string", bool: "true or false", type(None): "nothing"}
    return plain.get(expected, str(expected))
