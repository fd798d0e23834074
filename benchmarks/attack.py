"""The attack campaign: damage, strays, links, kills, full disks, crossed commands and hostile servers against stores.

    python benchmarks/attack.py [--count 4000] [--out /tmp/attack] [--only KIND ...] [--lane I/N] [--keep-going]

What is attacked is a store of 96 INRs that is built in seconds, through the commands of the command line. The kinds
and what has to hold after each stand in `KINDS` and in docs/reliability.md. Attacks that are recorded in OUT/*.jsonl
for the very code of inrzoo that runs are not made again, so the same command continues. It stops at the first attack
that is not withstood, names it, and exits with 1; with --keep-going it lists all. It ends with a table in Markdown.

Needs: the `dev` extra; root for `full disk` (a file system in memory; without root, write errors alone).
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attack_hub

if TYPE_CHECKING:
    from attack_workshop import Outcome, Workshop


@dataclass(frozen=True)
class Kind:
    """A kind of attack.

    Attributes:
        share: how many of 4,000 attacks are of this kind.
        batch: attacks that are made together.
        what: for the table.
    """

    share: int
    batch: int
    what: str


KINDS = {
    "flip": Kind(2460, 60, "one bit of one file of a finished store; `inrzoo verify` notices"),
    "flip, root": Kind(780, 60, "one bit of the root `zarr.json`; `inrzoo verify` notices"),
    "truncate": Kind(200, 20, "a file cut, emptied, removed or grown; `inrzoo verify` notices"),
    "stray": Kind(60, 1, "foreign files in and beside a store before, during and after a build"),
    "link": Kind(200, 1, "a file or folder that a command uses leads to one outside; nothing outside is touched"),
    "kill": Kind(340, 1, "SIGKILL at a file operation of a command; the same command ends with the same bytes"),
    "full disk": Kind(110, 1, "no space from a file operation on; one line, and with space the same command succeeds"),
    "pair": Kind(50, 1, "two commands on one store at once; none breaks what the other does"),
    "server": Kind(39, 1, "a hostile server; one line within a bounded time and memory"),
}


def attack(kind: str, shop: "Workshop", number: int) -> "Outcome":
    """Make the attacks of a batch."""
    import attack_bytes
    import attack_interruptions
    import attack_links
    import attack_pairs
    import attack_servers
    import attack_strays

    kinds: dict[str, Callable[[Workshop, int], Outcome]] = {
        "flip": attack_bytes.flipped,
        "flip, root": attack_bytes.root_flipped,
        "truncate": attack_bytes.truncated,
        "stray": attack_strays.strayed,
        "link": attack_links.linked,
        "kill": attack_interruptions.killed,
        "full disk": attack_interruptions.without_space,
        "pair": attack_pairs.crossed,
        "server": attack_servers.deceived,
    }
    return kinds[kind](shop, number)


def planned(count: int, only: list[str]) -> Iterator[tuple[str, int]]:
    """Kinds in turn, as many batches of each as its share of `count` takes."""
    chosen = {kind: one for kind, one in KINDS.items() if not only or kind in only}
    total = sum(one.share for one in chosen.values())
    batches = {kind: max(1, round(count * one.share / total / one.batch)) for kind, one in chosen.items()}
    for number in range(max(batches.values())):
        yield from ((kind, number) for kind, num in batches.items() if number < num)


def code() -> str:
    """Return a digest of the sources of inrzoo, which are attacked."""
    home = Path(__file__).parents[1] / "inrzoo"
    total = hashlib.sha256()
    for file in sorted(home.rglob("*.py")):
        total.update(str(file.relative_to(home)).encode() + file.read_bytes())
    return total.hexdigest()[:12]


def records(out: Path, version: str) -> list[dict[str, Any]]:
    """The recorded attacks on this code."""
    lines = [json.loads(line) for file in sorted(out.glob("lane-*.jsonl")) for line in file.read_text().splitlines()]
    return [line for line in lines if line["code"] == version]


def summary(out: Path, version: str, say: Callable[[str], None] = print) -> int:
    """Print the table; return how many attacks were not withstood."""
    lines = records(out, version)
    made, lost, harmless = Counter[str](), Counter[str](), Counter[str]()
    for line in lines:
        made[line["kind"]] += line["attacks"]
        lost[line["kind"]] += len(line["problems"])
        harmless.update(line["harmless"])
    say("| attack | what | withstood |\n|---|---|---|")
    for kind, one in KINDS.items():
        if made[kind]:
            say(f"| {kind} | {one.what} | {made[kind] - lost[kind]:,} of {made[kind]:,} |")
    say(f"| **all** | | **{made.total() - lost.total():,} of {made.total():,}** |")
    for place, number in sorted(harmless.items()):
        say(f"harmless, {number} times: {place}")
    for line in lines:
        for problem in line["problems"]:
            say(f"NOT WITHSTOOD: {line['kind']} {line['number']}: {problem}")
    return lost.total()


def bar(done: int, total: int, began: float) -> str:
    """`[####......] 12/30, 1.5 s each, 27 s left`."""
    each = (time.monotonic() - began) / max(done, 1)
    filled = round(20 * done / max(total, 1))
    return (
        f"[{'#' * filled}{'.' * (20 - filled)}] {done}/{total}, {each:.1f} s each, {each * (total - done):.0f} s left"
    )


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=4000, help="attacks in all, shared out over the kinds")
    parser.add_argument("--out", type=Path, default=Path("/tmp/attack"))
    parser.add_argument("--only", nargs="*", default=[], choices=KINDS, metavar="KIND")
    parser.add_argument(
        "--lane", default="0/1", help="this process's part of the attacks, e.g. 0/2 and 1/2 side by side"
    )
    parser.add_argument("--keep-going", action="store_true", help="list every attack that is not withstood")
    parser.add_argument("--limit", type=int, default=48, help="signals of the store")
    parser.add_argument("--steps", type=int, default=5, help="optimiser steps of its fits")
    given = parser.parse_args()
    if "INRZOO_ATTACK_KEEPER" not in os.environ:
        # huggingface_hub reads its environment when it is imported: what attacks is a process of its own.
        with attack_hub.hub_process() as hub:
            environment = {
                "HF_ENDPOINT": hub.endpoint,
                "HF_HOME": str(given.out.resolve() / "hf_home"),
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HUB_ETAG_TIMEOUT": "5",
                "HF_HUB_DOWNLOAD_TIMEOUT": "5",
                "INRZOO_ATTACK_KEEPER": hub.keeper,
            }
            sys.exit(subprocess.run([sys.executable, *sys.argv], env={**os.environ, **environment}).returncode)
    sys.exit(campaign(given))


def campaign(given: argparse.Namespace) -> int:
    """Make the attacks of a lane; 1 if any was not withstood."""
    from attack_workshop import Outcome, Workshop
    from fault_kinds import small_disk

    lane, lanes = map(int, given.lane.split("/"))
    version, given.out = code(), given.out.resolve()
    work = given.out / f"work-{lane}-{version}-{given.limit}-{given.steps}"
    work.mkdir(parents=True, exist_ok=True)
    hub = attack_hub.HubProcess(os.environ["HF_ENDPOINT"], os.environ["INRZOO_ATTACK_KEEPER"])
    shop = Workshop(work, hub, given.limit, given.steps)
    done = {(line["kind"], line["number"]) for line in records(given.out, version)}
    mine = [one for index, one in enumerate(planned(given.count, given.only)) if index % lanes == lane]
    todo = [one for one in mine if one not in done]
    with ExitStack() as stack:
        if todo:
            shop.prepare()
        if os.geteuid() == 0 and any(kind == "full disk" for kind, _ in todo):
            stack.enter_context(small_disk(work / "disk"))
        began = time.monotonic()
        for index, (kind, number) in enumerate(todo, start=1):
            try:
                outcome = attack(kind, shop, number)
            except (RuntimeError, TimeoutError) as error:
                outcome = Outcome.of(f"{kind} {number}", str(error))
            line = {"code": version, "kind": kind, "number": number, **vars(outcome)}
            with (given.out / f"lane-{lane}.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            verdict = "withstood" if not outcome.problems else f"NOT WITHSTOOD {'; '.join(outcome.problems[:3])}"
            print(f"{bar(index, len(todo), began)} {kind} {number}: {verdict}", flush=True)
            if outcome.problems and not given.keep_going:
                break
    return 1 if summary(given.out, version) else 0


if __name__ == "__main__":
    main()
