"""Files that cannot become signals: an error that counts all of them, or a list of what is left out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from inrzoo.errors import InrzooError

LOG = logging.getLogger("inrzoo.sources")


class UnreadableError(Exception):
    """A file cannot become a signal; the message continues a sentence that begins with the name of the file."""


def unread(path: Path, error: InrzooError) -> UnreadableError:
    """Why a file of a folder or archive cannot be read, as an error that says nothing of where that lies.

    The reason goes into the store, which must not depend on it.
    """
    reason = str(error).replace(f"{path}: ", "").replace(f"{path}/", "")
    return UnreadableError(f"cannot be read ({reason})")


def leave_out(
    path: Path,
    problems: Mapping[str, str],
    count: int,
    skip: bool,
    option: str = "skip_unreadable",
    state: str = "unreadable",
    kind: str = "files",
) -> None:
    """Accept that files with a problem are left out, and list them in the log; or refuse it.

    Args:
        path: where the files lie, for messages.
        problems: what is wrong with each of these files, by id.
        count: number of all files.
        skip: whether they may be left out.
        option: the field of the source that says so.
        state: adjective for the files.
        kind: what they are, in the plural.

    Raises:
        InrzooError: there are such files and `skip` is false, or no file is left. The line names the first.
    """
    if not problems:
        return
    first, reason = next(iter(problems.items()))
    number = f"{len(problems)} of {count} {kind} {'is' if len(problems) == 1 else 'are'} {state}"
    if len(problems) == count:
        raise InrzooError(f"{path}: {number}, which leaves none; {first} {reason}")
    if not skip:
        leaves = f"--set source.{option}=true leaves {'it' if len(problems) == 1 else 'them'} out"
        raise InrzooError(f"{path}: {first} {reason}; {number}, {leaves}")
    for identifier, why in problems.items():
        LOG.warning("left out: %s: %s %s", path, identifier, why)
