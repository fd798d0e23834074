"""Check a release, build it, try it, and publish it on PyPI and the Hub.

Command:  python pipelines/release.py [--publish] [--hub USER/NAME] [--out FOLDER]
Needs:    pip install -e '.[dev]', and the package index for the tools of the build; to publish, TWINE_USERNAME and
          TWINE_PASSWORD, and a token with write permission from `hf auth login`.
Duration: about two minutes.

1. The versions of the package, CHANGELOG.md and CITATION.cff agree, and so does the tag of this commit, `v0.2.0`.
2. An sdist, a wheel made from it, and what the package index would say to their descriptions.
3. The wheel alone, in an environment of its own: `inrzoo list`, with the dependencies of this one.
4. The digits, built with two seeds and verified.

Without --publish nothing leaves this machine: the two commands that would are printed. What does not agree is printed
at the end, with exit code 1, and is never published.
"""

import re
import shlex
import subprocess
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import inrzoo

ROOT = Path(__file__).parents[1]
DIGITS = "inrzoo/digits"
"""The data set on the Hub that a release updates."""
INRZOO = [sys.executable, "-m", "inrzoo"]


def main(out: Path, hub: str, publish: bool) -> None:
    """Run all steps; exit with 1 if something does not agree."""
    problems = disagreements(inrzoo.__version__, read("CHANGELOG.md"), read("CITATION.cff"), tags_of_this_commit())
    if publish and problems:
        fail(problems)
    files = [str(path) for path in build(out / inrzoo.__version__)]
    run([sys.executable, "-m", "twine", "check", "--strict", *files])
    try_wheel(Path(next(name for name in files if name.endswith(".whl"))))
    store = str(out / "digits.zarr")
    run([*INRZOO, "build", "digits", "--seeds", "2", "--out", store])
    run([*INRZOO, "verify", store])
    for command in ([sys.executable, "-m", "twine", "upload", *files], [*INRZOO, "push", store, hub]):
        if publish:
            run(command)
        else:
            print(f"not published, would run: {shlex.join(command)}")
    if problems:
        fail(problems)


def disagreements(version: str, changelog: str, citation: str, tags: list[str]) -> list[str]:
    """What keeps a version from being released, a line each.

    Args:
        version: of the package.
        changelog, citation: text of CHANGELOG.md and of CITATION.cff.
        tags: those of the commit.
    """
    problems = []
    sections = re.findall(r"^## (\S+)", changelog, flags=re.MULTILINE)
    if sections[:1] != [version]:
        problems.append(f"CHANGELOG.md begins with {sections[0] if sections else 'no section'}, not with {version}")
    cited = re.search(r"^version: (\S+)$", citation, flags=re.MULTILINE)
    if cited is None or cited[1] != version:
        problems.append(f"CITATION.cff names version {cited[1] if cited else 'none'}, not {version}")
    if f"v{version}" not in tags:
        problems.append(f"this commit has no tag v{version}, only: {', '.join(tags) or 'none'}")
    return problems


def tags_of_this_commit() -> list[str]:
    """The tags of the checked-out commit."""
    return subprocess.run(
        ["git", "tag", "--points-at", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()


def build(out: Path) -> list[Path]:
    """Build the sdist and, from it, the wheel.

    Args:
        out: a folder for this version alone; what it held is removed.
    """
    for old in out.glob("inrzoo-*"):
        old.unlink()
    constraints = ["--build-constraint", str(ROOT / "constraints.txt")]
    run([sys.executable, "-m", "uv", "build", "--quiet", *constraints, "--out-dir", str(out), str(ROOT)])
    return sorted(out.glob("inrzoo-*"))


def try_wheel(wheel: Path) -> None:
    """Install the wheel by itself and run `inrzoo list`; what it depends on is read from this environment."""
    with TemporaryDirectory() as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        uv = [sys.executable, "-m", "uv"]
        run([*uv, "venv", "--quiet", "--python", sys.executable, str(python.parents[1])])
        run([*uv, "pip", "install", "--quiet", "--no-deps", "--python", str(python), str(wheel)])
        site = (
            Path(folder) / "venv" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        )
        here = [path for path in sys.path if path.endswith("-packages")]
        (site / "dependencies.pth").write_text("\n".join(here) + "\n", encoding="utf-8")
        where = subprocess.run(
            [str(python), "-c", "import inrzoo; print(inrzoo.__file__)"],
            cwd=folder,
            env={},
            capture_output=True,
            text=True,
        ).stdout.strip()
        assert where.startswith(str(site)), f"the wheel does not bring inrzoo: {where or 'it cannot be imported'}"
        run([str(python.with_name("inrzoo")), "list"], cwd=folder, env={"COLUMNS": "80"})


def run(command: list[str], **options: Any) -> None:
    """Run a command; if it fails, so does the release."""
    print(f"$ {shlex.join(command)}", flush=True)
    if code := subprocess.run(command, **options).returncode:
        sys.exit(f"this failed with exit code {code}, and nothing more was done: {shlex.join(command)}")


def fail(problems: list[str]) -> None:
    """Print what does not agree, and end."""
    sys.exit("not ready for a release:\n" + "\n".join(f"- {problem}" for problem in problems))


def read(name: str) -> str:
    """A file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--publish", action="store_true", help="upload to PyPI and push to the Hub")
    parser.add_argument("--hub", default=DIGITS, metavar="USER/NAME", help=f"the data set, {DIGITS} by default")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "release", help="folder of what is built")
    options = parser.parse_args()
    main(options.out, options.hub, options.publish)
