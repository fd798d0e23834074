"""The fault campaign: many small builds, each with a random fault; what is promised in docs/reliability.md holds.

    python benchmarks/faults.py [--count 200] [--out /tmp/faults] [--only KIND ...] [--lane I/N]

After every fault: the same command finishes, the store has the bytes of an undisturbed one, `inrzoo verify` is green.
Cases that are recorded in OUT/*.jsonl are not run again, so the same command continues. A fault that came too late (the
build was over) does not count, and another one is drawn. Exit code 1 if any fault was not survived.

Needs: the `dev` extra; root for `disk full` (a file system in memory), libfaketime for `clock jumps`. About 10 s a
fault on one core. Ends with one line for each kind and the number of faults survived.
"""

import argparse
import json
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import fault_kinds as kinds
import faulty_s3
from fault_builds import folder_bytes, start, words
from fault_kinds import Case, Fault
from ray_nodes import Nodes

from inrzoo.store import ObjectPath

RAY = ["--workers", "2"]
HERE = ["--in-process"]
SHARES = {
    "driver killed": 46,
    "driver killed, on Ray": 6,
    "worker killed": 10,
    "raylet killed": 6,
    "node killed": 8,
    "worker out of memory": 6,
    "driver out of memory": 12,
    "disk full": 24,
    "clock jumps": 8,
    "two drivers": 24,
    "bucket: driver killed": 22,
    "bucket: server errs": 18,
    "bucket: two drivers": 10,
    "bucket: driver asleep": 10,
}
"""How many of 210 faults are of a kind."""
TRIES = 6
"""Draws until a fault comes in time."""


class Campaign:
    """Where cases are run and recorded."""

    def __init__(self, out: Path, lane: str) -> None:
        self.out, self.lane = out, lane
        self.record = out / f"lane-{lane.replace('/', '-')}.jsonl"
        self.on = ExitStack()
        self._seconds: dict[str, float] = {}
        self._reference: dict[str, str] = {}
        self._environment = {"INRZOO_CACHE": str(out / "cache"), "RAY_worker_niceness": "0"}

    def run(self, kind: str, number: int) -> bool:
        """Run one case, drawn by its name and number; whether it was survived."""
        for attempt in range(TRIES):
            draw = random.Random(f"{kind} {number} {attempt}")
            home = self.out / f"{kind.replace(' ', '-').replace(':', '')}-{number}"
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(parents=True)
            fault, further, place = self._of(kind, home, number)
            case = Case(place, home, draw, self._undisturbed(kind, further), self._environment, further)
            began, problem, hit = time.monotonic(), "", False
            try:
                hit = fault(case)
                problem = self._after(case) if hit else ""
            except (RuntimeError, TimeoutError) as error:
                problem, hit = str(error), True
            if hit:
                break
        seconds = round(time.monotonic() - began, 1)
        line = {"kind": kind, "number": number, "hit": hit, "problem": problem, "seconds": seconds, **case.note}
        with self.record.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if not problem:
            shutil.rmtree(home, ignore_errors=True)
            shutil.rmtree(self.out / "disk" / home.name, ignore_errors=True)
        return not problem

    def _after(self, case: Case) -> str:
        """Run the same command again, then compare and verify. What is wrong, or nothing."""
        code = case.build().wait()
        if code:
            return f"the same command ended with {code}: {_tail(case.home / 'log')}"
        found = self._bytes(case.place)
        if found != self._reference:
            differing = {
                name for name in found.keys() | self._reference if found.get(name) != self._reference.get(name)
            }
            return f"other bytes in {sorted(differing)[:5]}"
        code = start(["verify", str(case.place)], case.home / "log", case.environment).wait()
        return f"verify ended with {code}: {_tail(case.home / 'log')}" if code else ""

    def _undisturbed(self, kind: str, further: list[str]) -> float:
        """How long a build takes without a fault; the first one is what all are compared with."""
        key = " ".join(further) + kind.split(":")[0] * ("bucket" in kind)
        if key not in self._seconds:
            if not self._reference:
                self._build(self.out / "reference.zarr", HERE)
                self._reference = folder_bytes(self.out / "reference.zarr")
            place = self._of(kind, self.out / "timed", 0)[2]
            self._seconds[key] = self._build(place, further)
            if self._bytes(place) != self._reference:
                raise RuntimeError(f"an undisturbed build of {kind} has other bytes")
        return self._seconds[key]

    def _build(self, place: Path | ObjectPath, further: list[str]) -> float:
        began = time.monotonic()
        log = self.out / f"undisturbed-{self.lane.replace('/', '-')}.log"
        if start(words(place, *further, "--overwrite"), log, self._environment).wait():
            raise RuntimeError(f"the undisturbed build failed: {_tail(log)}")
        return time.monotonic() - began

    def _of(self, kind: str, home: Path, number: int) -> tuple[Fault, list[str], Path | ObjectPath]:
        """The fault of a kind, the further words of its builds, and where they build."""
        if kind.startswith("bucket"):
            if "AWS_ENDPOINT_URL" not in self._environment:
                server, port = faulty_s3.start()
                self.on.callback(server.kill)
                self._environment |= faulty_s3.credentials(port)
            place: Path | ObjectPath = ObjectPath.parse(f"s3://{faulty_s3.BUCKET}/{home.name}/x.zarr")
        else:
            place = home / "x.zarr"
        if kind == "disk full":
            if not (self.out / "disk").is_mount():
                self.on.enter_context(kinds.small_disk(self.out / "disk"))
            place = self.out / "disk" / home.name / "x.zarr"
            place.parent.mkdir(exist_ok=True)
        if kind == "node killed":
            if not hasattr(self, "_nodes"):
                self._nodes, self._alive = self.on.enter_context(Nodes(1, 1)), [0, 1]
            return kinds.node_killed(self._nodes, self._alive), ["--address", self._nodes.address], place
        faults: dict[str, tuple[Fault, list[str]]] = {
            "driver killed": (kinds.driver_killed, HERE),
            "driver killed, on Ray": (kinds.driver_killed, RAY),
            "worker killed": (kinds.killed_below(b"ray::Worker"), RAY),
            "raylet killed": (kinds.killed_below(b"raylet/raylet"), RAY),
            "worker out of memory": (kinds.worker_out_of_memory, RAY),
            "driver out of memory": (kinds.driver_out_of_memory, HERE),
            "disk full": (kinds.disk_full, HERE),
            "clock jumps": (kinds.clock_jumps, HERE),
            "two drivers": (kinds.two_drivers, HERE),
            "driver asleep": (kinds.driver_asleep, HERE),
            "server errs": (kinds.server_errs, HERE),
        }
        return *faults[kind.removeprefix("bucket: ")], place

    def _bytes(self, place: Path | ObjectPath) -> dict[str, str]:
        """sha256 of every file, read in a process of its own: connections do not survive a fork."""
        if isinstance(place, Path):
            return folder_bytes(place)
        log = self.out / f"listing-{self.lane.replace('/', '-')}"
        log.unlink(missing_ok=True)
        start([], log, self._environment, lambda: _print_objects(place)).wait()
        found: dict[str, str] = json.loads(log.read_text())
        return found


