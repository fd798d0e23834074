"""A store in a bucket, pushed without being in a folder first."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from client import Client
from server import Hub
from tiny_store import small, store_bytes

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import faulty_s3

from inrzoo.builder import build
from inrzoo.store import objects

PUSH = """
import os
os.environ.update({environment!r})
from inrzoo import hub
from inrzoo.verify import verify
print(hub.push({place!r}, "ada/tiny", verify=verify).version)
"""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, str]]:
    server, port = faulty_s3.start()
    found = {**faulty_s3.credentials(port), "INRZOO_CACHE": str(tmp_path / "cache")}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    objects._client.cache_clear()
    yield found
    objects._client.cache_clear()
    server.kill()
    server.wait()


@pytest.mark.slow
def test_pushed_from_a_bucket(
    hub: Hub, client: Client, finished: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    place = f"s3://{faulty_s3.BUCKET}/tiny.zarr"
    build(small(seeds=1), place, in_process=True, quiet=True)
    done = client.python(PUSH.format(environment=environment, place="s3://inrzoo-test/none.zarr"))
    assert done.code != 0 and "could not read" in done.err
    build(small(), place, in_process=True, quiet=True)
    done = client.python(PUSH.format(environment=environment, place=place))
    assert done.code == 0 and done.out.strip().endswith("1"), done.err
    pulled = client.inrzoo("pull", "ada/tiny", cwd=tmp_path)
    assert pulled.code == 0, pulled.err
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(finished)
