"""Modules that are imported when they are first used.

What can be said without tensors (a list, a wrong name, a missing store) is said without the seconds that torch takes.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _Unloaded:
    """Stands for a module in the globals of another one, until the first attribute of it is asked for."""

    def __init__(self, name: str, namespace: dict[str, Any]) -> None:
        self._name, self._namespace = name, namespace

    def __getattr__(self, attribute: str) -> Any:
        module = importlib.import_module(self._name)
        self._namespace[self._name] = module  # from now on nothing stands between
        return getattr(module, attribute)


def lazy(name: str, namespace: dict[str, Any]) -> ModuleType | _Unloaded:
    """The module if something has imported it, else what imports it at its first use.

    Args:
        name: of a top-level module.
        namespace: `globals()` of the module that uses it, under this name.
    """
    return sys.modules.get(name) or _Unloaded(name, namespace)
