"""A Hub that is broken or hostile: every command ends in bounded time, with one line and exit code 2."""

import time
from pathlib import Path

import pytest
from client import Client, Done
from hostile_server import KINDS, Sent
from server import Fault, Hub

IMPATIENT = """
import sys
from huggingface_hub import constants
from inrzoo import cli
from inrzoo.hub import errors
from inrzoo.store import limits
constants.HF_HUB_DOWNLOAD_TIMEOUT = 1
limits.WINDOW_SECONDS, limits.WINDOW_BYTES = 1.0, 2**12
limits.MAX_SMALL_BYTES, limits.MAX_LISTING_BYTES, limits.MAX_PAGES = 2**20, 2**20, 20
errors.TRIES, errors.FIRST_PAUSE, errors.PATIENCE = 3, 0.01, 0.5
sys.argv = ["inrzoo", *{words!r}]
cli.main()
"""
ROOT = r"GET .*/resolve/.*/tiny.zarr/zarr.json"
SHARD = r"GET .*/resolve/.*/weights/c/0/1/"
LISTING, REFS, SEARCH = r"GET .*/tree/", r"GET .*/refs", r"GET /api/datasets$"
MOST_SECONDS, MOST_BYTES = 60.0, 2**26


def one_line(done: Done) -> str:
    assert done.code == 2 and done.out == "" and len(done.err.splitlines()) == 1, done
    assert done.err.startswith("inrzoo: ") and "hf_" not in done.err
    return done.err


def cases() -> list[object]:
    harmless = {("endless_pages", ROOT), ("endless_pages", SHARD), ("garbage", SHARD), ("endless_pages", REFS),
                ("longer", ROOT), ("longer", LISTING), ("longer", REFS)}  # fmt: skip
    quick = {(kind, ROOT if kind in ("huge", "bomb", "garbage") else SHARD) for kind in KINDS}
    quick |= {("endless_pages", LISTING), ("slow_header", REFS), ("garbage", LISTING), ("endless", LISTING)}
    return [
        pytest.param(kind, place, marks=() if (kind, place) in quick else pytest.mark.slow, id=f"{kind}-{name}")
        for kind in KINDS
        for name, place in {"root": ROOT, "shard": SHARD, "listing": LISTING, "refs": REFS}.items()
        if (kind, place) not in harmless
    ]


@pytest.mark.parametrize("kind, place", cases())
def test_a_pull_ends(pushed: Hub, client: Client, tmp_path: Path, kind: str, place: str) -> None:
    pushed.faults = [Fault(place, times=10**6, kind=kind)]
    began, before = time.monotonic(), Sent.num_bytes
    done = client.python(IMPATIENT.format(words=["pull", "ada/tiny"]), cwd=tmp_path)
    said = one_line(done)
    assert time.monotonic() - began < MOST_SECONDS and Sent.num_bytes - before < MOST_BYTES
    assert "ada/tiny" in said or "zarr.json" in said or "connection" in said or "damaged" in said
    assert not (tmp_path / "tiny.zarr").exists()
    written = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert written < 2**20
    if kind in ("shorter", "silent"):
        pushed.faults = []
        assert client.inrzoo("pull", "ada/tiny", cwd=tmp_path).code == 0


@pytest.mark.parametrize("kind", ["endless", "bomb", pytest.param("garbage", marks=pytest.mark.slow)])
@pytest.mark.parametrize("place", [r"POST .*/preupload/", r"objects/batch", r"POST .*/commit/"])
def test_a_push_ends(hub: Hub, client: Client, finished: Path, kind: str, place: str) -> None:
    """The client reads these answers by itself."""
    hub.faults = [Fault(place, times=10**6, kind=kind)]
    began, before = time.monotonic(), Sent.num_bytes
    one_line(client.python(IMPATIENT.format(words=["push", str(finished), "ada/tiny"])))
    assert time.monotonic() - began < MOST_SECONDS and Sent.num_bytes - before < MOST_BYTES


@pytest.mark.parametrize("kind", ["endless", "endless_pages", "drip", "garbage", "redirect_loop"])
def test_a_search_ends(hub: Hub, client: Client, kind: str) -> None:
    hub.faults = [Fault(SEARCH, times=10**6, kind=kind)]
    began, before = time.monotonic(), Sent.num_bytes
    one_line(client.python(IMPATIENT.format(words=["list", "--hub"])))
    assert time.monotonic() - began < MOST_SECONDS and Sent.num_bytes - before < MOST_BYTES


def test_a_page_on_another_server_is_not_asked_for(pushed: Hub, client: Client, tmp_path: Path) -> None:
    """The token goes with a request: it is not sent wherever an answer names."""
    code = """
import os, sys
from inrzoo.hub import transport
real, asked = transport.read, []
def read(url, *rest, **named):
    asked.append(url)
    return real(url, *rest, **named)[0], "http://localhost:1/next" if "/tree/" in url else ""
transport.read = read
from inrzoo import cli
sys.argv = ["inrzoo", "pull", "ada/tiny"]
try:
    cli.main()
finally:
    assert asked and not [url for url in asked if "localhost" in url]
"""
    assert "is on another server" in one_line(client.python(code, cwd=tmp_path))
