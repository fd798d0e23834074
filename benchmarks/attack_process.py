"""Commands in forked processes that are harmed at their n-th file operation: killed, or left without disk space.

File operations are seen by an audit hook ([PEP 578](https://peps.python.org/pep-0578/)) and by a wrapper of `os.fsync`.
Only those below one folder count, so that compiled modules and caches do not. What native code writes by itself, as
pyarrow does, is seen only through the operations around it.

Like `fault_builds`, this process forks and therefore has no threads.
"""

import errno
import faulthandler
import mmap
import os
import pickle
import signal
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import matplotlib.pyplot  # noqa: F401
import pyarrow.parquet  # noqa: F401
import torch._dynamo  # noqa: F401 (seconds, which every process would take for itself)
from fault_builds import Build, start

from inrzoo import hub, interchange, preview, refit  # noqa: F401

Harm = Literal["none", "kill", "torn", "full"]
"""`kill` before the operation; `torn`: an opened file is made or emptied, then the kill comes; `full`: from then on
nothing can be written."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
EVENTS = {
    "open",
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "shutil.rmtree",
    "shutil.copyfile",
    "shutil.copytree",
    "shutil.move",
}
NEED_SPACE = {"open", "os.mkdir", "os.link", "os.symlink", "os.fsync", "shutil.copyfile"}
"""Operations that fail on a full disk."""


@dataclass
class Ended:
    """How a command ended.

    Attributes:
        code: exit code; negative for a signal.
        out, err: what it printed.
        operations: file operations it came to.
        trace: one line for each operation, where they were written down.
    """

    code: int
    out: str
    err: str
    operations: int
    trace: list[str]

    def told(self) -> str:
        """Say what is wrong with the way a command refused; empty for exit code 2 and one line."""
        lines = [line for line in self.err.splitlines() if line.startswith("inrzoo: ")]
        if self.code == 2 and len(lines) == 1 and "Traceback" not in self.err:
            return ""
        last = (self.err.strip() or self.out.strip() or "nothing said").splitlines()[-1]
        return (
            f"exit code {self.code}, {len(lines)} lines of inrzoo's, {'Traceback, ' * ('Traceback' in self.err)}{last}"
        )


@dataclass
class Operations:
    """Counts the file operations of a process below a folder and harms it at one of them.

    Attributes:
        home: the folder.
        at: number of the operation, from 1; 0 for none.
        harm: what happens then.
        ballast: for `full`: a file on the same small file system that takes the space left but for `room` bytes.
            Without it the operations themselves raise ENOSPC.
    """

    home: Path
    at: int = 0
    harm: Harm = "none"
    ballast: Path | None = None
    room: int = 0
    shared: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 8))
    trace: Path | None = None

    def __post_init__(self) -> None:
        self._inside, self._lock, self._full = threading.local(), threading.RLock(), False

    @property
    def count(self) -> int:
        """Operations so far, also seen from the parent."""
        return int(struct.unpack("q", self.shared[:8])[0])

    def install(self) -> None:
        """Watch this process from now on; there is no way back."""
        self._file = None if self.trace is None else os.open(self.trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        sync = os.fsync

        def fsync(handle: Any) -> None:
            number = handle if isinstance(handle, int) else handle.fileno()
            self._see("os.fsync", (number,))
            sync(handle)

        os.fsync = fsync
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS and event != "os.fsync":
            return
        if getattr(self._inside, "busy", False):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
            return
        self._inside.busy = True
        try:
            place = self._place(event, arguments)
            if place is not None and place.is_relative_to(self.home):
                with self._lock:
                    self._operation(event, place, arguments)
        finally:
            self._inside.busy = False

    def _operation(self, event: str, place: Path, arguments: tuple[Any, ...]) -> None:
        number = self.count + 1
        self.shared[:8] = struct.pack("q", number)
        if self._file is not None:
            os.write(self._file, f"{event} {place.relative_to(self.home)}\n".encode())
        if number == self.at:
            if self.harm == "torn" and event == "open":
                os.close(os.open(place, arguments[2] & ~os.O_EXCL, 0o644))
            if self.harm in ("kill", "torn"):
                os.kill(os.getpid(), signal.SIGKILL)
            if self.harm == "full" and self.ballast is not None:
                fill(self.ballast, self.room)
            self._full = self.harm == "full"
        if self._full and self.ballast is None and event in NEED_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))

    @staticmethod
    def _place(event: str, arguments: tuple[Any, ...]) -> Path | None:
        """Return the absolute path that an operation is about; of two paths the one that appears or is written."""
        name = arguments[1] if event in ("os.rename", "os.link", "os.symlink", "shutil.copyfile") else arguments[0]
        folder = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2}.get(event)
        if isinstance(name, int):
            return _of_handle(name)
        if not isinstance(name, (str, bytes, os.PathLike)):
            return None
        path = Path(os.fsdecode(name))
        if folder is not None and len(arguments) > folder and arguments[folder] not in (-1, None):
            home = _of_handle(arguments[folder])
            return None if home is None else home / path
        return Path(os.path.abspath(path))  # noqa: PTH100 (links are not followed)


def _of_handle(handle: int) -> Path | None:
    try:
        return Path(f"/proc/self/fd/{handle}").readlink()
    except OSError:
        return None


def fill(ballast: Path, room: int) -> None:
    """Take the space of a small file system but for `room` bytes."""
    with ballast.open("ab", buffering=0) as file:
        while True:
            space = os.statvfs(ballast.parent)
            left = space.f_bavail * space.f_frsize - room // 4096 * 4096
            if left <= 0:
                return
            try:
                file.write(b"x" * min(left, 2**20))
            except OSError:
                return


@dataclass
class Running:
    """A command that was started."""

    build: Build
    operations: Operations

    def wait(self, seconds: float = 600.0) -> Ended:
        """Its end. Raises TimeoutError when it hangs; where, stands in its log of errors."""
        deadline = time.monotonic() + seconds
        while self.build.running and time.monotonic() < deadline:
            time.sleep(0.02)
        if self.build.running:
            self.build.kill(signal.SIGUSR1)
            time.sleep(1)
        code = self.build.wait(0)
        log, trace = self.build.log, self.operations.trace
        err = log.with_suffix(".err")
        return Ended(
            code,
            log.read_text(errors="replace"),
            err.read_text(errors="replace"),
            self.operations.count,
            trace.read_text().splitlines() if trace is not None and trace.exists() else [],
        )


def begin(words: list[str], home: Path, log: Path, operations: Operations | None = None, **environment: str) -> Running:
    """Start `inrzoo WORDS` in a fork, in the folder `home`; its temporary files stay in `home/tmp`."""
    watched = operations or Operations(home)
    for file in (log, log.with_suffix(".err")):
        file.unlink(missing_ok=True)

    def before() -> None:
        error = os.open(log.with_suffix(".err"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(error, 2)
        faulthandler.register(signal.SIGUSR1, sys.__stderr__)  # says where a command hangs
        os.chdir(home)
        tempfile.tempdir = str(home / "tmp")
        Path(tempfile.tempdir).mkdir(exist_ok=True)
        watched.install()

    return Running(start(words, log, {"OMP_NUM_THREADS": "1", **environment}, before), watched)


def command(words: list[str], home: Path, log: Path, operations: Operations | None = None, **settings: Any) -> Ended:
    """Run `inrzoo WORDS` in a fork to its end."""
    return begin(words, home, log, operations, **settings).wait()


def call(function: Callable[[], Any], log: Path, seconds: float = 300.0) -> Any:
    """The result of a function that runs in a fork, since it may start threads.

    Raises:
        RuntimeError: it raised; the message says what.
    """
    answer = log.with_suffix(".answer")
    answer.unlink(missing_ok=True)
    log.unlink(missing_ok=True)

    def work() -> None:
        answer.write_bytes(pickle.dumps(function()))
        os._exit(0)

    code = start([], log, {"OMP_NUM_THREADS": "1"}, work).wait(seconds)
    if code or not answer.exists():
        said = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError(f"ended with {code}: {' '.join(said)}")
    return pickle.loads(answer.read_bytes())
