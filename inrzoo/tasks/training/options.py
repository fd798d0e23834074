"""A task's fields as options of the command line; their help texts are read from the docstrings."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

from inrzoo import registry
from inrzoo.docstrings import descriptions
from inrzoo.errors import InrzooError
from inrzoo.keywords import unknown
from inrzoo.loggers import Logger
from inrzoo.short_forms import short_table
from inrzoo.tasks.contract import Task
from inrzoo.tasks.pretrained import pretrained_fields
from inrzoo.trust import trust, trust_tables
from inrzoo.typecheck import toml_value

TABLES = tuple[dict[str, Any], ...]
"""Type of a field that is a list of transforms or augmentations."""
SHORT_WORDS = {"precision": {"32": "float32", "bf16": "bfloat16"}}
"""Further spellings of values, by field."""


@dataclass(frozen=True)
class Option:
    """The option of one field of a task.

    Attributes:
        field: name of the field; the option is `--` and the name with hyphens.
        flag: whether the option takes no value: `--x`, `--no-x`.
        repeatable: whether the option may be given several times.
        help: the field's line in the docstring.
        default: the default as the help shows it.
    """

    field: str
    flag: bool
    repeatable: bool
    help: str
    default: str


def options(cls: type[Task]) -> list[Option]:
    """Options of all fields of a task, those of its own class first."""
    hints, lines = get_type_hints(cls), descriptions(cls)
    own = inspect.get_annotations(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    names = [*(name for name in fields if name in own), *(name for name in fields if name not in own)]
    return [
        Option(name, hints[name] is bool, hints[name] == TABLES, lines.get(name, ""), _shown(_default(fields[name])))
        for name in names
    ]


def make_task(name: str, words: Mapping[str, Any], settings: Mapping[str, Any]) -> Task:
    """Make a task from the text of command-line options, or from values.

    Args:
        name: of the task, with hyphens or underscores.
        words: field -> text or value; None for the default.
        settings: `field.key` -> text or value, for fields that are tables: `encoder.hidden_features`.

    Raises:
        InrzooError: a field does not take its value, or there is no such field.
    """
    name = name if ":" in name else name.replace("-", "_")
    cls: type[Task] = registry.find("tasks", name)
    hints = get_type_hints(cls)
    for key in words:
        if key not in hints:
            raise unknown(f"the task {name}", key, [option.field for option in options(cls)])
    kind = cls.augment_kind
    short = {key: SHORT_WORDS.get(key, {}).get(str(word), word) for key, word in words.items() if word is not None}
    values = {key: _parsed(word, hints[key], kind) for key, word in short.items()}
    defaults = {field.name: _default(field) for field in dataclasses.fields(cls)}
    for dotted, word in settings.items():
        field, _, key = dotted.partition(".")
        if not key or not isinstance(defaults.get(field), dict):
            tables = ", ".join(f"{name}.KEY" for name, default in defaults.items() if isinstance(default, dict))
            raise InrzooError(f"--set {dotted}={word} is not allowed; expected {tables}")
        values[field] = {**values.get(field, defaults[field]), key: toml_value(word) if isinstance(word, str) else word}
    if (place := values.get("pretrained")) and "encoder" not in values:
        values = {**pretrained_fields(place), **values}
    values = trust_tables(values, kind)
    for each in registry.KINDS:  # a wrong name is said before data are read
        if isinstance(table := values.get(each[:-1]), dict) and "name" in table:
            registry.find(each, table["name"])
    task: Task = registry.make("tasks", {"name": name, **values})
    return task


def _parsed(word: Any, hint: Any, augment_kind: str) -> Any:
    """The value of a text for a field: commas make lists, and a name stands for a table with that name."""
    if hint == TABLES:
        words = [word] if isinstance(word, str) else word
        return [] if list(words) == ["none"] else [transform_table(each, augment_kind) for each in words]
    if not isinstance(word, str):
        return word
    arms = get_args(hint) if get_origin(hint) not in (tuple, dict) else (hint,)
    if any(get_origin(arm) is tuple for arm in (hint, *arms)):
        return [toml_value(part) for part in word.split(",") if part]
    if get_origin(hint) is dict:
        return {"name": word}
    return word if hint is str or (str in arms and toml_value(word) != "none") else toml_value(word)


def transform_table(word: Any, kind: str = "transforms", option: str = "--augment") -> Any:
    """The table of a transform from a text such as `rotate=15` or `intensity gain=0.2 offset=0.1`.

    The first part is the name of the transform. `NAME=VALUE` sets its first field; further parts are `FIELD=VALUE`.
    Other values than texts are returned unchanged.

    Args:
        word: the text.
        kind: `transforms` of weights, `augmentations` of signals, or `loggers`.
        option: the option that the user typed, for errors.

    Raises:
        InrzooError: the text has another form, or there is no such component.

    Example:
        >>> transform_table("rotate=15"), transform_table("intensity gain=0.2 offset=0.1")
        ({'name': 'rotate', 'degrees': 15}, {'name': 'intensity', 'gain': 0.2, 'offset': 0.1})
    """
    if not isinstance(word, str):
        return word
    first, *rest = word.split() or [""]
    pairs = [part.partition("=") for part in rest]
    if not first or not all(key and equals and text for key, equals, text in pairs):
        raise InrzooError(f"{option} {word!r} is not allowed; expected NAME, NAME=VALUE or 'NAME FIELD=VALUE ...'")
    name, equals, text = first.partition("=")
    try:
        name = trust(kind, name) if ":" in name else name.replace("-", "_")
        table = short_table(name, toml_value(text), kind) if equals else {"name": name}
        registry.find(kind, name)
    except InrzooError as error:
        raise InrzooError(f"{option} {word!r}: {error}") from None
    return {**table, **{key: toml_value(text) for key, _, text in pairs}}


def make_loggers(words: Iterable[str | Logger]) -> list[Logger]:
    """Make loggers from what the user wrote: `tensorboard`, `"wandb project=digits"`, `package.module:Class`.

    Loggers that are made already are returned as they are.

    Raises:
        InrzooError: there is no such logger, it does not take a field, or its package is not installed.
    """
    made: list[Logger] = []
    for word in words:
        if not isinstance(word, str):
            made.append(word)
            continue
        table = transform_table(word, "loggers", "--logger")
        try:
            made.append(registry.make("loggers", table))
        except InrzooError as error:
            raise type(error)(f"--logger {word!r}: {error}") from error
    return made


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if callable(field.default_factory) else field.default


def _shown(default: Any) -> str:
    if isinstance(default, dict):
        return str(default.get("name", ""))
    if isinstance(default, tuple):
        return ",".join(map(_shown, default))
    if isinstance(default, bool):
        return "yes" if default else "no"
    return "" if default is None else str(default)
