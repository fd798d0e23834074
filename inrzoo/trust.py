"""Imports classes that the user names, `package.module:Class`, on the command line, in a manifest file, or in Python.

Only this file imports a module by a string that is neither a file of inrzoo nor an entry point. No string from a store,
a checkpoint or a card comes here: its author would choose what runs.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inrzoo import registry
from inrzoo.errors import InrzooError


def trust(kind: str, word: str) -> str:
    """Import a class and let `registry.find` return it in this process.

    Args:
        kind: one of `registry.KINDS`.
        word: `package.module:Class`; the current folder is searched last.

    Returns:
        The name that stores and checkpoints record: that of an entry point for the same class, or `word`.

    Raises:
        InrzooError: `word` is malformed, cannot be imported, or is not a component of that kind.
    """
    if kind not in registry.KINDS or not re.fullmatch(r"[\w.]+:[\w.]+", word):
        kinds = ", ".join(registry.KINDS)
        raise InrzooError(f"{kind}={word} is not allowed; expected KIND=package.module:Class, KIND one of {kinds}")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    from importlib.metadata import EntryPoint  # slow to import

    cls = registry.load(kind, EntryPoint(name="", value=word, group=""))
    name = registry.name_of(kind, cls)
    registry.trusted.update({(kind, word): cls, (kind, name): cls})
    return name


def trust_tables(tables: Mapping[str, Any], augment_kind: str = "transforms") -> dict[str, Any]:
    """Trust every `module:Class` in the user's tables, and return the tables with the recorded names.

    Args:
        tables: a manifest or the fields of a task; the key of a component's table is the singular of its kind (`inr`),
            and that of a list of transforms or augmentations is `augment`.
        augment_kind: kind of the components in that list.
    """
    result = dict(tables)
    for kind in registry.KINDS:
        if kind[:-1] in result:
            result[kind[:-1]] = _trusted(kind, result[kind[:-1]])
    if isinstance(listed := result.get("augment"), list | tuple):
        result["augment"] = [_trusted(augment_kind, table) for table in listed]
    return result


def _trusted(kind: str, table: Any) -> Any:
    if isinstance(table, Mapping) and isinstance(name := table.get("name"), str) and ":" in name:
        return {**table, "name": trust(kind, name)}
    return table
