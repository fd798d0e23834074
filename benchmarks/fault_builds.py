"""Small builds that faults befall: each in a process of its own, forked from one that has everything imported.

No thread may run in this process (a fork would copy its locks, held for ever): what needs one gets its own process.
"""

import hashlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ray  # noqa: F401
import sklearn.datasets  # noqa: F401

from inrzoo import builder, cli, report, stats, verify  # noqa: F401
from inrzoo.store import ObjectPath, lease

LEASE_SECONDS = 2.0
"""Seconds of the lease in a bucket, so few that waiting for one to run out does not take the campaign's time."""
SETTINGS = {"limit": 24, "seeds": 2, "steps": 25, "stop-psnr": 0, "engine": "reference"}
"""48 INRs in 24 blocks; two or three seconds on one core."""


@dataclass
class Build:
    """A running command.

    Attributes:
        log: what it said.
        began: monotonic seconds.
    """

    pid: int
    log: Path
    began: float
    code: int | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is None

    def kill(self, how: signal.Signals = signal.SIGKILL) -> bool:
        """Send a signal to this process alone; whether it was still there."""
        if self.running:
            os.kill(self.pid, how)
            return True
        return False

    def wait(self, seconds: float = 240.0) -> int:
        """Its exit code; negative for a signal. Raises TimeoutError, which ends it, when it hangs."""
        deadline = time.monotonic() + seconds
        while self.running:
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"the command of {self.log} hangs")
            time.sleep(0.02)
        assert self.code is not None
        return self.code


def words(place: Path | ObjectPath, *further: str) -> list[str]:
    """The build as words after `inrzoo`."""
    settings = [word for key, value in SETTINGS.items() for word in (f"--{key}", str(value))]
    return ["build", "digits", "--out", str(place), *settings, "--set", "inr.hidden_features=8", *further]


def start(given: list[str], log: Path, environment: dict[str, str], before: Callable[[], None] = lambda: None) -> Build:
    """Run a command of inrzoo in a fork of this process.

    Args:
        before: called in the new process first.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid:
        return Build(pid, log, time.monotonic())
    code = 70
    try:
        os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.environ.update(environment)
        lease.LEASE_SECONDS = LEASE_SECONDS
        before()
        sys.argv = ["inrzoo", *given]
        cli.main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def folder_bytes(path: Path) -> dict[str, str]:
    """sha256 of every file of a store."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def descendants(pid: int, title: bytes) -> list[int]:
    """Processes below one whose command line begins so, or has it as its program."""
    parents, titles = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                titles[int(folder.name)] = (folder / "cmdline").read_bytes()
            except (OSError, IndexError):
                continue

    def below(child: int) -> bool:
        while child in parents and child != pid:
            child = parents[child]
        return child == pid

    return [one for one, line in titles.items() if title in line.split(b"\0")[0] and one != pid and below(one)]


def no_more_memory(pid: int, further: int) -> bool:
    """Let a process have so many bytes more of address space than it has; whether it was still there."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + further
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
    except (OSError, ProcessLookupError, ValueError):
        return False
    return True
