"""Files of a folder or of a zip archive, read into memory and never unpacked to the disk."""

from __future__ import annotations

import hashlib
import itertools
import lzma
import os
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from inrzoo.errors import InrzooError

DEFLATE_RATIO = 1032
"""Maximum compression factor of deflate (zlib's technical notes)."""
MAX_FILES = 20_000_000
"""Maximum number of files of an archive."""
MAX_BYTES = 256 * 2**20
"""Maximum size of one file in bytes."""
# Damaged, encrypted or exotically compressed archives make zipfile raise these.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    OverflowError,
)


@dataclass(frozen=True)
class FileTree:
    """The files of one folder or zip archive.

    Attributes:
        path: the folder or the archive.
        names: sorted names with forward slashes, relative to `path`.
    """

    path: Path
    names: tuple[str, ...]

    @contextmanager
    def reader(self) -> Iterator[Callable[[str], bytes]]:
        """Yield a function that reads a file by its name; several threads may call it.

        An archive stays open as long as this object lives: to list one of 200,000 files takes a second.

        Raises:
            InrzooError: (the function) the file is damaged; the message names it.
        """
        if self.path.is_dir():
            yield self._guarded(lambda name: read_file(self.path / name))
        else:
            archive, lock = self._archive

            def read(name: str) -> bytes:
                with lock:  # the archive counts its readers without one
                    return archive.read(name)

            yield self._guarded(read)

    @cached_property
    def _archive(self) -> tuple[zipfile.ZipFile, threading.Lock]:
        return zipfile.ZipFile(self.path), threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the open archive, which another process opens for itself."""
        return {name: value for name, value in vars(self).items() if name != "_archive"}

    def _guarded(self, read: Callable[[str], bytes]) -> Callable[[str], bytes]:
        def guarded(name: str) -> bytes:
            try:
                return read(name)
            except InrzooError:
                raise
            except ZIP_ERRORS as error:
                raise InrzooError(f"{self.path}: cannot read {name} ({error}); fetch it again") from error

        return guarded

    def checksums(self, used: Iterable[str], see: Callable[[str, bytes], None] | None = None) -> dict[str, str]:
        """Return the sha256 of the archive; for a folder, one over the names and contents of the files `used`.

        Args:
            used: names of files.
            see: called with the name and the content of each, sorted by name, so that a folder is read once for both.
        """
        names, digest, is_archive = sorted(used), hashlib.sha256(), self.path.is_file()
        if see is not None or not is_archive:
            with self.reader() as read:
                for name in names:
                    content = read(name)
                    if see is not None:
                        see(name, content)
                    if not is_archive:
                        digest.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
        if is_archive:
            return {self.path.name: sha256(self.path)}
        # Independent of the folder's name, so that stores of the same signals have the same bytes.
        return {"unpacked/": digest.hexdigest()}


def only_file(path: Path, suffixes: tuple[str, ...], files: str, kind: str, named: str) -> Path:
    """Return `path`, or the only entry of the folder `path` with one of `suffixes`, in lower or upper case.

    Args:
        path: a file or a folder.
        suffixes: ends of the names that are looked for.
        files: what several of them are called, for messages.
        kind: what one of them is called, for messages.
        named: what such a file holds or is called, the end of the message that there is none.

    Raises:
        InrzooError: `path` is absent, or a folder with none or several.
    """
    if not path.exists():
        raise InrzooError(f"no file or folder {path}; --source must name one that exists")
    if not path.is_dir():
        return path
    found = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in suffixes)
    if len(found) > 1:
        raise InrzooError(f"{path} holds {len(found)} {files}; name one: {', '.join(map(str, found))}")
    if not found:
        raise InrzooError(f"no {kind} in {path}; --source must name one {named}")
    return found[0]


def read_file(path: Path) -> bytes:
    """Read a regular file of at most `MAX_BYTES`.

    Raises:
        InrzooError: it is a device or a pipe, which may be endless, or too large for an image.
    """
    if path.exists() and not path.is_file():
        raise InrzooError(f"{path} is not a regular file; leave it out")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise InrzooError(f"{path} holds {size} bytes; the maximum for one file is {MAX_BYTES}")
    return path.read_bytes()


def open_tree(path: Path, suffixes: tuple[str, ...]) -> FileTree:
    """List the files of a folder or zip archive that end in one of `suffixes` (lower case, upper case matches too).

    Hidden files and the `__MACOSX` folder that some archivers add are left out.

    Raises:
        InrzooError: `path` is absent, not a zip archive, damaged, or has names that point outside of it.
    """
    if path.is_dir():
        names = list(_walk(path))
    elif path.is_file():
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
                names = [entry.filename for entry in entries if not entry.is_dir()]
        except ZIP_ERRORS as error:
            raise InrzooError(f"{path} is not a whole zip archive ({error}); fetch it again") from error
        _check_limits(path, entries)
    else:
        raise InrzooError(f"no file or folder {path}; --source must name one that exists")
    names = sorted(name for name in names if name.lower().endswith(suffixes) and not _is_junk(name))
    if outside := next((name for name in names if name.startswith("/") or ".." in PurePosixPath(name).parts), None):
        raise InrzooError(f"{path} holds {outside!r}, which points outside of the archive; pack it again without")
    if twice := next((a for a, b in itertools.pairwise(names) if a == b), None):
        raise InrzooError(f"{path} holds {twice!r} twice; pack it again")
    return FileTree(path, tuple(names))


def _walk(path: Path) -> Iterator[str]:
    """Yield the files below a folder, following links; a folder reached twice is refused, as it may be a loop."""
    seen = set()
    for folder, _, files in os.walk(path, followlinks=True):
        if (resolved := os.path.realpath(folder)) in seen:
            raise InrzooError(f"{folder} is a link to a folder that is already read; remove the link")
        seen.add(resolved)
        for file in files:
            yield (Path(folder) / file).relative_to(path).as_posix()


def _check_limits(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive whose declared sizes exceed deflate's compression factor or the limits of one file.

    Members are read one at a time, never beyond the declared size.
    """
    if len(entries) > MAX_FILES:
        raise InrzooError(f"{path} holds {len(entries)} files; the maximum is {MAX_FILES}")
    if large := next((entry for entry in entries if entry.file_size > MAX_BYTES), None):
        raise InrzooError(
            f"{path}: {large.filename} unpacks to {large.file_size} bytes; the maximum for one file is {MAX_BYTES}"
        )
    total = sum(entry.file_size for entry in entries)
    if total > DEFLATE_RATIO * path.stat().st_size:
        raise InrzooError(f"the size of {path} does not match its header, which declares {total} bytes; fetch it again")


def _is_junk(name: str) -> bool:
    return any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in PurePosixPath(name).parts)


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hex.

    Raises:
        InrzooError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InrzooError(f"cannot read {path} ({error.strerror})") from error
