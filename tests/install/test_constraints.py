"""The install commands of the README, the Makefile and the image resolve, with either wheel of torch, CUDA or CPU.

uv resolves from the metadata of the package index, without a download of wheels; it needs that index, as `make` does.
"""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = ("3.11", "3.14")
LINUX = "x86_64-manylinux_2_28"


def pins(text: str) -> dict[str, str]:
    """Canonical name -> version of each line `name==version`."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines if "==" in line)}


def resolve(*words: object) -> dict[str, str]:
    """Return what `uv pip compile` chooses for Linux on x86-64: canonical name -> version.

    It fails with uv's own explanation.
    """
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--no-annotate",
        "--no-header",
        "--python-platform",
        LINUX,
    ]
    done = subprocess.run([*command, *map(str, words)], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    return pins(done.stdout)


def write_cpu_wheel(folder: Path, python: str) -> None:
    """Write a wheel of torch that holds its metadata alone: those of the installed torch less CUDA and triton.

    The CPU wheels lie on an index of their own, whose address this repository does not name.
    """
    version = metadata.version("torch").partition("+")[0] + "+cpu"
    needs = [need for need in metadata.requires("torch") or [] if not re.match(r"(cuda|nvidia|triton)\b", need)]
    lines = ["Metadata-Version: 2.1", "Name: torch", f"Version: {version}", *(f"Requires-Dist: {n}" for n in needs)]
    tag = f"cp{python.replace('.', '')}"
    with zipfile.ZipFile(folder / f"torch-{version}-{tag}-{tag}-manylinux_2_28_x86_64.whl", "w") as wheel:
        inside = f"torch-{version}.dist-info"
        wheel.writestr(f"{inside}/METADATA", "\n".join(lines) + "\n")
        wheel.writestr(f"{inside}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}-{tag}-{LINUX}\n")
        wheel.writestr(f"{inside}/RECORD", "")


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("wheel", ["cpu", "cuda"])
def test_every_install_resolves_to_pinned_versions(wheel: str, python: str, tmp_path: Path) -> None:
    """The CUDA wheel is the ordinary index's; the CPU wheel is simulated (`write_cpu_wheel`).

    All extras go together here, so any of them, and those of the image, do by themselves.
    """
    pinned = pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    words = ["pyproject.toml", "--constraint", "constraints.txt", "--python-version", python]
    if wheel == "cpu":
        write_cpu_wheel(tmp_path, python)
        words += ["--find-links", str(tmp_path)]
        pinned["torch"] += "+cpu"
    bare, whole = resolve(*words), resolve(*words, "--all-extras")
    assert ("triton" in bare) == (wheel == "cuda")
    assert bare["torch"] == pinned["torch"] and "triton" in whole
    assert whole == {name: pinned.get(name) for name in whole}
    assert bare == {name: whole.get(name) for name in bare}


@pytest.mark.slow
def test_the_lowest_versions_that_are_allowed_go_together() -> None:
    """`.ci/lowest` installs them and builds a store with them."""
    lowest = ("pyproject.toml", "--resolution", "lowest-direct", "--python-version", PYTHONS[0])
    once = ("build", "hub", "s3", "train")
    chosen = resolve(*lowest, *(word for extra in once for word in ("--extra", extra)))
    floors = {}
    extras = PROJECT["optional-dependencies"]
    for need in map(Requirement, [*PROJECT["dependencies"], *(need for extra in once for need in extras[extra])]):
        [floors[canonicalize_name(need.name)]] = [part.version for part in need.specifier if part.operator == ">="]
    assert floors == {name: ".".join(chosen[name].split(".")[: floors[name].count(".") + 1]) for name in floors}
    for extra in extras.keys() - {*once}:
        resolve(*lowest, "--extra", extra)
