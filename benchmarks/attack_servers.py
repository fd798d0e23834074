"""Hostile servers against whatever reads from one: each ends in one line, within a bounded time, memory and disk."""

import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attack_proxy
from attack_hub import REPO
from attack_process import Ended
from attack_workshop import STORE, Outcome, Workshop, differing
from fault_builds import folder_bytes

SECONDS, MEMORY_BYTES, DISK_BYTES = 180, 2 * 2**30, 256 * 2**20
"""Bounds of a command against a hostile server. A command that has everything imported takes half a gigabyte."""
COMMANDS = ["load", "pull", "push"]


def deceived(shop: Workshop, number: int) -> Outcome:
    """Open and check a store over HTTP, pull, or push, while the server turns hostile at some request."""
    kinds = list(attack_proxy.KINDS)
    kind, name = kinds[number % len(kinds)], COMMANDS[number // len(kinds) % len(COMMANDS)]
    draw = random.Random(f"server {number}")
    first = draw.choice([1, 2, draw.randint(1, 12)])
    home = shop.home("case")
    shop.hub.load("" if name == "push" else "two")
    if name == "push":
        shop.lay(home, "two.zarr")
    upstream = str(shop.out / "made/two.zarr") if name == "load" else shop.hub.endpoint
    with _server(upstream, kind, first) as address:
        words = {
            "load": ["verify", f"{address}/{STORE}"],
            "pull": ["pull", REPO, "--out", STORE],
            "push": ["push", STORE, REPO],
        }[name]
        ended, problem, seconds, memory = _bounded(words, home, address)
    what = f"{name}: {kind} from request {first} on"
    if not problem and ended.code == 0:
        right = name != "pull" or not differing(folder_bytes(home / STORE), folder_bytes(shop.out / "made/two.zarr"))
        problem = "" if right else "succeeded with other content"
    elif not problem:
        problem = ended.told()
    return Outcome.of(f"{what} ({seconds:.0f} s, {memory / 2**20:.0f} MB)", problem)


@contextmanager
def _server(upstream: str, kind: str, first: int) -> Iterator[str]:
    words = [sys.executable, attack_proxy.__file__, upstream, kind, str(first)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


def _bounded(words: list[str], home: Path, address: str) -> tuple[Ended, str, float, int]:
    """Run a command with a server as its Hub; how it ended, which bound it broke, its seconds and its peak memory."""
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_TOKEN": "hf_ada", "OMP_NUM_THREADS": "1"}
    environment |= {"INRZOO_CACHE": str(home / "cache"), "HF_HOME": str(home / "hf"), "TMPDIR": str(home / "tmp")}
    out, err = home / "out.log", home / "err.log"
    began, problem = time.monotonic(), ""
    with out.open("w") as said, err.open("w") as errors:
        command = [sys.executable, "-m", "inrzoo", *words]
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=said, stderr=errors)
        peak = 0
        while process.poll() is None and not problem:
            time.sleep(0.25)
            peak = max(peak, _memory(process.pid))
            if peak > MEMORY_BYTES:
                problem = f"more than {MEMORY_BYTES >> 20} MB of memory"
            elif time.monotonic() - began > SECONDS:
                problem = f"more than {SECONDS} s"
            elif sum(file.lstat().st_size for file in _files(home)) > DISK_BYTES:
                problem = f"more than {DISK_BYTES >> 20} MB of disk"
        process.kill()
        code = process.wait()
    ended = Ended(code, out.read_text(errors="replace"), err.read_text(errors="replace"), 0, [])
    return ended, problem, time.monotonic() - began, peak


def _memory(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _files(home: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(home):
        for name in names:
            file = Path(folder) / name
            if file.exists():
                yield file
