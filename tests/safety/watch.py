"""Records the side effects of a piece of work on the machine: files it writes, programs it starts, pickles.

Python tells an audit hook of every file it opens and of every program it starts (PEP 578). Code in other languages does
not, so the folder around the work is compared as well.
"""

import hashlib
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.chown": 1,
    "shutil.rmtree": 1,
}
"""Events that change the disk, and how many of their arguments are paths."""
RUNS_CODE = (
    "pickle.find_class",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "marshal.loads",
)
SECONDS, BYTES = 60.0, 3 * 2**30
"""Limits of the processor time that a case may take before it counts as a hang, and of the memory that it may add."""


class Hang(BaseException):
    """A case took too long. No `Exception`, so that nobody takes it for an error of a file."""


class _Watch:
    def __init__(self) -> None:
        self.allowed: tuple[str, ...] = ()
        self.found: list[str] | None = None

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.found is None:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & WRITING)
            if writes and isinstance(path, str | bytes | os.PathLike):
                self._check(event, path)
        elif event in CHANGES:
            for path in arguments[: CHANGES[event]]:
                if isinstance(path, str | bytes | os.PathLike):
                    self._check(event, path)
        elif event in RUNS_CODE and not _expected(event):
            self.found.append(f"{event} {arguments!r}"[:300])

    def _check(self, event: str, path: str | bytes | os.PathLike[str]) -> None:
        place = os.path.realpath(os.fsdecode(path))
        if not place.startswith(self.allowed) and self.found is not None:
            self.found.append(f"{event} {place}")


def _expected(event: str) -> bool:
    """Modules are imported from their marshalled code, and dask copies its own graphs by way of pickle."""
    frame, excused = sys._getframe(), {"marshal.loads": "importlib", "pickle.find_class": "/dask/"}.get(event)
    while excused and frame is not None:
        if excused in frame.f_code.co_filename:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


_WATCH = _Watch()
sys.addaudithook(_WATCH)


@contextmanager
def watched(*allowed: Path) -> Iterator[list[str]]:
    """Collect, while this context is open, what is written outside of `allowed`, and all code that is run."""
    _WATCH.allowed = (*(f"{os.path.realpath(path)}" for path in allowed), "/dev/null")
    _WATCH.found = found = []
    try:
        yield found
    finally:
        _WATCH.found = None


@contextmanager
def bounded() -> Iterator[None]:
    """Bound processor time and memory: a hang is `Hang`, a bomb is MemoryError."""

    def ring(number: int, frame: object) -> None:
        raise Hang(f"more than {SECONDS:.0f} s of processor time")

    before = signal.signal(signal.SIGVTALRM, ring)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, hard))
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGVTALRM, before)


def contents(folder: Path) -> dict[str, str]:
    """Return the content of a folder: sha256 of files, targets of links."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
