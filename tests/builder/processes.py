"""Builds in a process of their own, to be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiny_store import TINY

LONG_STEPS = 250
"""Steps of a build that is to be caught half-way."""


def command(
    out: Path, *words: str, steps: int = LONG_STEPS, engine: str = "reference", dataset: str = "digits"
) -> list[str]:
    """The tiny build as a command line, without early stopping, so that every block takes its time."""
    settings = {key: value for key, value in TINY.items() if key.startswith("inr.")}
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    size = ["--limit", str(TINY["limit"]), "--seeds", str(TINY["seeds"])]
    fit = ["--steps", str(steps), "--stop-psnr", "0", "--engine", engine]
    return [sys.executable, "-m", "inrzoo", "build", dataset, "--out", str(out), *size, *fit, *sets, *words]


def start(out: Path, *words: str, **settings: Any) -> subprocess.Popen[str]:
    """Start a build."""
    return subprocess.Popen(
        command(out, *words, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def complete(out: Path, *words: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run the same build to its end."""
    done = subprocess.run(command(out, *words, **settings), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def committed(out: Path) -> int:
    """Blocks whose record exists."""
    return len(list((out / "_build" / "blocks").glob("*.npz")))


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Wait for a moment in a running build."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"the build ended first: {process.communicate()[1]}"
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.005)


def ray_workers(driver: int) -> list[int]:
    """Process ids of the Ray actors that belong to a driver, found by their title and their session."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                title = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if title.startswith(b"ray::Worker") and _descends(int(folder.name), driver):
                found.append(int(folder.name))
    return found


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the driver alone, and wait until it is gone."""
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def _descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False
