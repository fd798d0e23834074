"""Kinds of faults. Each starts builds into an empty place, does its harm, and says whether any was done."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import fault_builds
import faulty_s3
from fault_builds import Build, descendants, no_more_memory, start, words
from ray_nodes import Nodes

from inrzoo.store import ObjectPath

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@dataclass
class Case:
    """One build and its fault.

    Attributes:
        place: where it builds.
        home: an empty folder of its own.
        draw: everything random in it.
        seconds: what an undisturbed build of this kind takes.
        environment: of its processes.
        further: words after the command.
        note: what happened, for the record.
    """

    place: Path | ObjectPath
    home: Path
    draw: random.Random
    seconds: float
    environment: dict[str, str]
    further: list[str]
    note: dict[str, object] = field(default_factory=dict)

    def build(self, before: Callable[[], None] = lambda: None) -> Build:
        """Start the command."""
        return start(words(self.place, *self.further), self.home / "log", self.environment, before)

    def sleep(self, share: float = 1.0) -> None:
        """For a random part of the time that a build takes."""
        moment = self.draw.uniform(0, self.seconds * share)
        self.note.setdefault("moments", []).append(round(moment, 2))  # type: ignore[attr-defined]
        time.sleep(moment)


Fault = Callable[[Case], bool]


def driver_killed(case: Case) -> bool:
    """SIGKILL to the driver."""
    build = case.build()
    case.sleep()
    hit = build.kill()
    build.wait()
    return hit


def killed_below(title: bytes) -> Fault:
    """SIGKILL to one of the processes below the driver."""

    def fault(case: Case) -> bool:
        build = case.build()
        case.sleep()
        found: list[int] = []
        while build.running and not found:
            found = descendants(build.pid, title)
            time.sleep(0.02)
        hit = bool(found) and build.running
        if hit:
            os.kill(case.draw.choice(sorted(found)), signal.SIGKILL)
        case.note["code"] = build.wait()
        return hit

    return fault


def worker_out_of_memory(case: Case) -> bool:
    """From some moment on a worker gets no more memory."""
    build = case.build()
    case.sleep()
    found: list[int] = []
    while build.running and not found:
        found = descendants(build.pid, b"ray::Worker")
        time.sleep(0.02)
    hit = bool(found) and no_more_memory(case.draw.choice(sorted(found)), case.draw.randrange(0, 2**20))
    case.note["code"] = build.wait()
    return hit


def driver_out_of_memory(case: Case) -> bool:
    """From some moment on the driver, which fits by itself, gets no more memory."""
    build = case.build()
    case.sleep()
    hit = build.running and no_more_memory(build.pid, case.draw.randrange(0, 2**20))
    case.note["code"] = build.wait()
    return hit and case.note["code"] != 0


def two_drivers(case: Case) -> bool:
    """The same command twice at once, or nearly so."""
    first = case.build()
    time.sleep(case.draw.choice([0, 0, case.draw.uniform(0, case.seconds)]))
    overlap = first.running
    second = case.build()
    case.note["codes"] = codes = sorted([first.wait(), second.wait()])
    if not set(codes) <= {0, 2}:
        raise RuntimeError(f"two drivers ended with {codes}")
    return overlap


def driver_asleep(case: Case) -> bool:
    """A driver that the system lets sleep for longer than its lease, while another takes over, and that wakes again."""
    first = case.build()
    case.sleep()
    hit = first.kill(signal.SIGSTOP)
    second = case.build()
    code = second.wait()
    hit = first.kill(signal.SIGCONT) and hit
    case.note["codes"] = [first.wait(), code]
    return hit


def node_killed(nodes: Nodes, alive: list[int]) -> Fault:
    """SIGKILL to all of a node; another one joins.

    Args:
        alive: numbers of the nodes that are; kept up to date here.
    """

    def fault(case: Case) -> bool:
        build = case.build()
        case.sleep()
        hit = build.running
        killed = case.draw.choice(alive)
        nodes.kill(killed)
        nodes.add(1)
        alive.append(max(alive) + 1)
        alive.remove(killed)
        case.note["code"] = build.wait()
        return hit

    return fault


def disk_full(case: Case) -> bool:
    """From some moment on the disk has next to no room left; room is made afterwards."""
    assert isinstance(case.place, Path)
    ballast = case.place.with_name("ballast")
    build = case.build()
    case.sleep()
    room = case.note["room"] = case.draw.choice([0, case.draw.randrange(0, 100_000)])
    with (
        ballast.open("wb", buffering=0) as file,
        suppress(OSError),
    ):  # the build may have taken the last bytes meanwhile
        while (left := shutil.disk_usage(ballast.parent).free - int(room) // 4096 * 4096) > 0:
            file.write(b"x" * min(left, 65536))
    code = case.note["code"] = build.wait()
    ballast.unlink()
    return code == 2 and "the disk is full" in (case.home / "log").read_text()


@contextmanager
def small_disk(disk: Path) -> Iterator[Path]:
    """A file system in memory (needs root)."""
    disk.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def clock_jumps(case: Case) -> bool:
    """The clock is set, forwards and backwards by up to a year, a few times in a build."""
    clock = case.home / "clock"
    clock.write_text("+0")
    environment = {
        **os.environ,
        **case.environment,
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a system's monotonic clock does not jump either
    }
    with (case.home / "log").open("a") as log:
        command = [sys.executable, "-m", "inrzoo", *words(case.place, *case.further)]
        build = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        jumps = 0
        while build.poll() is None:
            time.sleep(case.draw.uniform(0, 0.5))
            clock.write_text(f"{case.draw.uniform(-3e7, 3e7):+.3f}")
            jumps += 1
    case.note.update(code=build.returncode, jumps=jumps)
    if build.returncode:
        raise RuntimeError(f"a build whose clock jumped ended with {build.returncode}")
    return jumps > 1


def server_errs(case: Case) -> bool:
    """The server refuses with 500 and 503 and cuts connections, up to a fifth of all requests."""
    port = case.environment["AWS_ENDPOINT_URL"].rsplit(":", 1)[1]
    share, seed = case.draw.uniform(0.02, 0.2), case.draw.randrange(10**6)
    proxy = subprocess.Popen(
        [sys.executable, faulty_s3.__file__, port, str(share), str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert proxy.stdout is not None
    through = {**case.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{int(proxy.stdout.readline())}"}
    case.note["code"] = start(words(case.place, *case.further), case.home / "log", through).wait()
    said, _ = proxy.communicate()
    faults = json.loads(said)
    case.note["faults"] = faults
    return sum(faults.values()) > 0


__all__ = ["Case", "Fault", "fault_builds"]
