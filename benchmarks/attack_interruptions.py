"""Commands that are killed, or run out of disk space, at one of their file operations; then the same command again."""

import random
import shutil
from pathlib import Path

from attack_commands import COMMANDS, Command, undisturbed
from attack_process import Ended, Harm, Operations, command
from attack_workshop import Outcome, Workshop, differing, results


def moments(trace: list[str], name: str) -> list[tuple[int, Harm]]:
    """Every moment at which a command can be killed, in an order drawn by its name: before each operation, and after an
    opened file has been made or emptied.
    """
    before: list[tuple[int, Harm]] = [(number, "kill") for number in range(1, len(trace) + 1)]
    within: list[tuple[int, Harm]] = [(at, "torn") for at, line in enumerate(trace, 1) if line.startswith("open ")]
    both = before + within
    random.Random(name).shuffle(both)
    return both


def chosen_command(number: int, names: list[str] | None = None) -> tuple[Command, int]:
    """Commands in turn, and the how manieth case of that command this is."""
    turn = [one for one in COMMANDS if names is None or one.name in names]
    return turn[number % len(turn)], number // len(turn)


def killed(shop: Workshop, number: int) -> Outcome:
    """SIGKILL at a file operation."""
    chosen, turn = chosen_command(number)
    reference = undisturbed(shop, chosen)
    times = moments(reference.trace, chosen.name)
    at, harm = times[turn % len(times)]
    what = f"{chosen.name}: {'killed before' if harm == 'kill' else 'killed within'} {at}: {reference.trace[at - 1]}"
    home = shop.home("case")
    chosen.begin(shop, home)
    ended = command(chosen.words(shop), home, shop.log, Operations(home, at, harm), HF_TOKEN="hf_ada")
    if ended.code >= 0:
        problem = "" if ended.code == 0 else f"not killed, but {ended.told()}"
    else:
        problem = chosen.kept(shop, home)
    problem = f"while it is interrupted, {problem}" if problem else after(shop, chosen, home)
    return Outcome.of(what, problem, ended.code < 0)


def without_space(shop: Workshop, number: int) -> Outcome:
    """No space left on the disk from a file operation on: really, in a small file system, and by errors alone."""
    chosen, turn = chosen_command(number)
    reference = undisturbed(shop, chosen)
    draw = random.Random(f"{chosen.name} {turn}")
    at = draw.randint(1, len(reference.trace))
    room = draw.choice([0, 0, 4096, draw.randrange(65536)])
    real = (shop.out / "disk").is_mount() and turn % 2 == 0
    what = f"{chosen.name}: {f'{room} bytes left' if real else 'ENOSPC'} from {at} on: {reference.trace[at - 1]}"
    home = shop.home("disk/case" if real else "case")
    chosen.begin(shop, home)
    ballast = home.with_name("ballast") if real else None
    operations = Operations(home, at, "full", ballast, room)
    ended = command(chosen.words(shop), home, shop.log, operations, HF_TOKEN="hf_ada")
    if ballast is not None:
        ballast.unlink(missing_ok=True)
    problem = "" if ended.code == 0 else ended.told()
    if not problem:
        lost = chosen.kept(shop, home) if ended.code else ""
        problem = f"afterwards {lost}" if lost else ""
    problem = problem or after(shop, chosen, home)
    shutil.rmtree(home, ignore_errors=True)
    return Outcome.of(what, problem, ended.code != 0)


def after(shop: Workshop, chosen: Command, home: Path) -> str:
    """Run the same command again and compare. What is wrong, or nothing."""
    reference = undisturbed(shop, chosen)
    ended = command(chosen.words(shop), home, shop.log, HF_TOKEN="hf_ada")
    finished = not differing(results(home), reference.files)
    if ended.code and not (finished and _exists(ended)):
        return f"the same command: {ended.told() or ended.err.strip()}"
    if not finished:
        return differing(results(home), reference.files)
    trees = shop.hub.trees()
    other = [ref for ref in trees.keys() | reference.trees.keys() if trees.get(ref) != reference.trees.get(ref)]
    return f"the Hub has another tree at {sorted(other)}" if other else ""


def _exists(ended: Ended) -> bool:
    """An export or an import that had its result in place before it was killed, and refuses to replace it."""
    return ended.code == 2 and "exists; give another --out" in ended.err
