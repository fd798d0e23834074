"""A logger: the numbers of a run as a table with commas."""

import csv
from collections.abc import Mapping

from inrzoo.loggers import Logger, RunSettings, Status


class CommaSeparated(Logger):
    """A row for each validation: step and score.

    Args:
        file: name of the file in the folder of the run.
    """

    def __init__(self, file: str = "scores.csv") -> None:
        self._name = file

    def begin(self, run: RunSettings) -> None:
        """Begin the file, or continue that of a run that is continued."""
        self._file = run.folder / self._name
        if not run.step:
            self._write("step", "score", mode="w")

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a row."""
        self._write(step, numbers["score"])

    def end(self, status: Status) -> None:
        """Add how the call ended."""
        self._write(status, "")

    def _write(self, *cells: object, mode: str = "a") -> None:
        with self._file.open(mode, newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(cells)
