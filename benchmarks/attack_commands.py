"""Every command that writes: what it starts from, its words, and what it may never lose while it is interrupted."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from attack_hub import REPO
from attack_process import Operations, call, command
from attack_workshop import EXPORT, STORE, Reference, Workshop, differing, results
from fault_builds import folder_bytes

from inrzoo.store import open_store
from inrzoo.verify import verify


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes:
        name: for people.
        words: after `inrzoo`.
        begin: lays what it starts from into an empty folder, and loads the Hub.
        kept: says what is lost while it is interrupted, in that folder; empty if nothing.
    """

    name: str
    words: Callable[[Workshop], list[str]]
    begin: Callable[[Workshop, Path], None]
    kept: Callable[[Workshop, Path], str]


def undisturbed(shop: Workshop, chosen: Command) -> Reference:
    """Run a command undisturbed and return what it makes and its file operations."""
    if chosen.name not in shop.references:
        home = shop.home("undisturbed")
        chosen.begin(shop, home)
        trace = Operations(home, trace=shop.out / "trace")
        ended = command(chosen.words(shop), home, shop.log, trace, HF_TOKEN="hf_ada")
        if ended.code:
            raise RuntimeError(f"{chosen.name}, undisturbed, ended with {ended.code}: {ended.err[-300:]}")
        shop.references[chosen.name] = Reference(results(home), shop.hub.trees(), ended.trace)
    return shop.references[chosen.name]


def holds(store: Path, made: Path, seeds: range, log: Path) -> str:
    """Say what a store lacks of the seeds of another one; empty if they are there and nothing false is said of them."""

    def look() -> str:
        now, before = open_store(store), open_store(made)
        lost = [
            seed
            for seed in seeds
            if seed >= now.num_seeds
            or not np.array_equal(now.weights[:, seed], before.weights[:, seed], equal_nan=True)
        ]
        problems = [problem for problem in verify(store).problems if not problem.startswith("incomplete")]
        said = f"verify says {len(problems)} problems: {problems[0]}" if problems else ""
        return f"seeds {lost} are lost" if lost else said

    if not store.exists():
        return "the store is gone"
    try:
        return str(call(look, log))
    except RuntimeError as error:
        return f"the store cannot be read: {error}"


