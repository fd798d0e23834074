"""The packages of inrzoo's extras: a missing one is one line with the command that installs it.

Without extras inrzoo reads, renders, streams and shows stores. Whatever needs more imports it at its first use, inside
of `needed`; work that would find out only at its end asks `require` before it begins.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from inrzoo.errors import MissingPackageError

Extra = Literal[
    "audio",
    "build",
    "cluster",
    "compiler",
    "fields",
    "generate",
    "gpu",
    "hdf5",
    "hub",
    "s3",
    "shapes",
    "tensorboard",
    "train",
    "wandb",
]
"""Names of the extras in pyproject.toml."""


def install_command(extra: Extra) -> str:
    """Return the command that installs an extra.

    >>> install_command("build")
    "pip install 'inrzoo[build]'"
    """
    return f"pip install 'inrzoo[{extra}]'"


@contextmanager
def needed(extra: Extra, what: str) -> Iterator[None]:
    """Import packages of an extra inside of this block.

    Args:
        extra: the extra that brings them.
        what: the work that needs them, the beginning of the error line.

    Raises:
        MissingPackageError: one of them is not installed or cannot be imported.

    Example:
        >>> with needed("build", "reading digits"):
        ...     from no_such_package import load_digits
        Traceback (most recent call last):
        inrzoo.errors.MissingPackageError: reading digits needs no_such_package: pip install 'inrzoo[build]'
    """
    try:
        yield
    except ConnectionError:  # an OSError, of what the packages do and not of their import
        raise
    except (ImportError, OSError) as error:  # OSError: a library that the package loads is absent
        package = (getattr(error, "name", None) or "").partition(".")[0]
        if package == "inrzoo":  # a bug of ours
            raise
        absent = isinstance(error, ModuleNotFoundError) and package
        reason = package if absent else f"a package that cannot be imported ({' '.join(str(error).split())})"
        raise MissingPackageError(f"{what} needs {reason}: {install_command(extra)}") from error


def require(extra: Extra, what: str, *modules: str) -> None:
    """Look for packages of an extra without importing them.

    Args:
        extra: the extra that brings them.
        what: the work that needs them, the beginning of the error line.
        modules: names under which they are imported.

    Raises:
        MissingPackageError: one of them is not installed.

    Example:
        >>> require("build", "building a store", "no_such_package")
        Traceback (most recent call last):
        inrzoo.errors.MissingPackageError: building a store needs no_such_package: pip install 'inrzoo[build]'
    """
    with needed(extra, what):
        for module in modules:
            if module not in sys.modules and importlib.util.find_spec(module) is None:
                raise ModuleNotFoundError(f"No module named {module!r}", name=module)
