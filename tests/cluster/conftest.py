"""A real S3 server, in a process of its own, and a bucket in it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inrzoo.store import ObjectPath, objects

for folder in ("benchmarks", "tests/builder"):
    sys.path.insert(0, str(Path(__file__).parents[2] / folder))
import faulty_s3  # noqa: E402


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    server, port = faulty_s3.start()
    yield port
    server.kill()
    server.wait()


@pytest.fixture
def bucket(
    s3_port: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[ObjectPath]:
    """A place in the bucket for one test; credentials are where users have them, the cache is the test's own."""
    for name, value in faulty_s3.credentials(s3_port).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("INRZOO_CACHE", str(tmp_path / "cache"))
    objects._client.cache_clear()
    yield ObjectPath.parse(f"s3://{faulty_s3.BUCKET}/{request.node.name}")
    objects._client.cache_clear()
