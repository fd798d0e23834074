"""What the tests share: a tiny manifest, a finished store, and the command line as a function."""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inrzoo import cli, manifest
from inrzoo.build import build
from inrzoo.store import Store, open_store

DATA = Path(os.environ.get("INRZOO_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")).resolve()

SIGNALS, SEEDS, STEPS = 48, 2, 40
TINY = {
    "limit": SIGNALS,
    "seeds": SEEDS,
    "fit.steps": STEPS,
    "fit.lr": 5e-3,
    "fit.stop_psnr": 18.0,
    "inr.hidden_features": 8,
}
"""Small enough to fit in a second, large enough for several blocks; some INRs stop early, some do not."""


def tiny(**changes: object) -> manifest.Manifest:
    """The tiny manifest with other keys, `__` standing for the dot."""
    return manifest.load(
        "digits", overrides={**TINY, **{key.replace("__", "."): value for key, value in changes.items()}}
    )


def store_bytes(path: Path) -> dict[str, str]:
    """sha256 of every file below a store: two stores are byte-identical exactly if these are equal."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


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
