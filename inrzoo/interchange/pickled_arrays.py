"""Reads tables of arrays from pickles by others without unpickling: opcodes become data, and nothing is ever called.

functa's `.npz` are pickles by dill. A pickle is a program whose opcodes build values and call functions. Of the calls
only numpy's own way to say "these bytes are an array" has a meaning here; see
docs/derivations/published_sets.md#pickles-as-data.
"""

from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.interchange.pickle_opcodes import Call, Mark, Name, recorded

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
MOST_VALUES = 10**5
MOST_DEPTH = 20


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
        value = _Records().value(recorded(content))
    except InrzooError as error:
        raise InrzooError(f"{where} is not a plain table of arrays and was not unpickled: {error}") from None
    except Exception as error:  # a damaged pickle breaks opcodes in a dozen ways
        reason = " ".join(str(error).split())[:120] or "no reason"
        raise InrzooError(f"{where} cannot be read as a table of arrays ({type(error).__name__}: {reason})") from None
    if not isinstance(value, dict):
        raise InrzooError(f"{where} holds a {type(value).__name__}; expected a table of arrays")
    return value


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
        if depth > MOST_DEPTH or self._num_values > MOST_VALUES:
            raise InrzooError("its tables are nested too deep")
        if isinstance(item, dict):
            return {key: self.value(value, depth + 1) for key, value in item.items()}
        if isinstance(item, list | tuple):
            return [self.value(value, depth + 1) for value in item]
        if isinstance(item, Call):
            return self._called(item, depth)
        if isinstance(item, Name | Mark):
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
