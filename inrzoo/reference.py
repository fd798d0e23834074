"""What `inrzoo show` prints: a component's fields, and the settings of datasets, presets and recipes."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inrzoo import manifest, registry
from inrzoo.docstrings import descriptions, summary
from inrzoo.errors import InrzooError
from inrzoo.nearest import among, hint
from inrzoo.typecheck import describe, to_toml

COLUMNS = 80
"""Maximum number of characters of a line, unless one word is longer."""
COMPONENTS = {kind[:-1]: kind for kind in registry.KINDS}
"""The kinds of components as words of a command: `source` for `sources`."""
RUNTIME_PARAMETERS = {
    "inr": manifest.RUNTIME_FIELDS,
    "encoder": ("layout", "inr", "domain"),
    "decoder": ("layout", "inr", "domain"),
    "hypernet": ("inr", "sizes", "views"),
    "transform": ("inr", "extent"),
    "augmentation": ("sizes", "places", "quantity", "extent", "zero", "furthest"),
    "operation": ("sizes",),
}
"""Parameters that are no settings: the signals, the store or the run decide them."""


def show(*words: str) -> str:
    """Explain a component, a dataset, a preset or a recipe.

    Args:
        words: a name, or a kind and a name: `inr`, `siren`.

    Returns:
        Lines of at most `COLUMNS` characters. A field of a component stands with its default, the type that a manifest
        or an option gives it, and its description.

    Raises:
        InrzooError: nothing, or more than one thing, has that name, or there is no such kind.
    """
    kinds = [*COMPONENTS, "dataset", "preset", "recipe"]
    if len(words) == 2 and words[0] not in kinds:
        raise InrzooError(
            f"show {' '.join(words)} is not allowed; expected [KIND] NAME, KIND one of {', '.join(kinds)}"
        )
    kind, name = words if len(words) == 2 else _find(*words)
    if kind in COMPONENTS:
        return "\n".join(_component(kind, name))
    return "\n".join({"dataset": _dataset, "preset": _preset, "recipe": _recipe}[kind](name))


def names() -> dict[str, list[str]]:
    """Kind -> names of everything that can be shown."""
    presets = {preset for dataset in manifest.names() for preset in manifest.presets(dataset)}
    return {
        **{word: registry.names(kind) for word, kind in COMPONENTS.items()},
        "dataset": manifest.names(),
        "preset": sorted(presets),
        "recipe": sorted(manifest.recipes()),
    }


def _find(name: str) -> tuple[str, str]:
    """The only kind that has a name, and the name."""
    if name.endswith(".toml"):
        return "dataset", name
    shown = names()
    for kind, word in registry.trusted:
        shown[kind[:-1]].append(word)
    matching = [kind for kind, known in shown.items() if name in known]
    if len(matching) > 1:
        commands = ", ".join(f"inrzoo show {kind} {name}" for kind in matching)
        raise InrzooError(f"{name} is several things; say which: {commands}")
    if not matching:
        everything = sorted({each for known in shown.values() for each in known})
        raise InrzooError(f"nothing is called {name!r}{hint(name, everything)}; inrzoo list names everything")
    return matching[0], name


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of a component, or of a table of a manifest.

    Attributes:
        name: its key in a manifest and on the command line.
        type: the type that a manifest or an option gives it, in words.
        default: its default as TOML; None if it is required.
        description: what the docstring says of it.
        is_setting: false if the signals, the store or the run decide it.
    """

    name: str
    type: str
    default: str | None
    description: str
    is_setting: bool


def fields(cls: type[Any], runtime: Sequence[str] = ()) -> list[Field]:
    """The fields of a dataclass, or the parameters of another class.

    Args:
        cls: a component's class, or a table of a manifest.
        runtime: names of parameters that are no settings.

    Example:
        >>> from inrzoo.manifest.settings import AntiAlias
        >>> [(field.name, field.default) for field in fields(AntiAlias)]
        [('regulariser', '"hinge"'), ('weight', '0.0'), ('alpha', '1.0')]
    """
    hints, described = registry.field_types(cls), []
    for name, parameter in inspect.signature(cls).parameters.items():
        default = _default(cls, parameter)
        text = None if default is _REQUIRED else to_toml(default)
        is_setting = name not in runtime
        kind = describe(hints[name]) if is_setting else ""  # the types of the others are no TOML
        described.append(Field(name, kind, text, _description(cls, name), is_setting))
    return described


