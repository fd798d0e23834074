"""Processes in which some packages cannot be imported, as if they were not installed."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BLOCKER = """
import sys
from importlib.machinery import PathFinder
class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in {names} else super().find_spec(name, path, target)
sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
"""
COMMANDS = """
import sys
import traceback

from inrzoo import cli

for words in {commands}:
    sys.argv = ["inrzoo", *words]
    try:
        cli.main()
        print("= 0")
    except SystemExit as end:
        print("=", end.code or 0)
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        print("= traceback")
    sys.stdout.flush()
"""


def run(program: str, blocked: Iterable[str], folder: Path) -> str:
    """Run a program in `folder` without some packages; return what it printed, on both streams.

    Args:
        program: Python code.
        blocked: names under which the packages are imported.
        folder: the current folder of the program; a file is written into it.
    """
    (folder / "sitecustomize.py").write_text(BLOCKER.format(names={*blocked}))
    path = os.pathsep.join([str(folder), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "100"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout


def answers(commands: Sequence[Sequence[str]], blocked: Iterable[str], folder: Path) -> list[str]:
    """Give commands of inrzoo to one process without some packages; return what each printed, then `= CODE`."""
    output = run(COMMANDS.format(commands=[[*words] for words in commands]), blocked, folder)
    found = re.findall(r"(?s)(.*?^= \w+\n)", output, flags=re.MULTILINE)
    assert len(found) == len(commands), output
    return [answer.strip() for answer in found]


def not_in(*extras: str) -> set[str]:
    """The modules of this environment that `pip install 'inrzoo[EXTRAS]'` does not bring."""
    needs = [*PROJECT["dependencies"], *(need for extra in extras for need in PROJECT["optional-dependencies"][extra])]
    brought = _closure(needs)
    return {
        module
        for module, packages in metadata.packages_distributions().items()
        if module.isidentifier() and module != "inrzoo" and not brought & {*map(canonicalize_name, packages)}
    }


def _closure(needs: Iterable[str]) -> set[str]:
    """The names of all packages that requirements bring here."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(need) for need in needs]
    while waiting:
        need = waiting.pop()
        name = canonicalize_name(need.name)
        if need.marker and not need.marker.evaluate({"extra": ""}):  # of another Python or machine
            continue
        for extra in ("", *need.extras):
            if (name, extra) in found:
                continue
            found.add((name, extra))
            for inner in map(Requirement, metadata.requires(name) or []):
                marker = inner.marker
                if marker is None or marker.evaluate({"extra": extra}):
                    inner.marker = None
                    waiting.append(inner)
    return {name for name, _ in found}
