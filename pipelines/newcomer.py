"""Walk a newcomer's path, from an empty folder to a published data set, and measure how long it takes.

Command:  python pipelines/newcomer.py [--no-install] [--out FILE.md]
Needs:    make; the package index unless --no-install. The Hub is the stand-in of the tests, on this machine.
Duration: under ten minutes on two cores, most of them for the installation; about one with --no-install.

The commands run one after the other in an empty folder, on a terminal of 100 columns. It fails if one of them fails,
shows a traceback or a line that is wider, if they are more than ten or take more than ten minutes, or if the classifier
does not reach 85 %. --no-install takes the installation that runs this script.
"""

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
INSTALL = [
    "python3 -m venv .venv",
    f".venv/bin/pip install --quiet --constraint {ROOT}/constraints.txt {ROOT}[build,compiler,hub,train]",
]
PATH = [
    "inrzoo build digits --init shared",
    "inrzoo preview digits.zarr",
    "inrzoo site digits.zarr --out gallery",
    "inrzoo train classify digits.zarr --encoder flat_mlp --steps 200 --warmup 50 --augment none --out run",
    "inrzoo evaluate run digits.zarr",
    "inrzoo push digits.zarr ada/digits",
    "inrzoo pull ada/digits --out copy.zarr",
    "inrzoo diff digits.zarr copy.zarr",
]
RESULTS = ("digits.png", "gallery/index.html", "copy.zarr/zarr.json")
COLUMNS = 100
MAX_COMMANDS = 10
MAX_SECONDS = 600
MIN_ACCURACY = 85.0
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""Matches what moves the cursor of a terminal or colours its text."""


@dataclass(frozen=True)
class Step:
    """A command that has run: its exit code, what it printed, and how long it took."""

    command: str
    code: int
    lines: list[str]
    seconds: float


def main(install: bool, out: Path | None) -> None:
    """Walk the path; exit with what is wrong."""
    with TemporaryDirectory() as name, stand_in_hub() as endpoint:
        folder = Path(name)
        commands = [*(INSTALL if install else []), *PATH]
        search = folder / ".venv" / "bin" if install else Path(sys.executable).parent
        environment = {
            **os.environ,
            "PATH": f"{search}:{os.environ['PATH']}",
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(folder / "hf"),
            "HF_TOKEN": "hf_ada",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        steps = []
        for command in commands:
            steps.append(run(command, folder, environment))
            print(f"{steps[-1].seconds:6.1f} s  {command}", flush=True)
            if steps[-1].code:
                break
        found = problems(steps, len(commands), [each for each in RESULTS if not (folder / each).exists()])
    seconds = sum(step.seconds for step in steps)
    print(f"{seconds:6.1f} s  in all, {len(steps)} commands, accuracy {accuracy(steps)} %")
    if found:
        sys.exit("\n".join(found))
    if out:
        out.write_text("\n".join(page(steps)) + "\n", encoding="utf-8")


def run(command: str, folder: Path, environment: dict[str, str]) -> Step:
    """Run a command on a terminal of its own."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    began = time.monotonic()
    process = subprocess.Popen(
        shlex.split(command), cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    printed = b""
    while True:
        try:
            printed += (chunk := os.read(ours, 65536))
        except OSError:  # Linux says so when the last writer has closed its end
            break
        if not chunk:
            break
    os.close(ours)
    code = process.wait()
    text = CONTROL.sub("", printed.decode("utf-8", "replace"))
    return Step(command, code, re.split(r"[\r\n]+", text), time.monotonic() - began)


def problems(steps: list[Step], expected: int, absent: list[str]) -> list[str]:
    """What is wrong with a walk, a line each.

    Args:
        steps: the commands that have run.
        expected: how many there are.
        absent: files that should be there and are not.
    """
    found = [f"{name} is missing" for name in absent]
    for step in steps:
        if step.code:
            found += [f"exit code {step.code}: {step.command}", *step.lines]
        if any("Traceback (most recent call last)" in line for line in step.lines):
            found.append(f"a traceback: {step.command}")
        if step.command.startswith("inrzoo "):  # pip's lines are not ours
            found += [f"{len(line)} columns: {line}" for line in step.lines if len(line) > COLUMNS]
    if expected > MAX_COMMANDS:
        found.append(f"{expected} commands, more than {MAX_COMMANDS}")
    if (seconds := sum(step.seconds for step in steps)) > MAX_SECONDS:
        found.append(f"{seconds:.0f} s, more than {MAX_SECONDS}")
    if accuracy(steps) < MIN_ACCURACY:
        found.append(f"accuracy {accuracy(steps)} %, less than {MIN_ACCURACY}")
    return found


def accuracy(steps: list[Step]) -> float:
    """The accuracy that `inrzoo evaluate` printed, in percent; 0 if it printed none."""
    lines = [line for step in steps if " evaluate " in step.command for line in step.lines]
    numbers = [match[1] for line in lines if (match := re.match(r"accuracy\s+([\d.]+)", line))]
    return float(numbers[0]) if numbers else 0.0


def page(steps: list[Step]) -> Iterator[str]:
    """The measured times as a page of Markdown."""
    seconds = sum(step.seconds for step in steps)
    yield "# A newcomer's path\n"
    measured = f"{seconds:.0f} s, accuracy {accuracy(steps)} %"
    yield f"Measured by `pipelines/newcomer.py` on {os.cpu_count()} cores: {measured}.\n"
    yield "| command | seconds |\n|---|---:|"
    for step in steps:
        yield f"| `{step.command.replace(f'{ROOT}', '.')}` | {step.seconds:.1f} |"


@contextmanager
def stand_in_hub() -> Iterator[str]:
    """The Hub of the tests in a process of its own; its address."""
    server = subprocess.Popen([sys.executable, ROOT / "tests" / "hub" / "server.py"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--no-install", action="store_true", help="use the installation that runs this script")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the measured times as a page")
    options = parser.parse_args()
    main(not options.no_install, options.out)
