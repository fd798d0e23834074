"""A browser, and galleries of stores served to it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from browser import Browser, chromium

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.store import open_store
from inrzoo.viewer import make_server


@pytest.fixture(scope="session")
def one_browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        pytest.skip("no Chromium is on the path")
    browser = Browser(program)
    yield browser
    browser.close()


@pytest.fixture
def browser(one_browser: Browser) -> Iterator[Browser]:
    """The browser; after the test its console holds no error."""
    yield one_browser
    assert one_browser.complaints == []


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """The address of the gallery of a store."""
    with ExitStack() as stack:

        def start(path: Path) -> str:
            server = make_server(open_store(path))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}/"

        yield start


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The place of a small store of a dataset, hardly fitted, with some settings."""
    folder, places = tmp_path_factory.mktemp("galleries"), {}

    def make(dataset: str, **settings: object) -> Path:
        key = repr((dataset, settings))
        if key not in places:
            path = folder / f"{len(places)}.zarr"
            changes = {name.replace("__", "."): value for name, value in settings.items()}
            steps = {"fit.steps": 4, "fit.engine": "reference"}
            build(manifest.load(dataset, overrides={**steps, **changes}), path, in_process=True, quiet=True)
            places[key] = path
        return places[key]

    return make


@pytest.fixture
def built_from(tmp_path: Path) -> Callable[..., Path]:
    """The place of a small store of a file's signals, with some settings."""

    def make(source: Path, **settings: object) -> Path:
        description = tmp_path / "own.toml"
        description.write_text("redistributable = true\n[inr]\nname = 'siren'\nhidden_features = 8\n")
        changes = {"fit.steps": 4, "fit.engine": "reference"}
        changes |= {name.replace("__", "."): value for name, value in settings.items()}
        path = tmp_path / "own.zarr"
        build(manifest.load(description, None, changes), path, source=source, in_process=True, quiet=True)
        return path

    return make
