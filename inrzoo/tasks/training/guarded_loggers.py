"""Loggers of a run, whose exceptions do not end it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.loggers import Logger, RunSettings, Status

LOG = logging.getLogger("inrzoo.tasks")


class GuardedLoggers:
    """Calls loggers. One that raises is said in one warning and not called again."""

    def __init__(self, loggers: Sequence[Logger] = ()) -> None:
        self._loggers = list(loggers)

    def begin(self, run: RunSettings) -> None:
        """See `Logger.begin`.

        Raises:
            InrzooError: a logger cannot work here.
        """
        self._each("begin", lambda logger: logger.begin(run), raised=InrzooError)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """See `Logger.log`."""
        self._each("log", lambda logger: logger.log(step, numbers))

    def picture(self, step: int, name: str, file: Path) -> None:
        """See `Logger.picture`; nothing if the file is absent."""
        if file.is_file():
            self._each("picture", lambda logger: logger.picture(step, name, file))

    def end(self, status: Status) -> None:
        """See `Logger.end`."""
        self._each("end", lambda logger: logger.end(status))

    def _each(
        self, method: str, call: Callable[[Logger], Any], raised: type[Exception] | tuple[type[Exception], ...] = ()
    ) -> None:
        for logger in list(self._loggers):
            try:
                call(logger)
            except raised:
                raise
            except Exception as error:  # whatever a logger does, hours of training are worth more
                self._loggers.remove(logger)
                why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
                name = registry.name_of("loggers", type(logger))
                LOG.warning("warning  the logger %s is not called again; its %s raised %s", name, method, why)
