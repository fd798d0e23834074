"""Random changes that are written `NAME=VALUE`: `rotate=15` stands for a table of a component."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, ClassVar

from inrzoo import registry
from inrzoo.errors import InrzooError


class ShortForm:
    """Base of components that users write as `NAME=VALUE`, frozen dataclasses.

    Attributes:
        RUNTIME_FIELDS: fields that the data give and no user.
    """

    RUNTIME_FIELDS: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def short_form(cls, value: Any) -> dict[str, Any]:
        """Return the fields that `NAME=VALUE` stands for: the first field of the class, unless a subclass overrides it.

        Raises:
            InrzooError: the component has no fields.
        """
        names = [field.name for field in fields(cls) if field.name not in cls.RUNTIME_FIELDS]  # type: ignore[arg-type]
        if not names:
            raise InrzooError("it has no fields")
        return {names[0]: value}

    def require(self, key: str, holds: bool, allowed: str) -> None:
        """Raise the one-line error for field `key` unless `holds`."""
        if not holds:
            raise InrzooError(f"{key} = {getattr(self, key)!r} is not allowed; it must be {allowed}")


def made(kind: str, tables: Iterable[Mapping[str, Any]], **runtime: Any) -> list[Any]:
    """Make the components of a list `augment`, in its order.

    Args:
        kind: `transforms` of weights, or `augmentations` of signals.
        tables: `name` and fields of each.
        **runtime: fields that the data give.

    Raises:
        InrzooError: an unknown component, an unknown field, or an impossible value.
    """
    components = []
    for table in tables:
        try:
            components.append(registry.make(kind, table, **runtime))
        except InrzooError as error:
            raise InrzooError(f"augment {table.get('name', '')}: {error}") from None
    return components


def short_table(name: str, value: Any, kind: str = "transforms") -> dict[str, Any]:
    """Return the table of a component that is given as `NAME=VALUE`.

    Args:
        name: of the component.
        value: of its short form.
        kind: `transforms` of weights, or `augmentations` of signals.

    Raises:
        InrzooError: there is no such component, or it has no fields.

    Example:
        >>> from inrzoo.short_forms import short_table
        >>> short_table("scale", 0.5), short_table("crop", 4, "augmentations")
        ({'name': 'scale', 'low': 0.5, 'high': 1.5}, {'name': 'crop', 'padding': 4})
    """
    cls: type[ShortForm] = registry.find(kind, name)
    try:
        return {"name": name, **cls.short_form(value)}
    except InrzooError as error:
        raise InrzooError(f"{name}={value} is not allowed: {error}; write {name}") from None
