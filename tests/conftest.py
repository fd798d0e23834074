"""Fixtures of all tests: a tiny manifest, a finished store, and the command line as a function."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tiny_store import small, tiny

from inrzoo import cli
from inrzoo.builder import build
from inrzoo.store import Store, open_store
from inrzoo.store.store_cache import PREFETCHER
from inrzoo.tasks.training.journal import Journal

# As a worker has it; on products this small more threads only wait for each other.
torch.set_num_threads(1)

# Nobody pulls the plug on a test: what a process wrote before it was killed, the next one reads from memory.
os.fsync = lambda handle: None

DRAW = Journal.draw

DATA = Path(os.environ.get("INRZOO_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")).resolve()


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell lets its background jobs ignore Ctrl-C, and their children with them; some tests press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Half as many workers again as processors: tests wait for servers, processes and locks a third of their time."""
    return -(-3 * len(os.sched_getaffinity(0)) // 2)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the modules and tests: most of all objects, and they stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_in_the_background() -> Iterator[None]:
    """Background fetches of a test end before the next one begins, which may watch all files that are written."""
    yield
    for thread in threading.enumerate():
        if thread.name == PREFETCHER:
            thread.join(30)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny store. Tests that change it copy it first."""
    path = tmp_path_factory.mktemp("finished") / "tiny.zarr"
    build(tiny(), path, in_process=True, quiet=True)
    return path


@pytest.fixture(scope="session")
def finished_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished store of the small manifest, which is cheaper to build, verify and push."""
    path = tmp_path_factory.mktemp("finished_small") / "tiny.zarr"
    build(small(), path, in_process=True, quiet=True)
    return path


@pytest.fixture
def store(finished: Path) -> Store:
    return open_store(finished)


@pytest.fixture(scope="session", autouse=True)
def _no_curves() -> Iterator[None]:
    """A run draws its curve whenever it ends, which takes longer than the few steps of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "draw", lambda journal: None)
        yield


@pytest.fixture
def curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of this test draw their curves."""
    monkeypatch.setattr(Journal, "draw", DRAW)


@pytest.fixture
def inrzoo(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """The command line: `inrzoo("build", "digits")` gives exit code, standard output, standard error."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["inrzoo", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def data() -> Path:
    """The folder of real data sets; skips where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA}; set INRZOO_DATA to a folder that holds it")
    return DATA
