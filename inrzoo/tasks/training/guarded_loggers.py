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
        self._new, self._loggers = list(loggers), list[Logger]()

    def begin(self, run: RunSettings) -> None:
        """See `Logger.begin`.

        Raises:
            InrzooError: a logger cannot work here.
        """
        while self._new:
            self._loggers.append(self._new.pop(0))
            try:
                self._call(self._loggers[-1], "begin", lambda logger: logger.begin(run), raised=(InrzooError,))
            except InrzooError:
                self._loggers.pop()  # it has not begun, so it does not end
                raise

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

    def _each(self, method: str, call: Callable[[Logger], Any]) -> None:
        for logger in list(self._loggers):
            self._call(logger, method, call)

    def _call(
        self, logger: Logger, method: str, call: Callable[[Logger], Any], raised: tuple[type[Exception], ...] = ()
    ) -> None:
        try:
            call(logger)
        except raised:
            raise
        except Exception as error:  # whatever a logger does, hours of training are worth more
            self._loggers.remove(logger)
            why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            name = registry.name_of("loggers", type(logger))
            LOG.warning("warning  the logger %s is not called again; its %s raised %s", name, method, why)
