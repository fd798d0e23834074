"""The options of `inrzoo train` as a TOML file: `--config` reads what `--save-config` writes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.keywords import unknown
from inrzoo.store.files import write_atomically
from inrzoo.tasks.contract import Task
from inrzoo.tasks.training.options import make_task, options
from inrzoo.typecheck import check_type, to_toml

TASK = "task"
"""Key of the name of the task; a file without it serves any task that has its other keys."""
RUN_KEYS = ("store", "out", "source", "device")
"""Keys that are no fields of a task, but options that every task has. Paths in them are those of the command line."""
LOGGER = "logger"
"""Key of the list of loggers."""


def read_run_file(path: Path, task: str) -> dict[str, Any]:
    """Read the options in a file: `RUN_KEYS`, `LOGGER` and fields of a task.

    Args:
        task: name of the task, with underscores.

    Raises:
        InrzooError: there is no such file, it is not TOML, it is of another task, or it has a key that is no option;
            then the line names the nearest key and all that exist.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InrzooError(f"--config {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InrzooError(f"--config {path} is not valid TOML: {error}") from None
    allowed = [TASK, *RUN_KEYS, LOGGER, *(option.field for option in options(registry.find("tasks", task)))]
    recorded = check_type(TASK, table.get(TASK, task), str)
    if recorded.replace("-", "_") != task:
        raise InrzooError(f"--config {path} has the options of the task {recorded}, not of {task}")
    for key in table:
        if key not in allowed:
            raise unknown(f"--config {path}", key, allowed)
    for key in RUN_KEYS:
        check_type(key, table.get(key, ""), str)
    check_type(LOGGER, table.get(LOGGER, []), list[str])
    return {key: value for key, value in table.items() if key != TASK}


def write_run_file(path: Path, task: Task, run: Mapping[str, str | list[str] | None]) -> None:
    """Write all fields of a task and the other options of a run, atomically.

    Args:
        run: values of `RUN_KEYS` and `LOGGER`; None is left out.

    Raises:
        InrzooError: the folder of the file does not exist, or a field has a value that no TOML file can hold.
    """
    text = run_file_text(task, run, f"--save-config {path}")
    if not path.absolute().parent.is_dir():
        raise InrzooError(f"--save-config {path}: there is no folder {path.parent}")
    write_atomically(path, text.encode())


def run_file_text(task: Task, run: Mapping[str, str | list[str] | None], where: str) -> str:
    """Return the content of a run file; arguments and errors as of `write_run_file`, `where` names it in errors."""
    fields = task.to_json()
    name = str(fields.pop("name"))
    known = {key: value for key, value in fields.items() if value is not None}
    if make_task(name, known, {}) != task:
        raise InrzooError(f"{where}: a field that is none here has another default; TOML has no value for it")
    table = {TASK: name, **{key: value for key, value in run.items() if value is not None}, **known}
    return "".join(f"{key} = {to_toml(value)}\n" for key, value in table.items())