def _print_objects(place: ObjectPath) -> None:
    from inrzoo.store.files import sha256

    print(json.dumps({name: sha256(place / name) for name in place.files()}), flush=True)
    os._exit(0)


def _tail(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").splitlines()[-3:])[-400:]


def planned(count: int, only: list[str]) -> Iterator[tuple[str, int]]:
    """Kinds in turn, as many of each as its share of `count`."""
    chosen = {kind: share for kind, share in SHARES.items() if not only or kind in only}
    total = sum(chosen.values())
    wanted = {kind: max(1, round(count * share / total)) for kind, share in chosen.items()}
    for number in range(max(wanted.values())):
        yield from ((kind, number) for kind, num in wanted.items() if number < num)


def summary(out: Path, say: Callable[[str], None] = print) -> int:
    """Say what is recorded; how many faults were not survived."""
    lines = [json.loads(line) for file in out.glob("lane-*.jsonl") for line in file.read_text().splitlines()]
    hits = Counter(line["kind"] for line in lines if line["hit"])
    bad = [line for line in lines if line["problem"]]
    for kind in sorted(hits):
        say(f"{kind:26} {hits[kind] - sum(line['kind'] == kind for line in bad):4} of {hits[kind]}")
    for line in bad:
        say(f"NOT SURVIVED: {line['kind']} {line['number']}: {line['problem']}")
    say(f"{sum(hits.values()) - len(bad)} of {sum(hits.values())} faults survived")
    return len(bad)


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("/tmp/faults"))
    parser.add_argument("--only", nargs="*", default=[], choices=SHARES, metavar="KIND")
    parser.add_argument("--lane", default="0/1", help="this process's part of the cases, e.g. 0/2 and 1/2 side by side")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    lane, lanes = map(int, given.lane.split("/"))
    campaign = Campaign(given.out.resolve() / f"work-{lane}", given.lane)
    campaign.out.mkdir(exist_ok=True)
    campaign.record = given.out / f"lane-{lane}.jsonl"
    done = {
        (line["kind"], line["number"])
        for file in given.out.glob("lane-*.jsonl")
        for line in map(json.loads, file.read_text().splitlines())
    }
    cases = [case for case in planned(given.count, given.only) if case not in done]
    mine = [case for index, case in enumerate(cases) if index % lanes == lane]
    began = time.monotonic()
    with campaign.on:
        for index, (kind, number) in enumerate(mine, start=1):
            survived = campaign.run(kind, number)
            rate = (time.monotonic() - began) / index
            left = f"{rate:.1f} s each, {rate * (len(mine) - index):.0f} s left"
            print(f"{index}/{len(mine)} {kind} {number}: {'survived' if survived else 'NOT'}; {left}", flush=True)
    sys.exit(1 if summary(given.out) else 0)


if __name__ == "__main__":
    main()