def _component(kind: str, name: str) -> Iterator[str]:
    cls = registry.find(COMPONENTS[kind], name)
    yield from _wrapped(f"{kind} {name}: {summary(cls)}")
    described = fields(cls, RUNTIME_PARAMETERS.get(kind, ()))
    settings = [field for field in described if field.is_setting]
    for field in settings:
        yield ""
        value = "" if field.default is None else f" = {field.default}"
        needed = "required, " if field.default is None else ""
        yield from _wrapped(f"{field.name}{value}  ({needed}{field.type})", "  ")
        yield from _wrapped(field.description, "      ", hanging="")
    if not settings:
        yield from ("", "  no fields")
    if runtime := [field for field in described if not field.is_setting]:
        yield from ("", "  not settings; the signals, the store or the run decide:")
    for field in runtime:
        yield from _wrapped(f"{field.name}: {field.description}", "  ")


def _description(cls: type[Any], parameter: str) -> str:
    """The description of a field; one that only names another component, "as for `TransInr`", is looked up there."""
    text = descriptions(cls).get(parameter, "")
    if elsewhere := re.match(r"(?:as for|see) `(\w+)`", text):
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", elsewhere[1]).lower()
        for kind in registry.KINDS:
            if name in registry.names(kind) and (other := registry.find(kind, name)) is not cls:
                return _description(other, parameter).rstrip(".") + text[elsewhere.end() :]
    return text


_REQUIRED = object()


def _default(cls: type[Any], parameter: inspect.Parameter) -> Any:
    field = getattr(cls, "__dataclass_fields__", {}).get(parameter.name)
    if field is not None and callable(field.default_factory):
        return field.default_factory()
    return _REQUIRED if parameter.default is inspect.Parameter.empty else parameter.default


def _dataset(name: str) -> Iterator[str]:
    tables = manifest.tables(name)
    yield from _wrapped(f"dataset {name}: {tables.get('title', '')}")
    presets, default = tables.pop("presets", {}), tables.pop("default_preset", None)
    yield ""
    yield from _settings({key: value for key, value in tables.items() if key != "title"})
    for preset in manifest.presets(name):
        yield from ("", f"preset {preset}{', the default' if preset == default else ''}:")
        yield from _settings(presets[preset])
    yield ""
    for kind in ("source", "inr", "observation"):
        if isinstance(table := tables.get(kind), Mapping) and "name" in table:
            yield f"all fields and their defaults: inrzoo show {kind} {table['name']}"


def _preset(name: str) -> Iterator[str]:
    datasets = [dataset for dataset in manifest.names() if name in manifest.presets(dataset)]
    if not datasets:
        raise InrzooError(f"no dataset has a preset {name!r}{among(name, names()['preset'])}")
    yield from _wrapped(f"preset {name} of {', '.join(datasets)}")
    for dataset in datasets:
        tables = manifest.tables(dataset)
        default = ", its default" if tables.get("default_preset") == name else ""
        yield from ("", f"{dataset}{default}:")
        yield from _settings(tables["presets"][name])


def _recipe(name: str) -> Iterator[str]:
    purposes = manifest.recipes()
    if name not in purposes:
        raise InrzooError(f"no recipe {name!r}{among(name, purposes)}")
    yield from _wrapped(f"recipe {name}: {purposes[name]}")
    for inr in registry.names("inrs"):
        if name in (recipes := manifest.recipes_for(inr)):
            yield from ("", f"{inr}:")
            yield from _settings(recipes[name])


def _settings(tables: Mapping[str, Any]) -> Iterator[str]:
    for key, value in _dotted(tables):
        yield from _wrapped(f"{key} = {to_toml(value)}", "  ")


def _dotted(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _wrapped(text: str, indent: str = "", hanging: str = "    ") -> list[str]:
    return textwrap.wrap(
        text,
        COLUMNS,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
