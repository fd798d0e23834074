"""Stores in a bucket: the same bytes as in a folder, by every command, and after every interruption."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import faulty_s3
import numpy as np
import pytest
from processes import command
from tiny_store import small, store_bytes, tiny

import inrzoo
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.store import Block, ObjectPath, blocks, finalise, open_store
from inrzoo.store.files import remove_tree, sha256
from inrzoo.verify import verify


class Stopped(BaseException):
    """As a killed process: nothing on the way makes an error of it."""


CommandLine = Callable[..., tuple[int, str, str]]


def object_bytes(place: ObjectPath) -> dict[str, str]:
    """`store_bytes` of a store in a bucket."""
    return {name: sha256(place / name) for name in place.files()}


@pytest.fixture
def built(bucket: ObjectPath, finished_small: Path) -> ObjectPath:
    """A finished store in the bucket. The first test below shows that a build makes the same one."""
    place = bucket / "tiny.zarr"
    for name in store_bytes(finished_small):
        (place / name).write_bytes((finished_small / name).read_bytes())
    return place


def test_the_same_bytes_as_in_a_folder(bucket: ObjectPath, finished_small: Path) -> None:
    place = bucket / "tiny.zarr"
    build(small(), str(place), in_process=True, quiet=True)
    assert object_bytes(place) == store_bytes(finished_small)
    assert place.with_suffix(".build.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["random", "fixed"])
def test_more_seeds(mode: str, bucket: ObjectPath, tmp_path: Path) -> None:
    build(tiny(seeds=3, init__mode=mode), tmp_path / "three.zarr", in_process=True, quiet=True)
    for seeds in (1, 3):
        build(tiny(seeds=seeds, init__mode=mode), str(bucket / "x.zarr"), in_process=True, quiet=True)
    assert object_bytes(bucket / "x.zarr") == store_bytes(tmp_path / "three.zarr")


def test_every_command(built: ObjectPath, finished_small: Path, inrzoo: CommandLine, tmp_path: Path) -> None:
    before = object_bytes(built)
    code, out, _ = inrzoo("verify", built)
    assert code == 0 and "12 INRs checked" in out, out
    code, out, _ = inrzoo("info", built)
    assert code == 0 and "complete" in out
    code, out, _ = inrzoo("stats", built)
    assert code == 0 and object_bytes(built) == before
    assert inrzoo("preview", built, "--out", tmp_path / "there.png")[0] == 0
    assert inrzoo("preview", finished_small, "--out", tmp_path / "here.png")[0] == 0
    assert (tmp_path / "there.png").read_bytes() == (tmp_path / "here.png").read_bytes()
    code, _, errors = inrzoo("info", built.with_name("nothing.zarr"))
    assert code == 2 and "could not read" in errors
    code, _, errors = inrzoo("build", "digits", "--out", "https://host/x.zarr")
    assert code == 2 and "can only be read" in errors


def test_loaded_like_a_folder(built: ObjectPath, finished_small: Path) -> None:
    here, there = inrzoo.load(finished_small), inrzoo.load(str(built))
    assert len(here) == len(there)
    for index in (0, 3, len(here) - 1):
        assert bool((here[index].weights == there[index].weights).all())


def test_an_unfinished_store_is_read_where_it_lies(
    bucket: ObjectPath, finished_small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = bucket / "x.zarr"
    _stop_after(monkeypatch, 4)
    with pytest.raises(Stopped):
        build(small(), str(place), in_process=True, quiet=True)
    store, whole = open_store(str(place)), open_store(finished_small)
    done = np.isfinite(store.psnr[:, :, 0])
    assert not store.complete and 0 < done.sum() < done.size
    np.testing.assert_array_equal(store.psnr[done], whole.psnr[done])
    np.testing.assert_array_equal(store.weights[:, 0][done[:, 0]], whole.weights[:, 0][done[:, 0]])
    assert verify(str(place)).problems[-1].startswith("incomplete")
    monkeypatch.undo()


@pytest.mark.parametrize(
    "stops",
    [
        pytest.param([4, 20, 36, 5, 8, 20, 0], id="some"),
        pytest.param([4, *[5] * 8, *range(6, 26, 2), 0], id="many", marks=pytest.mark.slow),
    ],
)
def test_stopped_anywhere_and_continued(
    stops: list[int], bucket: ObjectPath, s3_port: int, finished_small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that fails at one of its writes, again and again: while it creates, writes blocks, publishes, seals."""
    place, writes, stop, turns = bucket / "x.zarr", 0, 0, 0
    write, conditional = ObjectPath.write_bytes, ObjectPath._conditionally

    def counted(self: ObjectPath, content: bytes, *further: object) -> object:
        nonlocal writes
        writes += 1
        if stop and writes >= stop and "lease" not in self.name:
            raise Stopped
        return (conditional if further else write)(self, content, *further)  # type: ignore[arg-type]

    monkeypatch.setattr(ObjectPath, "write_bytes", counted)
    monkeypatch.setattr(ObjectPath, "_conditionally", counted)
    for at in stops:
        writes, stop = 0, at
        try:
            build(small(), str(place), in_process=True, quiet=True)
        except Stopped:
            turns += 1
    assert turns > len(stops) / 3  # a build that is complete writes nothing more
    assert object_bytes(place) == store_bytes(finished_small)