def _start(made: str = "", hub: str = "", damage: str = "") -> Callable[[Workshop, Path], None]:
    def begin(shop: Workshop, home: Path) -> None:
        shop.hub.load(hub)
        if made:
            shop.lay(home, made, "pth" if made == "pth" else STORE)
        if damage:
            file = home / STORE / damage
            content = bytearray(file.read_bytes())
            content[len(content) // 3] ^= 8
            file.write_bytes(content)

    return begin


def _store_kept(made: str, seeds: range) -> Callable[[Workshop, Path], str]:
    return lambda shop, home: holds(home / STORE, shop.out / "made" / made, seeds, shop.log)


def _same_folder(name: str, made: str) -> Callable[[Workshop, Path], str]:
    return lambda shop, home: differing(folder_bytes(home / name), folder_bytes(shop.out / "made" / made))


def _overwrite_kept(shop: Workshop, home: Path) -> str:
    """The old store whole, or the new one as far as it is."""
    if not folder_bytes(home / STORE):
        return "the old store is gone and no new one is there"
    old = not differing(folder_bytes(home / STORE), folder_bytes(shop.out / "made/other.zarr"))
    return "" if old else holds(home / STORE, shop.out / "made/two.zarr", range(0), shop.log)


def _opens(shop: Workshop, home: Path) -> str:
    """Check that a store that exists can be read."""
    there = (home / STORE).exists()
    return holds(home / STORE, shop.out / "made/two.zarr", range(0), shop.log) if there else ""


def _other_seed(shop: Workshop, home: Path) -> str:
    """The seed that was not damaged is there."""

    def look() -> bool:
        now, before = open_store(home / STORE), open_store(shop.out / "made/two.zarr")
        return np.array_equal(now.weights[:, 0], before.weights[:, 0])

    try:
        return "" if call(look, shop.log) else "seed 0, which was not damaged, is lost"
    except RuntimeError as error:
        return f"the store cannot be read: {error}"


def _pushed_kept(made: str, versions: dict[str, str]) -> Callable[[Workshop, Path], str]:
    """The store and every version that was there are as they were."""

    def kept(shop: Workshop, home: Path) -> str:
        trees = shop.hub.trees()
        known = {name: _tree_of_version(shop, saved) for name, saved in versions.items()}
        changed = [name for name, tree in known.items() if trees.get(name) != tree]
        lost = differing(folder_bytes(home / STORE), folder_bytes(shop.out / "made" / made))
        return f"version {changed} was changed" if changed else lost

    return kept


def _tree_of_version(shop: Workshop, saved: str) -> dict[str, str]:
    """The files of v1 as they were saved."""
    file = shop.out / f"tree-{saved}.json"
    if not file.exists():
        now = "during"
        shop.hub.save(now)
        shop.hub.load(saved)
        file.write_text(json.dumps(shop.hub.trees()["v1"]))
        shop.hub.load(now)
    tree: dict[str, str] = json.loads(file.read_text())
    return tree


def _words(*words: str) -> Callable[[Workshop], list[str]]:
    return lambda shop: list(words)


def _overwriting(shop: Workshop) -> list[str]:
    return shop.build_words(2, "--overwrite")


REPAIR = ["verify", STORE, "--repair"]
PUSH, PULL = ["push", STORE, REPO], ["pull", REPO, "--out", STORE]
EXPORT_ROWS = ["export", STORE, "--format", "parquet", "--out", "rows"]
EXPORT_SOME = ["export", STORE, "--format", "safetensors", "--signal", "0:4", "--out", "some.safetensors"]
SOURCE_KEPT, TWO_KEPT = _same_folder(STORE, "two.zarr"), _store_kept("two.zarr", range(2))
V1_KEPT = _pushed_kept("three.zarr", {"v1": "two"})
COMMANDS = [
    Command("build", lambda shop: shop.build_words(2), _start(), _opens),
    Command("build, more seeds", lambda shop: shop.build_words(3), _start("two.zarr"), TWO_KEPT),
    Command("build --overwrite", _overwriting, _start("other.zarr"), _overwrite_kept),
    Command("verify --repair, a shard", _words(*REPAIR), _start("two.zarr", damage="weights/c/0/1/0/0"), _other_seed),
    Command("verify --repair, a column", _words(*REPAIR), _start("two.zarr", damage="psnr/c/0/1/0"), _other_seed),
    Command("verify --repair, statistics", _words(*REPAIR), _start("two.zarr", damage="stats/mean/c/0/0"), _other_seed),
    Command("stats", _words("stats", STORE), _start("two.zarr"), TWO_KEPT),
    Command("push", _words(*PUSH), _start("two.zarr"), _pushed_kept("two.zarr", {})),
    Command("push, more seeds", _words(*PUSH), _start("three.zarr", "two"), V1_KEPT),
    Command("pull", _words(*PULL), _start(hub="two"), _opens),
    Command("pull, more seeds", _words(*PULL), _start("two.zarr", "three"), TWO_KEPT),
    Command("pull, a part", _words(*PULL, "--split", "test", "--seeds", "1"), _start(hub="two"), _opens),
    Command("export", _words(*EXPORT), _start("two.zarr"), SOURCE_KEPT),
    Command("export, Parquet", _words(*EXPORT_ROWS), _start("two.zarr"), SOURCE_KEPT),
    Command("export, safetensors", _words(*EXPORT_SOME), _start("two.zarr"), SOURCE_KEPT),
    Command("import", _words("import", "pth", "--out", STORE), _start("pth"), _same_folder("pth", "pth")),
    Command("preview", _words("preview", STORE, "--count", "3"), _start("two.zarr"), SOURCE_KEPT),
]
