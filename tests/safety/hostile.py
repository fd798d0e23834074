"""Values, bytes and files as somebody might make them who wishes us ill; all drawn by hypothesis."""

import copy
import json
import tomllib
from typing import Any

from hypothesis import strategies as st

WORDS = (
    "",
    " ",
    ".",
    "..",
    "../../outside",
    "/etc/passwd",
    "/dev/zero",
    "~",
    "\0",
    "a\0b",
    "\x1b[2J\x1b]0;owned\x07",
    "\n",
    "a/b",
    "CON",
    "nan",
    "-1",
    "1e999",
    "inf",
    "null",
    "None",
    "os.system",
    "__class__",
    "{0.__class__}",
    "%s%s%n",
    "$(touch owned)",
    "; touch owned",
    "é\u202e",
    "\ud800",
    "x" * 5000,
    "file:///etc/passwd",
    "hf://a",
    "s3://",
)
NUMBERS = (0, 1, -1, 2, 7, 255, 256, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, -(2**63), 10**12, 10**30)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.integers(),
    st.floats(),
    st.sampled_from([word for word in WORDS if word.isprintable() or "\x1b" in word or "\0" in word or "\n" in word]),
    st.text(max_size=20),
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)
words = st.one_of(st.sampled_from([word for word in WORDS if "\ud800" not in word]), st.text(max_size=30))


def places(tree: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every node below the root."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place for key, value in items for place in ((*here, key), *places(value, (*here, key)))]


@st.composite
def changed(draw: st.DrawFn, tree: Any, most: int = 2) -> Any:
    """A tree of tables and lists with nodes exchanged, removed, copied or renamed."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, most))):
        known = places(tree)
        if not known:
            return draw(trees)
        place = draw(st.sampled_from(known))
        parent = tree
        for key in place[:-1]:
            parent = parent[key]
        how = draw(st.sampled_from(("exchange", "exchange", "exchange", "remove", "copy", "rename", "number")))
        value = parent[place[-1]]
        if how == "remove":
            del parent[place[-1]]
        elif how == "copy":
            source = tree
            for key in draw(st.sampled_from(known)):
                try:
                    source = source[key]
                except (KeyError, IndexError, TypeError):
                    break
            parent[place[-1]] = copy.deepcopy(source)
        elif how == "rename" and isinstance(parent, dict):
            parent[draw(words)] = parent.pop(place[-1])
        elif how == "number" and isinstance(value, int | float):
            parent[place[-1]] = draw(
                st.one_of(st.sampled_from(NUMBERS), st.floats(), st.just(value + 1), st.just(value - 1))
            )
        else:
            parent[place[-1]] = draw(trees)
    return tree


@st.composite
def damaged(draw: st.DrawFn, content: bytes, most: int = 4) -> bytes:
    """Bytes with some flipped, cut out, repeated, exchanged, or the end missing."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 64))
        how = draw(st.sampled_from(("flip", "flip", "flip", "set", "ones", "zeros", "cut", "insert", "repeat", "end")))
        if how == "flip" and start < len(data):
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif how == "set":
            data[start : start + size] = draw(st.binary(min_size=min(size, 8), max_size=size))
        elif how in ("ones", "zeros"):
            data[start : start + size] = (b"\xff" if how == "ones" else b"\0") * size
        elif how == "cut":
            del data[start : start + size]
        elif how == "insert":
            data[start:start] = draw(st.binary(max_size=16))
        elif how == "repeat":
            data[start:start] = data[start : start + size] * draw(st.integers(1, 3))
        elif how == "end":
            del data[start:]
    return bytes(data)


@st.composite
def json_file(draw: st.DrawFn, content: bytes) -> bytes:
    """A JSON file changed as a tree, or as bytes."""
    if draw(st.integers(0, 4)) == 0:
        return draw(damaged(content))
    tree = draw(changed(json.loads(content)))
    return json.dumps(tree).encode()


@st.composite
def toml_file(draw: st.DrawFn, content: str) -> bytes:
    """A TOML file changed as a tree, or as bytes."""
    if draw(st.integers(0, 3)) == 0:
        return draw(damaged(content.encode()))
    tree = draw(changed(tomllib.loads(content), 3))
    return _toml(tree if isinstance(tree, dict) else {"value": tree}).encode("utf-8", "replace")


def _toml(tables: dict[str, Any]) -> str:
    return "\n".join(
        f"{json.dumps(str(key))} = {_literal(value)}" for key, value in tables.items() if value is not None
    )


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        inside = ", ".join(
            f"{json.dumps(str(key))} = {_literal(part)}" for key, part in value.items() if part is not None
        )
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{', '.join(_literal(part) for part in value if part is not None)}]"
    if isinstance(value, float):
        return {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.get(json.dumps(value), json.dumps(value))
    return json.dumps(value, ensure_ascii=False)
