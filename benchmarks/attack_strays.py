"""Foreign files in and beside a store: what a file manager, a network file system or a user leaves there."""

import random
from pathlib import Path

from attack_hub import REPO
from attack_process import Ended, Operations, command
from attack_workshop import STORE, Outcome, Workshop, differing
from fault_builds import folder_bytes

from inrzoo.store import StoreInfo

HIDDEN = [".DS_Store", ".nfs0001", "._zarr.json", "._x", ".Trash-0/x", ".~lock.notes.txt#"]
VISIBLE = ["Thumbs.db", "notes.txt", "x.partial", "zarr.json~", "c/9/9/9/9"]
FOLDER = "New folder/"
MOMENTS = ["before", "during", "after"]


def strayed(shop: Workshop, number: int) -> Outcome:
    """Put a stray somewhere at some moment of the life of a store: build, more seeds, statistics, push."""
    draw = random.Random(f"stray {number}")
    names = [*HIDDEN, *VISIBLE, FOLDER]
    name, moment = names[number % len(names)], MOMENTS[number // len(names) % 3]
    home = shop.home("case")
    shop.hub.load("")
    store = home / STORE
    if moment == "during":
        at = draw.randint(120, 700)
        command(shop.build_words(2), home, shop.log, Operations(home, at, "kill"))
    elif moment == "after":
        shop.lay(home, "two.zarr")
    places = [folder for folder in [home, store, *sorted(store.rglob("*"))] if folder.is_dir()]
    place = draw.choice(places if number % 2 else places[:2])  # the root is where most strays are
    stray = place / name
    what = f"{stray.relative_to(home)}, {moment} a build"
    _put(stray)
    problems = _life(shop, home, stray)
    return Outcome(what, [f"{what}: {problem}" for problem in problems])


def _put(stray: Path) -> None:
    if str(stray).endswith("folder"):
        stray.mkdir(parents=True)
    else:
        stray.parent.mkdir(parents=True, exist_ok=True)
        stray.write_bytes(b"not a part of any store\n")


def _life(shop: Workshop, home: Path, stray: Path) -> list[str]:
    """Build, verify, add a seed, compute the statistics, push; what went wrong with the stray."""
    store, problems = home / STORE, []
    inside = stray.is_relative_to(store)
    name = str(stray.relative_to(store)) if inside else stray.name
    quiet = not inside or stray.is_dir() or _is_hidden(stray.relative_to(home))
    for words in (shop.build_words(2), shop.build_words(3), ["stats", STORE]):
        ended = _run(shop, words, home)
        if ended.code and not (ended.code == 2 and not quiet and not ended.told() and name in ended.err):
            problems.append(f"{words[0]}: {ended.told() or ended.err.strip()}")
        if not stray.exists() and "_build" not in stray.parts:  # the folder of a build is inrzoo's own
            problems.append(f"{words[0]} removed it")
            _put(stray)
        if inside and name in StoreInfo.from_root((store / "zarr.json").read_bytes(), str(store)).checksums:
            problems.append(f"{words[0]} recorded it in zarr.json")
        ended = _run(shop, ["verify", STORE], home)
        if (quiet or not stray.exists()) and ended.code:
            problems.append(f"verify after {words[0]}: {(ended.out + ended.err).strip().splitlines()[-1:]}")
        if not quiet and stray.exists() and (ended.code == 0 or name not in ended.out + ended.err):
            problems.append(f"verify after {words[0]} does not name it: exit code {ended.code}")
    found, expected = folder_bytes(store), folder_bytes(shop.out / "made/three.zarr")
    found.pop(name, None)
    problems += [f"the finished store has other bytes: {differing(found, expected)}"] * (found != expected)
    ended = _run(shop, ["push", STORE, REPO], home)
    if ended.code and quiet:
        problems.append(f"push: {ended.told() or ended.err.strip()}")
    pushed = [path for tree in shop.hub.trees().values() for path in tree if path.endswith(f"/{name}")]
    return [*problems, *([f"push sent {pushed[0]}"] if pushed else [])]


def _run(shop: Workshop, words: list[str], home: Path) -> Ended:
    return command(words, home, shop.log, HF_TOKEN="hf_ada")


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
