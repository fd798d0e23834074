"""Objects called as paths, and the lease that keeps drivers apart."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import PurePosixPath

import faulty_s3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrzoo.errors import InrzooError
from inrzoo.store import ObjectPath, lease, location, objects
from inrzoo.store.files import file_sizes, is_there, remove_tree, sha256, write_atomically
from inrzoo.store.lock import only_writer
from inrzoo.store.objects import Changed


@given(
    st.lists(st.from_regex(r"[a-z0-9_.-]*[a-z0-9_-]", fullmatch=True).filter(lambda part: part[0] != "."), min_size=2)
)
def test_names_are_those_of_pathlib(parts: list[str]) -> None:
    path, known = ObjectPath.parse("s3://bucket/" + "/".join(parts)), PurePosixPath("/".join(parts))
    assert (path.key, path.name, path.parent.key) == (str(known), known.name, str(known.parent))
    assert path.with_suffix(".x").key == str(known.with_suffix(".x"))
    assert path.with_name("y").key == str(known.with_name("y"))
    assert (path / "z").key == str(known / "z")
    assert location(str(path)) == path


@pytest.mark.parametrize("url", ["s3://", "s3://bucket", "s3:///name", "https://host/name.zarr", "ftp://host/x"])
def test_what_is_no_place_for_a_store(url: str) -> None:
    with pytest.raises(InrzooError, match="s3://"):
        location(url)


def test_written_read_listed_removed(bucket: ObjectPath) -> None:
    assert file_sizes(bucket) == {}
    for name in ("b/c", "a", "zarr.json"):
        write_atomically(bucket / name, name.encode() * 3)
    assert file_sizes(bucket) == {"a": 3, "b/c": 9, "zarr.json": 27}
    assert (bucket / "b/c").read_bytes() == b"b/c" * 3
    assert (bucket / "b/c").read_range(2, 5) == (b"b/c" * 3)[2:5]
    assert sha256(bucket / "a") == "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0"  # of b"aaa"
    assert is_there(bucket) and not (bucket / "b").exists()
    remove_tree(bucket)
    assert not is_there(bucket) and file_sizes(bucket) == {}
    with pytest.raises(FileNotFoundError):
        (bucket / "a").read_bytes()


def test_conditional_writes(bucket: ObjectPath) -> None:
    path = bucket / "x"
    tag = path.create(b"one")
    with pytest.raises(Changed):
        path.create(b"two")
    newer = path.replace(b"two", tag)
    with pytest.raises(Changed):
        path.replace(b"three", tag)
    assert path.read_tagged() == (b"two", newer)
    # A write whose answer was lost is found out by what is there.
    assert path.create(b"two") == newer
    assert path.replace(b"two", tag) == newer


def test_no_credentials_and_no_server_are_one_line(bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{faulty_s3.free_port()}")
    monkeypatch.setattr(objects, "RETRIES", 1)
    objects._client.cache_clear()
    with pytest.raises(OSError, match="s3://") as said:
        (bucket / "x").read_bytes()
    assert "\n" not in str(said.value)


@pytest.mark.slow
def test_every_fault_of_a_server_is_survived(s3_port: int, bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = faulty_s3.Proxy(s3_port, share=0.3, seed=1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    objects._client.cache_clear()
    path, tag = bucket / "lease", ""
    tag = path.create(b"0")
    for turn in range(1, 40):
        tag = path.replace(str(turn).encode(), tag)
        (bucket / f"d/{turn % 5}").write_bytes(os.urandom(4) * 30_000)
        assert path.read_tagged() == (str(turn).encode(), tag)
        assert len((bucket / f"d/{turn % 5}").read_bytes()) == 120_000
    assert len((bucket / "d").files()) == 5
    remove_tree(bucket / "d")
    proxy.close()
    assert set(proxy.faults) == set(proxy.KINDS)


def test_only_one_driver(bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.6)
    monkeypatch.setattr(lease, "_is_dead", lambda content: False)
    with only_writer(bucket):
        with only_writer(bucket):
            pass  # inside of itself
        other = lease.Lease(bucket.with_name(f"{bucket.name}.lease"))
        with pytest.raises(InrzooError, match="another process is writing"):
            other.take()
        time.sleep(1)
        lease.require(bucket)  # renewed meanwhile
    other.take()
    other.give_back()
    assert json.loads(other.path.read_bytes()) == {}


def test_a_silent_holder_is_replaced_and_told(bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.6)
    monkeypatch.setattr(lease, "_is_dead", lambda content: False)
    with lease.hold(bucket):
        path = bucket.with_name(f"{bucket.name}.lease")
        mine = lease._held[path]
        keep_away = threading.Event()
        monkeypatch.setattr(ObjectPath, "replace", _paused(ObjectPath.replace, threading.current_thread(), keep_away))
        lease.Lease(path).take()
        keep_away.set()
        deadline = time.monotonic() + 10
        while not mine.lost and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(InrzooError, match="taken over"):
            lease.require(bucket)


def test_a_dead_holder_of_this_machine_is_replaced_at_once(bucket: ObjectPath) -> None:
    code = (
        "import os, sys; from inrzoo.store import ObjectPath, lease;"
        f"lease.Lease(ObjectPath.parse({str(bucket)!r} + '.lease')).take(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    started = lease.Lease(bucket.with_name(f"{bucket.name}.lease"))
    assert json.loads(started.path.read_bytes())["process"]
    began = time.monotonic()
    started.take()
    assert time.monotonic() - began < lease.LEASE_SECONDS / 2


def test_who_is_dead() -> None:
    """Only what is certain: a process of this machine that is gone, or whose number another one has by now."""
    here = lease._process()
    assert not lease._is_dead(here)
    assert lease._is_dead({**here, "process": [os.getpid(), "1"]})
    assert not lease._is_dead({**here, "machine": "another", "process": [os.getpid(), "1"]})
    assert not lease._is_dead({"holder": "a system that tells nothing"})


def _paused(replace, mine: threading.Thread, go_on: threading.Event):  # type: ignore[no-untyped-def]
    """`replace`, for which every thread but this one waits: a driver that the system lets sleep."""

    def waiting(self: ObjectPath, content: bytes, tag: str) -> str:
        if threading.current_thread() is not mine:
            go_on.wait()
        return str(replace(self, content, tag))

    return waiting
