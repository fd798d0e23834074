"""Where attacks run, what they start from, and how what they leave is compared."""

import hashlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from attack_hub import REPO, HubProcess
from attack_process import Ended, command
from fault_builds import folder_bytes

STORE = "digits.zarr"
"""Name of the store in the folder of a case."""
SETTINGS = {
    "inr.hidden_features": "8",
    "inr.omega_0": "30",
    "inr.output_offset": "0.5",
    "coords.axis_order": "x_y",
    "values.range": "[0, 1]",
    "fit.lr": "1e-4",
}
"""A small SIREN that can be exported in the layout of DWSNets."""


def build_words(seeds: int = 2, *further: str, limit: int = 48, steps: int = 5) -> list[str]:
    """The build as words after `inrzoo`."""
    words = ["build", "digits", "--out", STORE, "--seeds", str(seeds), "--limit", str(limit), "--steps", str(steps)]
    settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    return [*words, "--stop-psnr", "0", "--engine", "reference", "--in-process", *settings, *further]


EXPORT = ["export", STORE, "--convention", "dws", "--seed", "all", "--out", "pth"]


@dataclass
class Outcome:
    """The outcome of an attack, or of some attacks of one kind.

    Attributes:
        what: the attack in words.
        problems: what was lost or went wrong; empty where all were withstood.
        attacks: how many there were.
        harmless: attacks that changed nothing that is read, by place.
    """

    what: str
    problems: list[str]
    attacks: int = 1
    harmless: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, what: str, problem: str, came: bool = True) -> "Outcome":
        """One attack; it does not count where it came too late, and harmed nothing."""
        return cls(what, [f"{what}: {problem}"] if problem else [], int(came or bool(problem)))


@dataclass(frozen=True)
class Reference:
    """The files that a command makes.

    Attributes:
        files: sha256 of every file.
        trees: of the Hub.
        trace: its file operations, in order.
    """

    files: dict[str, str]
    trees: dict[str, dict[str, str]]
    trace: list[str]


@dataclass
class Workshop:
    """Where cases run, and what they start from.

    Attributes:
        out: its folder.
        hub: the Hub that commands push to and pull from.
        limit, steps: signals and optimiser steps of the store.
        references: what commands make undisturbed, by their names.
    """

    out: Path
    hub: HubProcess
    limit: int = 48
    steps: int = 5
    references: dict[str, Reference] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """Return the file that receives a command's output."""
        return self.out / "said.log"

    def home(self, name: str) -> Path:
        """An empty folder."""
        home = self.out / name
        shutil.rmtree(home, ignore_errors=True)
        (home / "tmp").mkdir(parents=True)
        return home

    def build_words(self, seeds: int, *further: str) -> list[str]:
        """The build of this workshop's store."""
        return build_words(seeds, *further, limit=self.limit, steps=self.steps)

    def prepare(self) -> None:
        """Build what cases start from, unless it is there: stores of two and three seeds, another one, an export."""
        made = self.out / "made"
        if (made / "ready").exists():
            self._push()
            return
        home = self.home("making")
        made.mkdir(exist_ok=True)
        for name, words in {
            "two.zarr": self.build_words(2),
            "three.zarr": self.build_words(3),
            "other.zarr": self.build_words(2, "--lr", "2e-4", "--overwrite"),
        }.items():
            self.require(words, home)
            shutil.rmtree(made / name, ignore_errors=True)
            shutil.copytree(home / STORE, made / name)
        shutil.rmtree(made / "pth", ignore_errors=True)
        self.require(EXPORT, home)
        shutil.copytree(home / "pth", made / "pth")
        (made / "ready").touch()
        self._push()

    def _push(self) -> None:
        for name in ("two", "three"):
            home = self.home("making")
            self.lay(home, f"{name}.zarr")
            self.require(["push", STORE, REPO], home)
            self.hub.save(name)

    def require(self, words: list[str], home: Path) -> Ended:
        """Run a command that has to succeed. Raises RuntimeError if it does not."""
        ended = command(words, home, self.log, HF_TOKEN="hf_ada")
        if ended.code:
            raise RuntimeError(f"inrzoo {' '.join(words)} ended with {ended.code}: {ended.err[-300:]}")
        return ended

    def lay(self, home: Path, made: str, name: str = STORE) -> Path:
        """Copy what was made into the folder of a case."""
        shutil.copytree(self.out / "made" / made, home / name)
        return home / name


def results(home: Path) -> dict[str, str]:
    """sha256 of every file below a folder but hidden ones, temporary ones, and the log of a build, which has times."""
    return {
        name: digest
        for name, digest in folder_bytes(home).items()
        if not name.startswith("tmp/")
        and not name.endswith(".build.json")
        and not any(part.startswith(".") for part in name.split("/"))
    }


def differing(found: dict[str, str], expected: dict[str, str]) -> str:
    """Name up to four files that are not the same; empty where all are."""
    names = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    return f"{len(names)} files differ: {', '.join(names[:4])}" if names else ""


def digest(content: bytes) -> str:
    """sha256, hex."""
    return hashlib.sha256(content).hexdigest()
