"""A store to the Hub and back, with the real client."""

from pathlib import Path

from client import Client
from server import Hub
from tiny_store import store_bytes


def test_what_is_pulled_is_what_was_pushed(hub: Hub, client: Client, finished: Path, tmp_path: Path) -> None:
    done = client.inrzoo("push", finished, "ada/tiny")
    assert done.code == 0, done.err
    print(done.out, *hub.requests, sep="\n")
    print(*[(k, len(v)) for k, v in hub.tree("ada/tiny").items()], sep="\n")
    print(hub.tree("ada/tiny")["README.md"].decode())
    done = client.inrzoo("pull", "ada/tiny", cwd=tmp_path)
    assert done.code == 0, done.err
    print(done.out)
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(finished)
    done = client.inrzoo("push", finished, "ada/tiny")
    print(done)
