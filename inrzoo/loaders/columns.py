"""Batches as mappings of named tensors that torch and jax map over.

A class with `@columns` is a frozen dataclass, a `Mapping` and a pytree: `batch["weights"]`, `dict(batch)`, `**batch`,
`torch.utils._pytree.tree_map(f, batch)` and `jax.tree.map(f, batch)` work, and `type(batch)({…})` makes one out of a
mapping, which is how `accelerate` and the DataLoader rebuild what they moved, sliced or joined.

Shape letters: B INRs of a batch.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from torch import Tensor
from torch.utils import _pytree as torch_pytree

from inrzoo.display import Shown

Kind = TypeVar("Kind", bound="Columns")

_not_in_jax: list[type[Columns]] = []
"""The types of batches that jax does not know yet."""


class Columns(Shown, Mapping[str, Any]):
    """Tensors, dicts of tensors and other `Columns` by name, which move together; see `columns`.

    Optional columns that are None are absent from the mapping. The length is the number of INRs, as that of a
    `TensorDict`, and not the number of columns, `len(batch.keys())`.
    """

    DERIVED: ClassVar[tuple[str, ...]] = ()
    """Properties that are columns of the mapping too; whoever makes a batch out of a mapping need not pass them."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make one, also when it is unpickled; jax learns of the types as soon as it is there."""
        if _not_in_jax and "jax" in sys.modules:
            _register_with_jax()
        return super().__new__(cls)

    def parts(self) -> dict[str, Any]:
        """Return the fields that are not None, by name: the columns without derived ones."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))  # type: ignore[arg-type]
        return {name: value for name, value in values if value is not None}

    def _all(self) -> dict[str, Any]:
        return self.parts()

    def __getitem__(self, name: str) -> Any:
        """Return a column.

        Raises:
            KeyError: there is none of this name.
        """
        everything = self._all()
        if name not in everything:
            raise KeyError(f"{name!r} is no column of this {type(self).__name__}; there are: {', '.join(everything)}")
        return everything[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the columns."""
        return iter(self._all())

    # The views of a dict: those of a Mapping would take the number of INRs for the number of columns.
    def keys(self) -> KeysView[str]:
        """Return the names of the columns."""
        return self._all().keys()

    def values(self) -> ValuesView[Any]:
        """Return the columns."""
        return self._all().values()

    def items(self) -> ItemsView[str, Any]:
        """Return the columns with their names."""
        return self._all().items()

    def map(self, change: Callable[[Any], Any]) -> Self:
        """Return a copy with every tensor mapped by `change`."""
        return type(self)(**{name: _change(value, change) for name, value in self.parts().items()})

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Return a copy on another device; arguments as in `Tensor.to`. A dtype would convert the labels too."""
        return self.map(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self) -> Self:
        """Return a copy in page-locked memory; a DataLoader with `pin_memory=True` calls it."""
        return self.map(Tensor.pin_memory)

    def _shown(self) -> tuple[str, dict[str, str]]:
        """Return shapes, types and devices; no tensor is read."""
        return type(self).__name__, dict(_rows(self))


@dataclass_transform(frozen_default=True)
def columns(cls: type[Kind]) -> type[Kind]:
    """Make a class of annotated columns a frozen dataclass that a mapping can make, and a pytree of torch and jax."""
    made = dataclass(frozen=True, repr=False)(cls)
    by_name = made.__init__

    @functools.wraps(by_name)
    def init(self: Kind, *args: Any, **kwargs: Any) -> None:
        if len(args) == 1 and not kwargs and isinstance(args[0], Mapping):
            by_name(self, **{name: value for name, value in args[0].items() if name not in made.DERIVED})
        else:
            by_name(self, *args, **kwargs)

    made.__init__ = init  # type: ignore[method-assign, assignment]
    torch_pytree.register_pytree_node(
        made,
        _flatten,
        functools.partial(_unflatten_torch, made),
        serialized_type_name=f"{made.__module__}.{made.__qualname__}",
        flatten_with_keys_fn=_flatten_with_torch_keys,
    )
    _not_in_jax.append(made)
    return made


# --- pytrees -----------------------------------------------------------------------------------------------------


def _flatten(batch: Columns) -> tuple[list[Any], list[str]]:
    parts = batch.parts()
    return list(parts.values()), list(parts)


def _flatten_with_torch_keys(batch: Columns) -> tuple[list[tuple[Any, Any]], list[str]]:
    parts = batch.parts()
    return [(torch_pytree.MappingKey(name), value) for name, value in parts.items()], list(parts)


def _unflatten_torch(cls: type[Kind], children: Any, names: Any) -> Kind:
    return cls(**dict(zip(names, children, strict=True)))


def _register_with_jax() -> None:
    tree_util = importlib.import_module("jax.tree_util")

    def flatten(batch: Columns) -> tuple[list[tuple[Any, Any]], tuple[str, ...]]:
        parts = batch.parts()
        return [(tree_util.DictKey(name), value) for name, value in parts.items()], tuple(parts)

    def unflatten(cls: type[Kind], names: Any, children: Any) -> Kind:
        return _unflatten_torch(cls, children, names)

    while _not_in_jax:
        cls = _not_in_jax.pop()
        tree_util.register_pytree_with_keys(cls, flatten, functools.partial(unflatten, cls))


# --- their tensors -----------------------------------------------------------------------------------------------


def _change(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Columns):
        return value.map(change)
    if isinstance(value, dict):
        return {name: change(tensor) for name, tensor in value.items()}
    return change(value)


def _rows(batch: Columns, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield name, and shape, type and device, of every tensor."""
    for name, value in batch.parts().items():
        if isinstance(value, Columns):
            yield from _rows(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            yield from ((f"{prefix}{name}[{key!r}]", _described(tensor)) for key, tensor in value.items())
        else:
            yield f"{prefix}{name}", _described(value)


def _described(leaf: Any) -> str:
    """Describe a tensor, or an array or whatever else a map over a pytree has put in its place."""
    if not isinstance(leaf, Tensor):
        shape = getattr(leaf, "shape", None)
        return type(leaf).__name__ if shape is None else f"{tuple(shape)} {getattr(leaf, 'dtype', '')}".strip()
    return f"{tuple(leaf.shape)} {str(leaf.dtype).removeprefix('torch.')} on {leaf.device}"
