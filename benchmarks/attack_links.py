"""Files and folders that a command uses, replaced by links to outside: nothing outside is pushed or written."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from attack_commands import COMMANDS, Command
from attack_process import Operations, begin
from attack_workshop import STORE, Outcome, Workshop, digest
from fault_builds import folder_bytes

THESIS = b"My thesis. Three years of work, and no copy anywhere.\n" * 40
BESIDE = [
    ".digits.zarr.lock",
    ".digits.zarr.partial",
    ".digits.zarr.new",
    ".digits.zarr.old",
    ".digits.zarr.pull",
    ".digits.zarr.before",
    ".digits.zarr.signals",
    ".digits.zarr.weights",
    ".digits.zarr.importing",
    ".pth.partial",
    ".rows.partial",
    "digits.build.json",
    "digits.png",
    "pth",
    "rows",
    "some.safetensors",
    "zarr.json.{pid}.partial",
    "digits.zarr/zarr.json.{pid}.partial",
    "digits.zarr/_build",
    "digits.zarr/_build/driver.lock",
    "digits.zarr/_build/blocks",
    "digits.zarr",
]
"""Names that commands make or use besides the files of a store. `{pid}` is the number of the command's process."""


def linked(shop: Workshop, number: int) -> Outcome:
    """Lead a place outside: to a file or folder of somebody else's, to nothing yet, or to its own content, moved."""
    writing = [one for one in COMMANDS if not one.name.startswith(("pull, a part",))]
    chosen = writing[number % len(writing)]
    draw = random.Random(f"link {chosen.name} {number // len(writing)}")
    home = shop.home("case/inside").resolve()
    chosen.begin(shop, home)
    outside = home.parent / "outside"
    shutil.rmtree(outside, ignore_errors=True)
    (outside / "folder").mkdir(parents=True)
    (outside / "thesis.txt").write_bytes(THESIS)
    (outside / "folder/thesis.txt").write_bytes(THESIS)
    within = sorted(str(path.relative_to(home)) for path in home.rglob("*") if not path.is_relative_to(home / "tmp"))
    name = draw.choice([draw.choice(within or BESIDE), draw.choice(BESIDE)])
    how = draw.choice(["thesis.txt", "folder", "moved", "nothing"])
    if name == STORE and how == "moved":
        how = "folder"  # a store that its owner has moved to another disk, and linked, is written there
    before, what = folder_bytes(outside), f"{chosen.name}: {name} leads to {how}"
    if "{pid}" not in name:
        lead(home, name, outside, how)
        before = folder_bytes(outside)
    return Outcome.of(what, _problem(shop, chosen, home, outside, before, name, how))


def lead(home: Path, name: str, outside: Path, how: str) -> None:
    """Replace what stands at a name by a link."""
    place, target = home / name, outside / how
    place.parent.mkdir(parents=True, exist_ok=True)
    if how == "moved":
        if place.exists():
            place.rename(target)
        else:
            target = outside / "folder"
    elif place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    place.symlink_to(target)


def _problem(
    shop: Workshop, chosen: Command, home: Path, outside: Path, before: dict[str, str], name: str, how: str
) -> str:
    operations = Linking(home, lambda: lead(home, name.format(pid=os.getpid()), outside, how))
    operations.needed = "{pid}" in name
    ended = begin(chosen.words(shop), home, shop.log, operations, HF_TOKEN="hf_ada").wait()
    after = folder_bytes(outside)
    if after != before:
        changed = sorted(file for file in before.keys() | after.keys() if before.get(file) != after.get(file))
        return f"outside {changed[:4]} was changed, removed or made (exit code {ended.code})"
    if any(digest(THESIS) in tree.values() for tree in shop.hub.trees().values()):
        return "the outside file was pushed"
    if ended.code in (0, 1) and "Traceback" not in ended.err:
        return ""
    return ended.told()


class Linking(Operations):
    """Makes a link whose name has the number of the process, in that process."""

    needed = False

    def __init__(self, home: Path, link: Callable[[], None]) -> None:
        super().__init__(home)
        self._link = link

    def install(self) -> None:
        """Make the link, then watch."""
        if self.needed:
            self._link()
        super().install()
