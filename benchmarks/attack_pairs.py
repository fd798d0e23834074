"""Two commands on one store at once: neither breaks what the other does, and neither says that a store is damaged."""

import random
import re
import time
from pathlib import Path

from attack_hub import REPO
from attack_process import Ended, begin, command
from attack_workshop import STORE, Outcome, Workshop, differing
from fault_builds import folder_bytes

WAITS = "another process|is writing to|is being built|is not complete"
"""The line with which a command ends when another one is at work on the store."""
FALSE = "damaged|sha256|fitted again|not part|is missing|another function|rendered"
"""Words in which `inrzoo verify` reports damage. None of these attacks does damage."""
PATIENCE = 0.6
"""Seconds between the two starts, at most."""


def _words(shop: Workshop) -> dict[str, list[str]]:
    return {
        "build, more seeds": shop.build_words(3),
        "stats": ["stats", STORE],
        "verify --repair": ["verify", STORE, "--repair"],
        "push": ["push", STORE, REPO],
        "pull": ["pull", REPO, "--out", STORE],
    }


def crossed(shop: Workshop, number: int) -> Outcome:
    """Start two commands nearly at once on a store of two seeds; then finish the store, push it and pull it."""
    words = _words(shop)
    first, second = list(words)[number % 5], list(words)[number // 5 % 5]
    draw = random.Random(f"pair {number}")
    home = shop.home("case")
    shop.lay(home, "two.zarr")
    pulls = "pull" in (first, second)
    shop.hub.load("three" if pulls else "")
    offset = draw.choice([0.0, draw.uniform(0, PATIENCE), draw.uniform(0, PATIENCE)])
    running = [begin(words[first], home, home.parent / "first.log", HF_TOKEN="hf_ada")]
    time.sleep(offset)
    running.append(begin(words[second], home, home.parent / "second.log", HF_TOKEN="hf_ada"))
    ended = [one.wait() for one in running]
    what = f"{first} and {offset:.2f} s later {second}"
    problems = [
        f"{what}: {name}: {problem}"
        for name, one in zip((first, second), ended, strict=True)
        if (problem := _refusal(name, one, pulls))
    ]
    return Outcome(what, [*problems, *(f"{what}: {problem}" for problem in _aftermath(shop, home, words))])


def _refusal(name: str, ended: Ended, pulls: bool) -> str:
    """Return what is wrong with the end of one of two commands; empty if nothing."""
    if ended.code == 0:
        return ""
    lines = ended.out.strip().splitlines()
    if name == "verify --repair" and ended.code == 1 and "incomplete" in ended.out and not re.search(FALSE, ended.out):
        return ""
    allowed = WAITS + ("|never removes any" if name == "push" and pulls else "")
    if ended.told() or not re.search(allowed, ended.err):
        return f"exit code {ended.code}, {' '.join((lines + ended.err.strip().splitlines())[-2:])[:300]}"
    return ""


def _aftermath(shop: Workshop, home: Path, words: dict[str, list[str]]) -> list[str]:
    """Finish the store, push and pull it; what is wrong with any of it."""
    problems = []
    for name in ("build, more seeds", "verify --repair", "push", "pull"):
        ended = command(words[name], home, shop.log, HF_TOKEN="hf_ada")
        if ended.code:
            said = (ended.out + ended.err).strip().splitlines()[-1:]
            problems.append(f"afterwards {name} ended with {ended.code}: {said}")
    if lost := differing(folder_bytes(home / STORE), folder_bytes(shop.out / "made/three.zarr")):
        problems.append(f"afterwards the store has other bytes: {lost}")
    for version in sorted(name for name in shop.hub.trees() if name.startswith("v")):
        out = f"{version}.zarr"
        for line in (["pull", REPO, "--revision", version, "--out", out], ["verify", out]):
            ended = command(line, home, shop.log, HF_TOKEN="hf_ada")
            if ended.code:
                problems.append(f"{line[0]} of {version} ended with {ended.code}: {(ended.out + ended.err)[-200:]}")
        stores = [folder_bytes(shop.out / "made" / name) for name in ("two.zarr", "three.zarr")]
        if folder_bytes(home / out) not in stores:
            problems.append(f"{version} on the Hub is neither the old store nor the new one")
    return problems
