"""The registry finds components by name: `relu_mlp` is the class `ReluMlp` in `inrzoo/inrs/relu_mlp.py`.

A file that does not define the class of its name is no component: `inrzoo/tasks/losses.py`.
Installed packages add names by entry points of the group `inrzoo.<kind>`. The registry imports no other string, so that
a file cannot choose what is imported. Users name further classes, `package.module:Class`, through `trust`.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from inrzoo.errors import InrzooError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
from inrzoo.nearest import among
from inrzoo.typecheck import check_type

KINDS = {
    "sources": ("inrzoo.sources", "Source"),
    "observations": ("inrzoo.observations", "Observation"),
    "inrs": ("inrzoo.inrs", "INR"),
    "encoders": ("inrzoo.encoders", "Encoder"),
    "decoders": ("inrzoo.decoders", "Decoder"),
    "hypernets": ("inrzoo.hypernets", "Hypernet"),
    "tasks": ("inrzoo.tasks", "Task"),
    "transforms": ("inrzoo.loaders.transforms", "Transform"),
    "augmentations": ("inrzoo.augmentations", "SignalAugmentation"),
    "operations": ("inrzoo.operations", "Operation"),
    "loggers": ("inrzoo.loggers", "Logger"),
}
"""Package and base class of the components of each kind."""
trusted: dict[tuple[str, str], type[Any]] = {}
"""Classes that the user named in this process, by kind and `package.module:Class`; only `trust` adds to it."""


def names(kind: str) -> list[str]:
    """Return the sorted names of all components of one of the `KINDS`, without importing any."""
    return sorted({*_files(kind), *(entry.name for entry in _entry_points(kind))})


def find(kind: str, name: str) -> type[Any]:
    """Return the class called `name`: a file (snake case), an entry point, or a trusted `package.module:Class`.

    Raises:
        InrzooError: the name is unknown, and the message lists all; or its package cannot be imported.
    """
    if name in _files(kind):
        module = importlib.import_module(f"{KINDS[kind][0]}.{name}")
        cls: type[Any] = getattr(module, class_name(name))
        return cls
    entries = {entry.value: entry for entry in _entry_points(kind) if entry.name == name}
    if len(entries) > 1:
        raise InrzooError(f"{kind} {name!r} is registered twice, as {' and '.join(sorted(entries))}; uninstall one")
    if entries:
        return load(kind, *entries.values())
    if (kind, str(name)) in trusted:
        return trusted[kind, name]
    if ":" in str(name):
        raise InrzooError(
            f"{kind} {name!r} is not installed here as an entry point; install the package that has it, or, if you "
            f"trust its code: inrzoo --trust {kind}={name!r} COMMAND, in Python inrzoo.trust.trust({kind!r}, {name!r})"
        )
    raise InrzooError(f"no {kind} called {name!r}{among(name, names(kind))}")


def name_of(kind: str, cls: type[Any]) -> str:
    """Return the recorded name of a class: that of its file, of its entry point, or else `package.module:Class`."""
    package, _, file = cls.__module__.rpartition(".")
    if package == KINDS[kind][0]:
        return file
    for entry in _entry_points(kind):
        if getattr(sys.modules.get(entry.module), entry.attr, None) is cls:
            return entry.name
    return f"{cls.__module__}:{cls.__qualname__}"


def make(kind: str, spec: Mapping[str, Any], **runtime: Any) -> Any:
    """Make a component from its manifest table.

    Its fields are the keyword arguments of its constructor, whether that is a dataclass's or written out.

    Args:
        kind: one of the `KINDS`.
        spec: `name` and the fields of the component, as values of TOML.
        **runtime: fields that only the run knows (an INR's `in_features`), not allowed in `spec`; a component ignores
            those that it lacks.

    Raises:
        InrzooError: unknown component, unknown field, wrong type or impossible value, in one line.
    """
    if "name" not in spec:
        raise InrzooError(f"a table of {kind} needs a name; there are: {', '.join(names(kind))}")
    cls = find(kind, spec["name"])
    values = {key: value for key, value in spec.items() if key != "name"}
    import inspect

    fields, hints = inspect.signature(cls).parameters, field_types(cls)
    settable = [key for key in fields if key not in runtime]
    for key, value in values.items():
        if key not in settable:
            raise InrzooError(f"{spec['name']} has no field {key!r} (given {value!r}){among(key, settable, 'it has')}")
    resolved = {key: check_type(f"{spec['name']}.{key}", value, hints[key]) for key, value in values.items()}
    missing = [key for key in settable if key not in values and fields[key].default is inspect.Parameter.empty]
    if missing:
        raise InrzooError(f"{spec['name']} needs {', '.join(missing)}")
    return cls(**resolved, **{key: value for key, value in runtime.items() if key in fields})


def field_types(cls: type[Any]) -> dict[str, Any]:
    """Return the types of the fields of a dataclass, or of the parameters of another class's constructor, by name."""
    owner = next(base for base in cls.__mro__ if "__init__" in vars(base))
    return get_type_hints(cls if "__dataclass_fields__" in vars(owner) else vars(owner)["__init__"])


def load(kind: str, entry: EntryPoint) -> type[Any]:
    """Import the class of an entry point; raise InrzooError unless it is a complete component of that kind."""
    package, base = KINDS[kind]
    try:
        cls: Any = entry.load()
    except Exception as error:  # importing a module runs it and may raise anything
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise InrzooError(f"{kind} {entry.value!r} cannot be imported: {why}") from error
    if not (isinstance(cls, type) and issubclass(cls, getattr(importlib.import_module(package), base))):
        raise InrzooError(f"{kind} {entry.value!r} is not a subclass of {package}.{base}")
    if lacking := sorted(getattr(cls, "__abstractmethods__", ())):
        raise InrzooError(f"{kind} {entry.value!r} lacks {', '.join(lacking)}, which every {base} defines")
    return cls


def class_name(name: str) -> str:
    """Return the name of the class of a component: `relu_mlp` -> `ReluMlp`."""
    return "".join(part.capitalize() for part in name.split("_"))


@functools.cache
def _files(kind: str) -> list[str]:
    folder = Path(__file__).parent.joinpath(*KINDS[kind][0].split(".")[1:])
    files = {path.stem: path for path in folder.glob("*.py") if not path.name.startswith("_")}
    return [name for name, path in files.items() if f"\nclass {class_name(name)}(" in path.read_text(encoding="utf-8")]


def _entry_points(kind: str) -> list[EntryPoint]:
    own = _files(kind)  # packages cannot replace these: `siren` in a store means ours
    changed = tuple((folder, Path(folder).stat().st_mtime_ns) for folder in sys.path if Path(folder).exists())
    return [entry for entry in _installed(changed).select(group=f"inrzoo.{kind}") if entry.name not in own]


@functools.cache
def _installed(changed: tuple[tuple[str, int], ...]) -> Any:
    """Return the entry points of all packages, a file each, in the folders of `sys.path`, which `changed` last."""
    from importlib.metadata import entry_points  # slow to import

    return entry_points()
