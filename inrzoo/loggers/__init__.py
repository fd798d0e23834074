"""Loggers: where the numbers of a training go beside `metrics.jsonl`, one file each."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from inrzoo.errors import InrzooError

Status = Literal["finished", "stopped", "failed"]
"""How a call of `train` ended: all steps are done, it can be continued, or an error ended it."""


@dataclass(frozen=True)
class RunSettings:
    """What a logger is told of a run.

    Attributes:
        folder: of the run; loggers keep their files in it.
        step: steps that are done. 0 for a new run, which replaces what a logger kept of another one in the folder.
        data: the store or dataset.
        task: name and fields of the task, as JSON types.
    """

    folder: Path
    step: int
    data: str
    task: Mapping[str, Any]


class Logger(ABC):
    """Receives the numbers of a run; a subclass in `inrzoo/loggers/<name>.py` defines the methods.

    The parameters of its constructor are its fields, as those of an encoder: `--logger "wandb project=digits"`, or
    `--logger wandb=digits` for the first of them.

    `begin` is called once, `log` after each validation, once its checkpoint is written, and `end` once. Steps ascend,
    and no step comes twice, in however many calls of `train` a run is done. An exception of a logger does not end the
    run: it is one warning, and the logger is not called again. An InrzooError of `begin` is raised.

    Example:
        >>> class Last(Logger):
        ...     def begin(self, run):
        ...         self.steps = run.task["steps"]
        ...     def log(self, step, numbers):
        ...         self.line = f"{step} of {self.steps}: score {numbers['score']}"
        ...     def end(self, status):
        ...         self.line += f", {status}"
        >>> last = Last()
        >>> fields = {"encoder": "flat_mlp", "batch_size": 8, "steps": 4, "validate_every": 2}
        >>> run = inrzoo.train("classify", "digits.zarr", out="run", quiet=True, loggers=[last], **fields)
        >>> last.line.partition(":")[0], last.line.rpartition(", ")[2]
        ('4 of 4', 'finished')
    """

    @classmethod
    def short_form(cls, value: Any) -> dict[str, Any]:
        """Return the fields that `NAME=VALUE` stands for: the first parameter of the constructor.

        Raises:
            InrzooError: it has none.
        """
        names = list(inspect.signature(cls).parameters)
        if not names:
            raise InrzooError("it has no fields")
        return {names[0]: value}

    @abstractmethod
    def begin(self, run: RunSettings) -> None:
        """Prepare to log.

        Raises:
            InrzooError: the logger cannot work here; the run does not begin.
        """

    @abstractmethod
    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keep the numbers of a validation: `lr`, `score`, and others such as `train_loss`, `validation_accuracy`."""

    def picture(self, step: int, name: str, file: Path) -> None:  # noqa: B027 - most loggers need nothing here
        """Keep a picture, a .png file; does nothing unless a subclass needs it."""

    @abstractmethod
    def end(self, status: Status) -> None:
        """Write what is left to write."""


__all__ = ["Logger", "RunSettings", "Status"]
