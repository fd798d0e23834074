"""Runs a pickle without running it: opcodes build values, and what they would call is left as a record.

`pickletools` reads opcodes and nothing else. `GLOBAL` leaves a `Name`, `REDUCE`, `NEWOBJ` and `BUILD` a `Call`; opcodes
that plain tables of arrays do not need are refused. docs/derivations/published_sets.md#pickles-as-data.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from inrzoo.errors import InrzooError

MOST_OPCODES = 10**6


@dataclass(frozen=True)
class Name:
    """A class or function that the pickle asks for, which is not looked up."""

    name: str


@dataclass
class Call:
    """A call that is not made: the function, its arguments, and the state that the result would be given."""

    function: Any
    arguments: tuple[Any, ...]
    state: Any = None


class Mark:
    """Marks the beginning of a group on the stack."""


def recorded(content: bytes) -> Any:
    """Build the value of a pickle, with `Name` and `Call` for all that unpickling would run.

    Raises:
        InrzooError: it has an opcode that tables of arrays do not need.
        Exception: it is damaged.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for count, (opcode, operand, _) in enumerate(pickletools.genops(content)):
        if count > MOST_OPCODES:
            raise InrzooError(f"it has more than {MOST_OPCODES} opcodes")
        name, argument = opcode.name, cast(Any, operand)
        if name == "STOP":
            return stack.pop()
        if name in ("PROTO", "FRAME"):
            continue
        if name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            stack.append(argument)
        elif name == "GLOBAL":
            stack.append(Name(argument.replace(" ", ".")))
        elif name in _ON_STACK:
            _ON_STACK[name](stack)
        else:
            raise InrzooError(f"it has the opcode {name}")
    raise InrzooError("it has no end")


_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": Mark,
}
_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)


def _group(stack: list[Any]) -> list[Any]:
    """Take all above the last mark off the stack, and the mark."""
    position = max(place for place, item in enumerate(stack) if isinstance(item, Mark))
    group = stack[position + 1 :]
    del stack[position:]
    return group


def _tuple(size: int) -> Callable[[list[Any]], None]:
    def make(stack: list[Any]) -> None:
        items = tuple(stack[len(stack) - size :])
        del stack[len(stack) - size :]
        stack.append(items)

    return make


def _fill_table(stack: list[Any], items: list[Any]) -> None:
    """Put keys and values that follow each other into the table on top of the stack."""
    if not isinstance(stack[-1], dict) or len(items) % 2:
        raise InrzooError("it fills a value that is no table")
    if not all(isinstance(key, str | int) for key in items[::2]):
        raise InrzooError("its tables have keys that are no names")
    stack[-1].update(zip(items[::2], items[1::2], strict=True))


def _fill_list(stack: list[Any], items: list[Any]) -> None:
    if not isinstance(stack[-1], list):
        raise InrzooError("it fills a value that is no list")
    stack[-1].extend(items)


def _last(stack: list[Any], count: int) -> list[Any]:
    """Take `count` values off the stack."""
    items = stack[len(stack) - count :]
    del stack[len(stack) - count :]
    return items


def _new_table(stack: list[Any]) -> None:
    items = _group(stack)
    stack.append({})
    _fill_table(stack, items)


def _stack_global(stack: list[Any]) -> None:
    module, name = _last(stack, 2)
    if not isinstance(name, str) or not isinstance(module, str):
        raise InrzooError("it asks for a name that is no text")
    stack.append(Name(f"{module}.{name}"))


def _reduce(stack: list[Any]) -> None:
    function, arguments = _last(stack, 2)
    if not isinstance(arguments, tuple):
        raise InrzooError("it calls without arguments")
    stack.append(Call(function, arguments))


def _build(stack: list[Any]) -> None:
    state = stack.pop()
    if not isinstance(stack[-1], Call):
        raise InrzooError("it gives a state to a value that has none")
    stack[-1].state = state


_ON_STACK: dict[str, Callable[[list[Any]], None]] = {
    "POP": lambda stack: _last(stack, 1).clear(),
    "TUPLE": lambda stack: stack.append(tuple(_group(stack))),
    "TUPLE1": lambda stack: stack.append(tuple(_last(stack, 1))),
    "TUPLE2": lambda stack: stack.append(tuple(_last(stack, 2))),
    "TUPLE3": lambda stack: stack.append(tuple(_last(stack, 3))),
    "LIST": lambda stack: stack.append(_group(stack)),
    "DICT": _new_table,
    "APPEND": lambda stack: _fill_list(stack, _last(stack, 1)),
    "APPENDS": lambda stack: _fill_list(stack, _group(stack)),
    "SETITEM": lambda stack: _fill_table(stack, _last(stack, 2)),
    "SETITEMS": lambda stack: _fill_table(stack, _group(stack)),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "BUILD": _build,
}
