"""A Hub, a client that uses it, and stores to push."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from client import Client
from server import Hub, State
from tiny_store import small, tiny

from inrzoo.builder import build

sys.path.append(str(Path(__file__).parents[1] / "viewer"))  # the browser of the tests of the viewer


@pytest.fixture(scope="session")
def finished(finished_small: Path) -> Path:
    """A store that tests push, which verifies, draws and pulls it dozens of times."""
    return finished_small


@pytest.fixture(scope="session")
def _server() -> Iterator[Hub]:
    server = Hub()
    yield server
    server.close()


@pytest.fixture
def hub(_server: Hub) -> Hub:
    """An empty Hub."""
    _server.reset()
    return _server


@pytest.fixture
def pushed(hub: Hub, state: State) -> Hub:
    """A Hub that has `finished` as `ada/tiny`, by an undisturbed push."""
    hub.restore(state)
    return hub


@pytest.fixture
def pushed_shards(hub: Hub, state_of_shards: State) -> Hub:
    """A Hub that has `sharded` as `ada/tiny`, by an undisturbed push."""
    hub.restore(state_of_shards)
    return hub


@pytest.fixture(scope="session")
def client(_server: Hub, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(_server.endpoint, tmp_path_factory.mktemp("hf_home"))


@pytest.fixture(scope="session")
def larger(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished store with a third seed."""
    path = tmp_path_factory.mktemp("larger") / "tiny.zarr"
    shutil.copytree(finished, path)
    build(small(seeds=3), path, in_process=True, quiet=True)
    return path


@pytest.fixture(scope="session")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny store whose seeds have six shards: the training split in five, the test split in the last."""
    path = tmp_path_factory.mktemp("sharded") / "tiny.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inrzoo.store.blocks.SHARD_BYTES", 3360)
        build(tiny(fit__steps=10), path, in_process=True, quiet=True)
    return path


@pytest.fixture(scope="session")
def state(_server: Hub, client: Client, finished: Path) -> State:
    """The Hub after a push of `finished`."""
    return _after_a_push(_server, client, finished)


@pytest.fixture(scope="session")
def state_of_shards(_server: Hub, client: Client, sharded: Path) -> State:
    """The Hub after a push of `sharded`."""
    return _after_a_push(_server, client, sharded)


def _after_a_push(server: Hub, client: Client, store: Path) -> State:
    server.reset()
    done = client.inrzoo("push", store, "ada/tiny")
    assert done.code == 0 and "v1" in done.out, done.err
    return server.state()
