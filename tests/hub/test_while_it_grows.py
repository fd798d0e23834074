"""A push and a pull while somebody else writes to the store: nothing is lost, nothing half-made is published."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from client import Client, Done
from server import Hub
from tiny_store import small, store_bytes

from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.hub.snapshot import snapshot
from inrzoo.store import only_writer, open_store
from inrzoo.verify import verify


def one_line(done: Done) -> str:
    assert done.code == 2 and done.out == "" and len(done.err.splitlines()) == 1, done
    return done.err


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A finished store that a test may change; afterwards nothing lies beside it."""
    path = tmp_path / "tiny.zarr"
    shutil.copytree(finished, path)
    yield path
    assert [name for name in os.listdir(tmp_path) if "push" in name or "lock" in name] == []  # noqa: PTH208


def whole(hub: Hub, version: str) -> bool:
    """Whether a version has every file that its root records."""
    import hashlib
    import json

    tree = hub.tree("ada/tiny", version)
    recorded = json.loads(tree["tiny.zarr/zarr.json"])["attributes"]["checksums"]
    return all(hashlib.sha256(tree.get(f"tiny.zarr/{name}", b"")).hexdigest() == sha for name, sha in recorded.items())


def test_a_snapshot_does_not_change_when_the_store_does(copied: Path) -> None:
    """Hard links are never written through: a build of more seeds, statistics and repairs write new files."""
    from inrzoo import stats
    from inrzoo.verify import repair

    before = store_bytes(copied)
    with snapshot(copied, partial=False) as taken:
        home = Path(str(taken.path))
        assert store_bytes(home) == before
        assert (home / "weights/c/0/0/0/0").samefile(copied / "weights/c/0/0/0/0")
        assert not (home / "zarr.json").samefile(copied / "zarr.json")
        build(small(seeds=3), copied, in_process=True, quiet=True)
        stats.recompute(copied)
        damaged = copied / "weights/c/0/2/0/0"
        damaged.write_bytes(bytes(damaged.stat().st_size))
        repair(copied, verify(copied))
        assert store_bytes(home) == before and verify(home).problems == []
    assert not home.exists()


def test_what_dead_pushes_left_is_removed(copied: Path) -> None:
    left = copied.parent / ".tiny.zarr.push-1-gone"
    left.mkdir()
    (left / ".lock").touch()
    with snapshot(copied, partial=False) as first, snapshot(copied, partial=False) as second:
        assert not left.exists()
        assert first.path != second.path and store_bytes(Path(str(first.path))) == store_bytes(copied)


def test_a_push_while_somebody_writes_is_one_line(hub: Hub, client: Client, copied: Path) -> None:
    with only_writer(copied):
        for words in (("push", copied, "ada/tiny"), ("pull", "ada/tiny", "--out", copied)):
            assert "another process is writing to" in one_line(client.inrzoo(*words))
    assert not hub.repos


def test_a_store_with_a_link_is_not_pushed(hub: Hub, client: Client, copied: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes((copied / "psnr/c/0/0/0").read_bytes())
    (copied / "psnr/c/0/0/0").unlink()
    (copied / "psnr/c/0/0/0").symlink_to(secret)
    assert "is a link" in one_line(client.inrzoo("push", copied, "ada/tiny"))
    assert not hub.repos


def test_a_store_that_grows_while_it_is_pushed(hub: Hub, client: Client, copied: Path) -> None:
    """The seed that comes meanwhile is in the next version; the store is never called damaged."""

    def grow(what: str) -> None:
        if what == "POST /api/repos/create":
            hub.at_request = None
            build(small(seeds=3), copied, in_process=True, quiet=True)

    hub.at_request = grow
    done = client.inrzoo("push", copied, "ada/tiny")
    assert done.code == 0 and "v1" in done.out, done.err
    assert whole(hub, "v1") and open_store(copied).num_seeds == 3
    done = client.inrzoo("push", copied, "ada/tiny")
    assert done.code == 0 and "v2" in done.out and whole(hub, "v2"), done.err


@pytest.mark.parametrize(
    "lost",
    [
        "tiny.zarr/psnr/c/0/1/0",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("README.md", "data/train-seed00001-00000-of-00001.parquet")
        ),
    ],
)
def test_a_broken_version_is_followed_by_a_whole_one(pushed: Hub, client: Client, finished: Path, lost: str) -> None:
    expected = pushed.tree("ada/tiny")
    repo = pushed.repos["ada/tiny"]
    for tree in repo.commits.values():
        tree.pop(lost, None)
    done = client.inrzoo("push", finished, "ada/tiny")
    assert done.code == 0 and "v2" in done.out, done.err
    assert f"the version before lacks or has damaged 1 file(s), the first: {lost}" in done.out
    after = pushed.tree("ada/tiny", "v2")
    assert after.keys() == expected.keys() and whole(pushed, "v2")
    assert {name for name in after if after[name] != expected[name]} <= {"README.md", "croissant.json"}  # they name it
    assert "is there already" in client.inrzoo("push", finished, "ada/tiny").out