@pytest.mark.slow
def test_damage_is_found_and_repaired(built: ObjectPath, inrzoo: CommandLine) -> None:
    before, shard = object_bytes(built), built / "weights/c/0/1/0/0"
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(bytes(content))
    assert inrzoo("verify", built)[0] == 1
    assert inrzoo("verify", built, "--repair")[0] == 0
    assert object_bytes(built) == before


@pytest.mark.slow
def test_signals_that_may_not_be_published(bucket: ObjectPath, tmp_path: Path) -> None:
    secret = small(redistributable=False)
    build(secret, tmp_path / "x.zarr", in_process=True, quiet=True)
    build(secret, str(bucket / "x.zarr"), in_process=True, quiet=True)
    assert object_bytes(bucket / "x.zarr") == store_bytes(tmp_path / "x.zarr")
    assert not any("signals/c" in name for name in object_bytes(bucket / "x.zarr"))


def test_signals_are_fetched_once_a_machine(built: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_store(built).signals(slice(0, 6))
    read = ObjectPath.read_bytes

    def only_others(self: ObjectPath) -> bytes:
        assert "/signals/c/" not in self.key, "the chunk is on this machine already"
        return read(self)

    monkeypatch.setattr(ObjectPath, "read_bytes", only_others)
    np.testing.assert_array_equal(open_store(built).signals(slice(0, 6)), first)


def test_a_root_that_another_has_changed_is_not_overwritten(built: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    read = ObjectPath.read_tagged

    def and_then_another(self: ObjectPath) -> tuple[bytes, str]:
        found = read(self)
        if self.name == "zarr.json" and self.parent == built:
            self.write_bytes(found[0] + b" ")
        return found

    monkeypatch.setattr(ObjectPath, "read_tagged", and_then_another)
    with pytest.raises(InrzooError, match="another process has written"):
        finalise.change_info(built, complete=False)


def test_a_join_by_a_worker_is_that_of_the_driver(built: ObjectPath) -> None:
    before, store = object_bytes(built), open_store(built)
    finalise.unpublish(built, 0, set())
    for index in range(store.partition.num_blocks):
        path = blocks.weights_path(built, Block(0, index))
        rows = store.partition.rows(index)
        path.write_bytes(np.ascontiguousarray(store.weights[rows, 0]).tobytes())
    shard = built / "weights/c/0/0/0/0"
    shard.unlink()
    joined = finalise.join_shard(built, 0, 0)
    assert joined.sha256 == before["weights/c/0/0/0/0"] == sha256(shard)
    np.testing.assert_array_equal(joined.record.psnr, store.psnr[:, 0])
    np.testing.assert_array_equal(joined.record.sha256.reshape(-1, 32), store.block_sha256[:, 0])


@pytest.mark.slow
def test_killed_drivers_and_a_faulty_server(bucket: ObjectPath, s3_port: int, tmp_path: Path) -> None:
    """SIGKILL at growing moments of a build through a proxy that refuses and cuts a tenth of all requests."""
    proxy = faulty_s3.Proxy(s3_port, share=0.1, seed=0)
    environment = {**os.environ, **faulty_s3.credentials(proxy.port)}
    place = bucket / "x.zarr"
    words = command(place, "--in-process", steps=40)  # type: ignore[arg-type]
    for seconds in (4, 5, 6, 7, 8):
        process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    subprocess.run(words, env=environment, check=True, timeout=300)
    proxy.close()
    subprocess.run(command(tmp_path / "x.zarr", "--in-process", steps=40), check=True)
    assert sum(proxy.faults.values()) > 5
    assert object_bytes(place) == store_bytes(tmp_path / "x.zarr")


@pytest.mark.slow
def test_workers_write_to_the_bucket(bucket: ObjectPath, finished: Path) -> None:
    report = build(tiny(), str(bucket / "x.zarr"), workers=2, quiet=True)
    assert report.executor == "ray"
    assert object_bytes(bucket / "x.zarr") == store_bytes(finished)


def test_no_bucket_is_one_line(bucket: ObjectPath, inrzoo: CommandLine) -> None:
    code, _, errors = inrzoo("build", "digits", "--out", "s3://there-is-none/x.zarr")
    assert code == 2 and "there is no bucket s3://there-is-none" in errors and errors.count("\n") == 1


@pytest.mark.slow
def test_replaced_whole(built: ObjectPath, finished_small: Path) -> None:
    build(small(seeds=1, fit__lr=1e-3), str(built), in_process=True, quiet=True, overwrite=True)
    assert object_bytes(built) != store_bytes(finished_small)
    remove_tree(built)
    (built / "junk/of/another").write_bytes(b"upload")
    build(small(), str(built), in_process=True, quiet=True)
    assert object_bytes(built) == store_bytes(finished_small)


def _stop_after(monkeypatch: pytest.MonkeyPatch, num_blocks: int) -> None:
    from inrzoo.builder import execute

    write, written = execute.write_block, []

    def counted(*arguments: object) -> None:
        written.append(write(*arguments))  # type: ignore[arg-type, func-returns-value]
        if len(written) == num_blocks:
            raise Stopped

    monkeypatch.setattr(execute, "write_block", counted)
