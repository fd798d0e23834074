"""Imports modules at their first use.

Answers that need no tensors (a list, a wrong name, a missing store) then do not wait seconds for torch.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _Unloaded:
    """Stands for a module in the globals of another one until the first access to an attribute."""

    def __init__(self, name: str, namespace: dict[str, Any]) -> None:
        self._name, self._namespace = name, namespace

    def __getattr__(self, attribute: str) -> Any:
        module = importlib.import_module(self._name)
        self._namespace[self._name] = module  # replaces this object
        return getattr(module, attribute)


def lazy(name: str, namespace: dict[str, Any]) -> ModuleType | _Unloaded:
    """Return the module if it is already imported, else an object that imports it at its first use.

    Args:
        name: name of a top-level module.
        namespace: `globals()` of the module that uses it under this name.
    """
    return sys.modules.get(name) or _Unloaded(name, namespace)
