"""Native code that is compiled on first use and kept for later runs.

It is kept in the folder `kernels` of the user's cache (`inrzoo.cache`), by the hash of everything that goes into it.
The source may use no library, neither C's nor C++'s: the package `ziglang` would compile them first, for minutes.
"""

import ctypes
import functools
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inrzoo.cache import cache_folder
from inrzoo.errors import InrzooError
from inrzoo.extras import install_command

NO_LIBRARIES = ("-nostdlib", "-fno-exceptions", "-fno-rtti", "-fno-stack-protector")
"""Flags for code that calls nothing but what the compiler itself puts in, which every process has (memset)."""

ZIG = (sys.executable, "-P", "-m", "ziglang", "c++", "-mcpu=baseline")
"""The clang of the package `ziglang`. Unless told otherwise it compiles for this very processor."""


@functools.cache
def system_compiler() -> tuple[str, ...] | None:
    """The command of the C++ compiler that `CXX` names, or of the first one on the path; None if there is none."""
    named = shlex.split(os.environ.get("CXX", ""))
    on_path = next(filter(None, map(shutil.which, ("g++", "clang++", "c++"))), None)
    return tuple(named) or (on_path and (on_path,)) or None


@functools.cache
def compiler() -> tuple[str, ...] | None:
    """The command that compiles: `system_compiler`, or else that of the package `ziglang`; None without either."""
    return system_compiler() or (ZIG if importlib.util.find_spec("ziglang") else None)


@functools.cache
def compiler_version(command: tuple[str, ...]) -> str:
    """The name and version that a compiler prints.

    Raises:
        InrzooError: it cannot be run.
    """
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise InrzooError(
            f"{shlex.join(command)} is no C++ compiler that runs here; name one in the variable CXX"
        ) from None
    return done.stdout.splitlines()[0] + (" (ziglang)" if command == ZIG else "")


def shared_library(
    folder: Path,
    main: str,
    flags: Sequence[str],
    generated: Mapping[str, str],
    otherwise: str = "--engine reference needs no compiler",
) -> Any:
    """A library of C++ source.

    Args:
        folder: of the source, headers included; `main` is the file to compile. It may use no library.
        flags: for the compiler.
        generated: headers made for this library, name -> text.
        otherwise: the end of the error for a compiler that fails: what works without.

    Returns:
        The `ctypes.CDLL`.

    Raises:
        InrzooError: there is no compiler, or it fails.
    """
    command = compiler()
    if command is None:
        raise InrzooError(f"there is no C++ compiler; {install_command('compiler')} brings one")
    return _loaded(command, folder, main, tuple(flags), tuple(sorted(generated.items())), otherwise)


@functools.cache
def _loaded(
    command: tuple[str, ...],
    folder: Path,
    main: str,
    flags: tuple[str, ...],
    generated: tuple[tuple[str, str], ...],
    otherwise: str,
) -> Any:
    sources = {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.suffix in (".h", ".cpp")}
    key = hashlib.sha256(
        repr((sources, main, generated, compiler_version(command), flags, NO_LIBRARIES)).encode()
    ).hexdigest()[:32]
    path = _kernels_folder() / f"{key}.so"
    if not path.exists():
        _compile(command, folder, main, flags, dict(generated), path, otherwise)
    return ctypes.CDLL(str(path))


def _kernels_folder() -> Path:
    """Return the folder of compiled code, made if need be. Raises InrzooError if it cannot be made."""
    folder = cache_folder("kernels")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InrzooError(f"no compiled engine can be kept in {folder}: {error}; set INRZOO_CACHE") from None
    return folder


def _compile(
    command: Sequence[str],
    folder: Path,
    main: str,
    flags: Sequence[str],
    generated: Mapping[str, str],
    path: Path,
    otherwise: str,
) -> None:
    with tempfile.TemporaryDirectory() as made:
        for name, text in generated.items():
            (Path(made) / name).write_text(text)
        built = path.with_suffix(f".{os.getpid()}.partial")
        options = [*flags, *NO_LIBRARIES, "-shared", "-fPIC", f"-I{made}", f"-I{folder}", str(folder / main)]
        # zig keeps what it compiled: here for as long as it runs, because the library itself is kept.
        zig_caches = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(Path(made) / "zig"))
        done = subprocess.run(
            [*command, *options, "-o", str(built)],
            env={**os.environ, **zig_caches},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
            raise InrzooError(f"{shlex.join(command)} cannot compile {main}: {reason}; {otherwise}")
        built.replace(path)  # another process may have built the same: both are whole