def test_what_a_build_adds_while_a_pull_runs_is_kept(
    pushed: Hub, client: Client, finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tiny.zarr"
    build(small(seeds=1), out, in_process=True, quiet=True)
    refused = []

    def grow(what: str) -> None:
        if "/weights/c/0/1/" in what:
            pushed.at_request = None
            try:
                build(small(seeds=3), out, in_process=True, quiet=True)
            except InrzooError as error:
                refused.append(str(error))

    pushed.at_request = grow
    done = client.inrzoo("pull", "ada/tiny", "--out", out)
    assert done.code == 0 and "another process is writing to" in refused[0], done.err
    assert store_bytes(out) == store_bytes(finished)


def test_a_change_that_takes_no_lock_is_not_overwritten(
    pushed: Hub, client: Client, larger: Path, tmp_path: Path
) -> None:
    """An older inrzoo, or another machine, knows no such lock."""
    out = tmp_path / "tiny.zarr"

    def come(what: str) -> None:
        if "/weights/c/0/1/" in what:
            pushed.at_request = None
            shutil.copytree(larger, out)

    pushed.at_request = come
    assert "was changed by another process during the pull" in one_line(client.inrzoo("pull", "ada/tiny", "--out", out))
    assert store_bytes(out) == store_bytes(larger)


def test_two_pulls_at_once_do_not_mix(pushed: Hub, client: Client, finished: Path, tmp_path: Path) -> None:
    pushed.latency = 0.01
    both = [client.start("pull", "ada/tiny", cwd=tmp_path) for _ in range(2)]
    done = [running.wait() for running in both]
    assert any(one.code == 0 for one in done)
    assert all(one.code == 0 or "another process is writing to" in one_line(one) for one in done)
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(finished)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.zarr"]


@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_terminated_command_goes_on(
    hub: Hub, client: Client, finished: Path, copied: Path, tmp_path: Path, command: str
) -> None:
    """SIGTERM is what a machine sends before it is taken away."""
    words = ["push", copied, "ada/tiny"] if command == "push" else ["pull", "ada/tiny", "--out", tmp_path / "b.zarr"]
    if command == "pull":
        assert client.inrzoo("push", copied, "ada/tiny").code == 0
    victim: list[int] = []

    def stop(what: str) -> None:
        if "PUT /lfs/" in what or (command == "pull" and "/weights/c/0/1/" in what):
            hub.at_request = None
            while not victim:
                time.sleep(0.001)
            os.kill(victim[0], signal.SIGTERM)
            time.sleep(0.3)

    hub.at_request = stop
    running = client.start(*words)
    victim.append(running.pid)
    done = running.wait()
    assert done.code in (128 + signal.SIGINT, 128 + signal.SIGTERM) and "stopped; finished" in done.err, done
    assert "Traceback" not in done.err
    assert not (tmp_path / "b.zarr").exists() and store_bytes(copied) == store_bytes(finished)
    done = client.inrzoo(*words)
    assert done.code == 0, done.err
    assert list(hub.repos["ada/tiny"].tags) == ["v1"] and whole(hub, "v1")
    assert command == "push" or store_bytes(tmp_path / "b.zarr") == store_bytes(finished)
