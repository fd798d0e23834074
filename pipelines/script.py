"""How every script begins, and the settings that all of them read from the environment."""

import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TypeVar

from inrzoo.display import show_log

Row = TypeVar("Row")
SCALE = os.environ.get("INRZOO_SCALE", "small")
"""Size of the run: `tiny`, `small` or `full`."""


def begin(documentation: str | None) -> None:
    """Answer `--help` with the documentation of the script, and show the log."""
    ArgumentParser(description=documentation, formatter_class=RawDescriptionHelpFormatter).parse_args()
    show_log()


def source(dataset: str) -> Path | None:
    """Local files of a dataset, if the environment names them: INRZOO_CIFAR10 for `cifar10`."""
    path = os.environ.get(f"INRZOO_{dataset.upper()}")
    return Path(path) if path else None


def folders(out: str, document: str) -> tuple[Path, Path]:
    """The folder of stores and runs, and the page that a script writes; INRZOO_OUT and INRZOO_DOCUMENT change them."""
    return Path(os.environ.get("INRZOO_OUT", out)), Path(os.environ.get("INRZOO_DOCUMENT", document))


def chosen(rows: dict[str, Row]) -> dict[str, Row]:
    """The rows that INRZOO_METHODS names, separated by semicolons; all without it.

    Raises:
        SystemExit: there is no row of a name.
    """
    names = os.environ.get("INRZOO_METHODS")
    if names is None:
        return rows
    absent = [name for name in names.split(";") if name not in rows]
    if absent:
        raise SystemExit(f"INRZOO_METHODS={names}: there is no {absent[0]!r}; there are: {'; '.join(rows)}")
    return {name: rows[name] for name in names.split(";")}
