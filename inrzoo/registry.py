"""Components by name: `relu_mlp` is `inrzoo/inrs/relu_mlp.py`, the class in it `ReluMlp`. That is the registry."""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from inrzoo.errors import InrzooError
from inrzoo.typecheck import check_type


def names(kind: str) -> list[str]:
    """Sorted names of the components of one kind, read off the folder `inrzoo/<kind>` without importing any of them.

    Args:
        kind: `"sources"`, `"inrs"`, `"encoders"`, `"hypernets"` or `"tasks"`: a folder of the package.
    """
    folder = Path(__file__).parent / kind
    return sorted(module.name for module in pkgutil.iter_modules([str(folder)]) if not module.name.startswith("_"))


def find(kind: str, name: str) -> type[Any]:
    """Return the class called `name` (snake case, its file's name).

    Raises:
        InrzooError: there is none; the message names those that exist.
    """
    if name not in names(kind):
        raise InrzooError(f"no {kind} called {name!r}; there are: {', '.join(names(kind))}")
    module = importlib.import_module(f"inrzoo.{kind}.{name}")
    found: type[Any] = getattr(module, "".join(part.capitalize() for part in name.split("_")))
    return found


def make(kind: str, spec: Mapping[str, Any], **runtime: Any) -> Any:
    """Build a component from its manifest table.

    Its fields are the keyword arguments of its constructor, be it a frozen dataclass or an `nn.Module`.

    Args:
        kind: as in `names`.
        spec: `name` and the fields of the component; what TOML can say.
        **runtime: fields that only the run knows (an INR's `in_features`); they may not be in `spec` as well.

    Raises:
        InrzooError: unknown component, unknown field, wrong type or impossible value, each in one line.
    """
    if "name" not in spec:
        raise InrzooError(f"a table of {kind} needs a name; there are: {', '.join(names(kind))}")
    cls = find(kind, spec["name"])
    given = {key: value for key, value in spec.items() if key != "name"}
    fields = inspect.signature(cls).parameters
    hints = get_type_hints(cls) if dataclasses.is_dataclass(cls) else get_type_hints(cls.__init__)
    settable = [key for key in fields if key not in runtime]
    for key, value in given.items():
        if key not in settable:
            has = ", ".join(settable) or "none"
            raise InrzooError(f"{spec['name']} has no field {key!r} (given {value!r}); it has: {has}")
    resolved = {key: check_type(f"{spec['name']}.{key}", value, hints[key]) for key, value in given.items()}
    missing = [key for key in settable if key not in given and fields[key].default is inspect.Parameter.empty]
    if missing:
        raise InrzooError(f"{spec['name']} needs {', '.join(missing)}")
    return cls(**resolved, **runtime)
