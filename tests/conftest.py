"""Fixtures of all tests: a tiny manifest, a finished store, and the command line as a function."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tiny_store import tiny

from inrzoo import cli
from inrzoo.builder import build
from inrzoo.store import Store, open_store
from inrzoo.store.store_cache import PREFETCHER

# As a worker has it; on products this small more threads only wait for each other.
torch.set_num_threads(1)

DATA = Path(os.environ.get("INRZOO_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")).resolve()


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell lets its background jobs ignore Ctrl-C, and their children with them; some tests press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture
def store(finished: Path) -> Store:
    return open_store(finished)


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
