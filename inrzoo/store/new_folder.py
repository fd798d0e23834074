"""Makes a new store whole or not at all: beside its place, which it takes in one step when it is complete."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.filesize import decimal

from inrzoo.errors import InrzooError
from inrzoo.store.files import clear, free_bytes
from inrzoo.store.lock import only_writer
from inrzoo.store.reader import open_store
from inrzoo.store.replace import exchange, settle

URL = re.compile(r"[a-z][a-z0-9+.-]+:/")
"""The beginning of a URL, also of one that became a path, which has one slash less."""


@contextmanager
def new_folder(out: Path, option: str, overwrite: bool, num_bytes: int) -> Iterator[Path]:
    """Yield a place beside `out` for a new store, which is at `out` when the context ends without an error.

    Args:
        option: the words before `out` on the command line, for errors.
        overwrite: whether to replace the store at `out`.
        num_bytes: maximum size of the new store while it is written.

    Raises:
        InrzooError: `out` exists and is not to be overwritten, or is no store; or the disk is too small.
    """
    if URL.match(str(out)):
        raise InrzooError(f"{option} {out} is not allowed; expected a folder on this machine")
    with only_writer(out):
        settle(out)
        if out.exists() and not overwrite:
            raise InrzooError(f"{out} exists; give another {option}, or --overwrite to replace it")
        if out.exists():
            open_store(out)  # what is no store is never removed
        if num_bytes > free_bytes(out):
            raise InrzooError(f"{out} needs {decimal(num_bytes)}, the disk has {decimal(free_bytes(out))} free")
        new = out.with_name(f".{out.name}.unfinished")
        clear(new)
        try:
            yield new
            exchange(new, out)
        finally:
            shutil.rmtree(new, ignore_errors=True)
