"""Reads tables of arrays from pickles by others without unpickling: opcodes become data, and nothing is ever called.

functa's `.npz` are pickles by dill. A pickle is a program whose opcodes build values and call functions. Here `GLOBAL`
leaves a name, `REDUCE` and `BUILD` a record of what would be called; of these records only numpy's own way to say
"these bytes are an array" has a meaning. docs/derivations/published_sets.md#pickles-as-data.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError

ARRAY_CALLS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
WRAPPED_ARRAY_CALLS = (
    "dill._dill._create_array",
    "jax._src.array._reconstruct_array",
    "jax._src.device_array.reconstruct_device_array",
    "jax.interpreters.xla.reconstruct_device_array",
)
"""Calls whose first arguments are numpy's: its function, its arguments, its state."""
BUFFER_CALLS = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
"""Calls of bytes, type, shape and order, as protocol 5 writes arrays."""
SCALAR_CALLS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
BYTES_CALL = "_codecs.encode"
"""How protocol 2 writes bytes."""
KINDS = "fiub"
"""Kinds of numbers, as numpy's `dtype.kind`."""
SETTINGS_CLASS = "ml_collections.config_dict.config_dict.ConfigDict"
SETTINGS_CALLS = (SETTINGS_CLASS, "copyreg._reconstructor", "copy_reg._reconstructor", "copyreg.__newobj__")
"""How an object of that class is made."""
MOST_OPCODES = 10**6
MOST_DEPTH = 20


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


class _Mark:
    """Where a group on the stack begins."""


def read_arrays(content: bytes, where: str) -> dict[str, Any]:
    """Return the table in a pickle: nested tables, lists, numbers, texts, and arrays as numpy's.

    Args:
        content: the pickle.
        where: the file, for the error.

    Raises:
        InrzooError: it is damaged, no table, or holds anything else, such as a call of another function.

    Example:
        >>> import pickle
        >>> read_arrays(pickle.dumps({"a": np.arange(3)}), "a.npz")["a"].tolist()
        [0, 1, 2]
    """
    try:
        value = _Records().value(_run(content))
    except InrzooError as error:
        raise InrzooError(f"{where} is not a plain table of arrays and was not unpickled: {error}") from None
    except Exception as error:  # a damaged pickle breaks opcodes in a dozen ways
        reason = " ".join(str(error).split())[:120] or "no reason"
        raise InrzooError(f"{where} cannot be read as a table of arrays ({type(error).__name__}: {reason})") from None
    if not isinstance(value, dict):
        raise InrzooError(f"{where} holds a {type(value).__name__}; expected a table of arrays")
    return value


def _run(content: bytes) -> Any:
    """Build the value of a pickle, with `Name` and `Call` for all that unpickling would run."""
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
    "MARK": _Mark,
}
_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)


def _group(stack: list[Any]) -> list[Any]:
    """Take all above the last mark off the stack, and the mark."""
    position = max(place for place, item in enumerate(stack) if isinstance(item, _Mark))
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


class _Records:
    """Turns the records of one pickle into values; a value that occurs too often, inside of others, is refused."""

    def __init__(self) -> None:
        self._num_values = 0

    def value(self, item: Any, depth: int = 0) -> Any:
        """Turn records of numpy's calls into arrays, in nested tables and lists.

        Raises:
            InrzooError: another function would be called.
        """
        self._num_values += 1
        if depth > MOST_DEPTH or self._num_values > MOST_OPCODES:
            raise InrzooError("its tables are nested too deep")
        if isinstance(item, dict):
            return {key: self.value(value, depth + 1) for key, value in item.items()}
        if isinstance(item, list | tuple):
            return [self.value(value, depth + 1) for value in item]
        if isinstance(item, Call):
            return self._called(item, depth)
        if isinstance(item, Name | _Mark):
            raise InrzooError(f"it asks for {item.name if isinstance(item, Name) else 'an unfinished group'}")
        return item

    def _called(self, call: Call, depth: int) -> Any:
        name = call.function.name if isinstance(call.function, Name) else "a value"
        if name in ARRAY_CALLS:
            return _array(call.state)
        if name in WRAPPED_ARRAY_CALLS and len(call.arguments) >= 3:
            inner = call.arguments[0]
            if isinstance(inner, Name) and inner.name in ARRAY_CALLS:
                return _array(call.arguments[2])
        if name in BUFFER_CALLS and len(call.arguments) >= 4:
            content, described, shape, order = call.arguments[:4]
            if order not in ("C", "F"):
                raise InrzooError(f"an array of it has the order {order!r:.20}")
            return _array((1, shape, described, order == "F", content))
        if name in SCALAR_CALLS and len(call.arguments) == 2:
            return np.frombuffer(_bytes(call.arguments[1]), _dtype(call.arguments[0]), count=1)[0].item()
        if name in SETTINGS_CALLS:  # an object whose attributes are its table of settings
            made = call.arguments[0] if call.arguments and isinstance(call.arguments[0], Name) else call.function
            fields = call.state.get("_fields") if isinstance(call.state, dict) else None
            if made.name == SETTINGS_CLASS and isinstance(fields, dict):
                return self.value(fields, depth + 1)
        raise InrzooError(f"it asks for {name}")


def _array(state: Any) -> NDArray[Any]:
    """Return the array of numpy's state: version, shape, type, whether columns come first, bytes."""
    if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[1], tuple):
        raise InrzooError("an array of it has no bytes")
    _, shape, described, columns_first, content = state
    dtype, data = _dtype(described), _bytes(content)
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise InrzooError(f"an array of it has the shape {shape}")
    array = np.frombuffer(data, dtype)
    if array.size != int(np.prod(shape, dtype=object)):
        raise InrzooError(f"an array of it has {array.size} numbers and the shape {shape}")
    return array.reshape(shape, order="F" if columns_first else "C")


def _dtype(described: Any) -> np.dtype[Any]:
    named = described.arguments[0] if isinstance(described, Call) and described.arguments else None
    known = isinstance(described, Call) and isinstance(described.function, Name)
    if not known or described.function.name != "numpy.dtype" or not isinstance(named, str):
        raise InrzooError("an array of it has no type")
    dtype = np.dtype(named) if named[:1] in KINDS and named[1:].isdecimal() else None
    if dtype is None or dtype.kind not in KINDS:
        raise InrzooError(f"an array of it holds {named[:20]!r}, not numbers")
    order = described.state[1] if isinstance(described.state, tuple) and len(described.state) > 1 else "="
    if order not in ("<", ">", "|", "="):
        raise InrzooError("an array of it has no order of bytes")
    return dtype.newbyteorder(cast(Literal["<", ">", "|", "="], order))


def _bytes(content: Any) -> bytes:
    if isinstance(content, Call) and isinstance(content.function, Name) and content.function.name == BYTES_CALL:
        content = content.arguments[0]  # latin-1, as protocol 2 writes bytes
    if isinstance(content, str):
        return content.encode("latin-1")
    if not isinstance(content, bytes | bytearray):
        raise InrzooError("an array of it has no bytes")
    return bytes(content)
