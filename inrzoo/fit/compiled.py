"""Native code that is compiled on first use and kept for later runs.

Kept in `inrzoo/engines` under $INRZOO_CACHE, $XDG_CACHE_HOME or ~/.cache, by the hash of everything that goes into it.
"""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inrzoo.errors import InrzooError


@functools.cache
def compiler() -> str | None:
    """The C++ compiler that `CXX` names, or the first one on the path."""
    named = os.environ.get("CXX")
    return named or next(filter(None, map(shutil.which, ("g++", "clang++", "c++"))), None)


@functools.cache
def compiler_version() -> str:
    """What the compiler calls itself.

    Raises:
        InrzooError: it cannot be run.
    """
    try:
        done = subprocess.run([str(compiler()), "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise InrzooError(f"{compiler()} is no C++ compiler that runs here; name one in the variable CXX") from None
    return done.stdout.splitlines()[0]


def shared_library(folder: Path, main: str, flags: Sequence[str], generated: Mapping[str, str]) -> Any:
    """A library of C++ source.

    Args:
        folder: of the source, headers included; `main` is the file to compile.
        flags: for the compiler.
        generated: headers made for this library, name -> text.

    Returns:
        The `ctypes.CDLL`.

    Raises:
        InrzooError: the compiler fails.
    """
    return _loaded(folder, main, tuple(flags), tuple(sorted(generated.items())))


@functools.cache
def _loaded(folder: Path, main: str, flags: tuple[str, ...], generated: tuple[tuple[str, str], ...]) -> Any:
    sources = {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.suffix in (".h", ".cpp")}
    key = hashlib.sha256(repr((sources, main, generated, compiler_version(), flags)).encode()).hexdigest()[:32]
    path = cache_folder() / f"{key}.so"
    if not path.exists():
        _compile(folder, main, flags, dict(generated), path)
    return ctypes.CDLL(str(path))


def cache_folder() -> Path:
    """Where compiled code is kept, made if need be.

    Raises:
        InrzooError: it cannot be made.
    """
    home = os.environ.get("INRZOO_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "inrzoo" / "engines"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InrzooError(f"no compiled engine can be kept in {folder}: {error}; set INRZOO_CACHE") from None
    return folder


def _compile(folder: Path, main: str, flags: Sequence[str], generated: Mapping[str, str], path: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        for name, text in generated.items():
            (Path(made) / name).write_text(text)
        built = path.with_suffix(f".{os.getpid()}.partial")
        command = [str(compiler()), *flags, "-shared", "-fPIC", "-pthread", f"-I{made}", f"-I{folder}"]
        done = subprocess.run(
            [*command, str(folder / main), "-o", str(built)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
            raise InrzooError(f"{compiler()} cannot compile {main}: {reason}; --engine reference needs no compiler")
        built.replace(path)  # another process may have built the same: both are whole
