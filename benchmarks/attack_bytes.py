"""Files of a finished store with one bit flipped, or cut, emptied, removed or grown: does `inrzoo verify` notice?"""

import contextlib
import io
import json
import random
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from attack_process import call
from attack_workshop import STORE, Outcome, Workshop

from inrzoo import cli

BATCH = 60
"""Flips that one process makes."""
Harm = Callable[[bytes], bytes | None]
"""A file's content before and after; None for a file that is removed."""


def flipped(shop: Workshop, number: int) -> Outcome:
    """One random bit in one random file, `BATCH` times."""
    draw = random.Random(f"flip {number}")
    return _batch(shop, [(_any_file(shop, draw), *_flip(draw)) for _ in range(BATCH)])


def root_flipped(shop: Workshop, number: int) -> Outcome:
    """One random bit of the root's metadata, `BATCH` times."""
    draw = random.Random(f"root {number}")
    return _batch(shop, [("zarr.json", *_flip(draw)) for _ in range(BATCH)])


def truncated(shop: Workshop, number: int) -> Outcome:
    """A file that is cut, emptied, removed or grown, 20 times."""
    draw = random.Random(f"truncate {number}")
    return _batch(shop, [(_any_file(shop, draw), *_reshape(draw)) for _ in range(20)])


def _any_file(shop: Workshop, draw: random.Random) -> str:
    """A name in the store."""
    store = shop.out / "made/small.zarr"
    if not store.exists():
        home = shop.home("making")
        small = Workshop(shop.out, shop.hub, limit=10, steps=2)
        shop.require(small.build_words(2), home)
        (home / STORE).rename(store)
    return draw.choice(sorted(str(file.relative_to(store)) for file in store.rglob("*") if file.is_file()))


def _flip(draw: random.Random) -> tuple[str, Harm]:
    share, bit = draw.random(), draw.randrange(8)

    def harm(content: bytes) -> bytes:
        at = int(share * len(content))
        return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]

    return f"bit {bit} at {share:.4f} of its length", harm


def _reshape(draw: random.Random) -> tuple[str, Harm]:
    share, tail = draw.random(), draw.choice([b"\0", b"\n", b" ", draw.randbytes(100)])
    harms: dict[str, Harm] = {
        f"cut at {share:.4f} of its length": lambda content: content[: int(share * len(content))],
        "cut by a byte": lambda content: content[:-1],
        "emptied": lambda content: b"",
        "removed": lambda content: None,
        f"grown by {tail[:1]!r} and {len(tail) - 1} bytes": lambda content: content + tail,
    }
    name = draw.choice(sorted(harms))
    return name, harms[name]


def _batch(shop: Workshop, cases: list[tuple[str, str, Harm]]) -> Outcome:
    """Harm a copy of the store again and again, every time put back; the first case through the real command line."""
    _any_file(shop, random.Random(0))
    home = shop.home("case")
    shop.lay(home, "small.zarr")

    def work() -> tuple[list[str], list[str]]:
        problems, harmless = [], []
        for index, (name, words, harm) in enumerate(cases):
            file = home / STORE / name
            content = file.read_bytes()
            changed = harm(content)
            if changed == content:
                continue
            file.unlink() if changed is None else file.write_bytes(changed)
            code, said = _verify(home / STORE)
            what = f"{name}, {words}"
            if code == 0 and changed is not None and _means_the_same(name, content, changed):
                harmless.append(f"{name}: the parsed JSON is equal")
            elif code == 0:
                problems.append(f"{what}{_near(content, changed)}: not noticed")
            elif code not in (1, 2) or "Traceback" in said or (code == 2 and len(said.splitlines()) != 1):
                problems.append(f"{what}{_near(content, changed)}: exit code {code}, {said.strip().splitlines()[-1:]}")
            elif index == 0 and (real := _really(home / STORE)) != code:
                problems.append(f"{what}: the command line ends with {real}, in process with {code}")
            file.write_bytes(content)
        code, said = _verify(home / STORE)
        return [*problems, *([f"put back, verify says {said}"] if code else [])], harmless

    problems, harmless = call(work, shop.log)
    shutil.rmtree(home)
    return Outcome(f"{len(cases)} files", problems, len(cases), harmless)


def _verify(store: Path) -> tuple[int, str]:
    """`inrzoo verify` in this process: its exit code, and what it said of errors."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    sys.argv = ["inrzoo", "verify", str(store)]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        except Exception:
            traceback.print_exc(file=err)
            code = 70
    return code, err.getvalue() if code == 2 or code == 70 else out.getvalue()


def _really(store: Path) -> int:
    return subprocess.run([sys.executable, "-m", "inrzoo", "verify", str(store)], capture_output=True).returncode


def _means_the_same(name: str, before: bytes, after: bytes) -> bool:
    """Whether two contents of a metadata file are one to who parses them."""
    if not name.endswith("zarr.json"):
        return False
    with contextlib.suppress(ValueError):
        return bool(json.loads(before) == json.loads(after))
    return False


def _near(before: bytes, after: bytes | None) -> str:
    """The text around the first byte that differs."""
    if after is None:
        return ""
    pairs = enumerate(zip(before, after, strict=False))
    at = next((index for index, (one, other) in pairs if one != other), min(len(before), len(after)))
    return f", at byte {at} in {after[max(0, at - 24) : at + 12]!r}"
