"""Pushes and pulls that are killed, cut, refused or crossed, and what stands afterwards."""

import contextlib
import os
import random
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from client import Client, Done
from server import Fault, Hub, State
from tiny_store import small, store_bytes, tiny

from inrzoo.builder import build
from inrzoo.store import open_store
from inrzoo.verify import verify

Published = tuple[dict, dict, int, int]
"""The trees of two versions, and how many requests each push takes."""

COMMIT, TAG = r"POST .*/commit/", r"POST .*/tag/"


def one_line(done: Done) -> str:
    """Return the one-line error that a command printed."""
    assert done.code == 2 and done.out == "" and len(done.err.splitlines()) == 1, done
    assert done.err.startswith("inrzoo: ") and "hf_" not in done.err
    return done.err


def rows_of(hub: Hub, revision: str) -> dict[str, bytes]:
    """The Parquet files that a card's patterns select, as `load_dataset` sees them."""
    tree = hub.tree("ada/tiny", revision)
    header = yaml.safe_load(tree["README.md"].decode().split("---\n")[1])
    patterns = [path for entry in header["configs"][0]["data_files"] for path in entry["path"]]
    whole = [re.compile(re.escape(pattern).replace(r"\*", "[^/]*")) for pattern in patterns]
    return {name: content for name, content in tree.items() if any(one.fullmatch(name) for one in whole)}


@pytest.fixture(scope="module")
def published(_server: Hub, client: Client, finished: Path, larger: Path) -> tuple[dict, dict, int, int]:
    """Return the two versions as undisturbed pushes make them, and the number of requests of each push."""
    _server.reset()
    assert client.inrzoo("push", finished, "ada/tiny").code == 0
    first, num_first = _server.tree("ada/tiny"), len(_server.requests)
    assert client.inrzoo("push", larger, "ada/tiny").code == 0
    return first, _server.tree("ada/tiny"), num_first, len(_server.requests) - num_first


def kill_at(hub: Hub, client: Client, number: int, after: bool, *words: object, **settings: object) -> Done:
    """Run a command that is killed at one of its requests, before the Hub handles it or after."""
    hub.victim, hub.kill_at = 0, (len(hub.requests) + number, after)
    running = client.start(*words, **settings)
    hub.victim = running.pid
    done = running.wait()
    hub.kill_at = None
    return done


def push_killed_at(
    hub: Hub, client: Client, state: State, larger: Path, published: Published, number: int, after: bool
) -> None:
    """Kill a push of more seeds onto a version that has readers, look with their eyes, and push again."""
    first, second, _, _ = published
    hub.reset()
    hub.restore(state)
    done = kill_at(hub, client, number, after, "push", larger, "ada/tiny")
    assert done.code == -signal.SIGKILL
    repo = hub.repos["ada/tiny"]
    assert hub.tree("ada/tiny", "v1") == first
    ahead = hub.tree("ada/tiny")["tiny.zarr/zarr.json"] == second["tiny.zarr/zarr.json"]
    assert rows_of(hub, "main") == (rows_of_tree(second) if ahead else rows_of_tree(first))
    arrived = set(hub.uploads)
    hub.uploads.clear()
    done = client.inrzoo("push", larger, "ada/tiny")
    assert done.code == 0, done.err
    assert hub.tree("ada/tiny") == second and not arrived & set(hub.uploads)
    assert repo.tags.keys() == {"v1", "v2"} and hub.tree("ada/tiny", "v2") == second
    assert hub.tree("ada/tiny", "v1") == first


def rows_of_tree(tree: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in tree.items() if name.startswith("data/")}


def slow(*values: object) -> object:
    """Parameters that only the long run takes."""
    return pytest.param(*values, marks=pytest.mark.slow)


EVERY = pytest.mark.parametrize(
    "every", [pytest.param(7, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.exhaustive)]
)
"""Kill at every seventh request, or at every one."""


@pytest.mark.parametrize(
    ("share", "after"),
    [(0.6, False), slow(1.0, True), *(slow(0.3, after) for after in (False, True)), slow(0.6, True), slow(1.0, False)],
)
def test_a_killed_push_ends_in_the_same_tree(
    hub: Hub, client: Client, state: State, larger: Path, published: Published, share: float, after: bool
) -> None:
    push_killed_at(hub, client, state, larger, published, round(share * published[3]), after)


@EVERY
def test_a_push_killed_at_any_request_ends_in_the_same_tree(
    hub: Hub, client: Client, state: State, larger: Path, published: Published, every: int
) -> None:
    for number in range(1, published[3] + 1, every):
        push_killed_at(hub, client, state, larger, published, number, number % 2 == 0)


@EVERY
def test_a_first_push_killed_at_any_request_ends_in_the_same_tree(
    hub: Hub, client: Client, finished: Path, published: Published, every: int
) -> None:
    first, _, count, _ = published
    for number in range(1, count + 1, every):
        hub.reset()
        done = kill_at(hub, client, number, number % 2 == 1, "push", finished, "ada/tiny")
        assert done.code == -signal.SIGKILL
        done = client.inrzoo("push", finished, "ada/tiny")
        assert done.code == 0 and hub.tree("ada/tiny") == first, (number, done.err)
        assert hub.tree("ada/tiny", "v1") == first and list(hub.repos["ada/tiny"].tags) == ["v1"]


@pytest.mark.parametrize("seed", [slow(0), *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in (1, 2, 3))])
def test_pushes_killed_at_random_moments(
    hub: Hub, client: Client, finished: Path, published: Published, seed: int
) -> None:
    moments = random.Random(seed)
    hub.latency = 0.01
    for _ in range(6):
        running = client.start("push", finished, "ada/tiny")
        time.sleep(moments.uniform(0.1, 2.5))
        with contextlib.suppress(ProcessLookupError):  # it was done before its moment came
            os.kill(running.pid, signal.SIGKILL)
        running.wait()
    assert client.inrzoo("push", finished, "ada/tiny").code == 0
    assert hub.tree("ada/tiny") == hub.tree("ada/tiny", "v1") == published[0]


def test_readers_of_a_version_never_see_a_push(pushed: Hub, client: Client, larger: Path, published: Published) -> None:
    seen: list[bool] = []

    def look(what: str) -> None:
        if what.startswith("P") and len(pushed.repos["ada/tiny"].tags) == 1:
            root = pushed.tree("ada/tiny")["tiny.zarr/zarr.json"]
            old = root == published[0]["tiny.zarr/zarr.json"]
            seen.append(pushed.tree("ada/tiny", "v1") == published[0])
            seen.append(rows_of(pushed, "main") == rows_of_tree(published[0] if old else published[1]))

    pushed.at_request = look
    assert client.inrzoo("push", larger, "ada/tiny").code == 0
    assert len(seen) > 40 and all(seen)


@pytest.mark.parametrize(
    "fault",
    [
        slow(Fault(COMMIT, times=2, status=503)),
        Fault(COMMIT, times=1, kind="lost"),
        slow(Fault(COMMIT, times=1, kind="cut")),
        slow(Fault(TAG, times=1, status=500)),
        slow(Fault(TAG, times=1, kind="lost")),
        Fault("PUT /lfs/", times=1, kind="cut"),
        slow(Fault("PUT /lfs/", times=1, status=503)),
        slow(Fault("objects/batch", times=1, kind="lost")),
        Fault("POST .*/preupload/", times=1, status=429),
        slow(Fault("repos/create", times=1, kind="lost")),
        slow(Fault("GET .*/refs", times=1, kind="cut")),
    ],
    ids=lambda fault: f"{fault.pattern}-{fault.kind or fault.status}",
)
def test_a_push_survives(hub: Hub, client: Client, finished: Path, published: Published, fault: Fault) -> None:
    hub.faults = [Fault(**vars(fault))]
    done = client.inrzoo("push", finished, "ada/tiny")
    assert done.code == 0, done.err
    assert hub.faults[0].times == 0
    assert hub.tree("ada/tiny", "v1") == hub.tree("ada/tiny") == published[0]


@pytest.mark.slow
def test_a_commit_that_fails_for_good_is_one_line_and_goes_on_later(
    hub: Hub, client: Client, finished: Path, published: Published
) -> None:
    hub.faults = [Fault(COMMIT, times=100, status=502)]
    assert "status 502" in one_line(client.inrzoo("push", finished, "ada/tiny"))
    hub.faults, arrived = [], set(hub.uploads)
    hub.uploads.clear()
    assert client.inrzoo("push", finished, "ada/tiny").code == 0
    assert hub.tree("ada/tiny") == published[0] and arrived and not arrived & set(hub.uploads)


def test_two_pushers_of_one_store_make_one_version(
    hub: Hub, client: Client, finished: Path, published: Published
) -> None:
    hub.latency = 0.005
    both = [client.start("push", finished, "ada/tiny") for _ in range(2)]
    done = [running.wait() for running in both]
    for one in done:
        assert one.code == 0 or "another process" in one_line(one)
    assert any(one.code == 0 for one in done)
    assert client.inrzoo("push", finished, "ada/tiny").code == 0
    assert hub.tree("ada/tiny") == hub.tree("ada/tiny", "v1") == published[0]
    assert list(hub.repos["ada/tiny"].tags) == ["v1"]


@pytest.mark.slow
def test_two_pushers_of_two_stores_do_not_mix(hub: Hub, client: Client, finished: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.zarr"
    build(small(fit__lr=1e-3), other, in_process=True, quiet=True)
    hub.latency = 0.005
    both = {path: client.start("push", path, "ada/tiny") for path in (finished, other)}
    done = {path: running.wait() for path, running in both.items()}
    winners = [path for path, one in done.items() if one.code == 0]
    assert len(winners) == 1
    for path in {finished, other} - {*winners}:
        assert re.search("another process has pushed|holds other INRs", one_line(done[path]))
        assert "holds other INRs (fit.lr: " in one_line(client.inrzoo("push", path, "ada/tiny"))
    assert client.inrzoo("pull", "ada/tiny", cwd=tmp_path).code == 0
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(winners[0])
    hub.reset()
    assert client.inrzoo("push", winners[0], "ada/tiny").code == 0
    expected = hub.tree("ada/tiny")
    assert set(expected) and all(
        name.startswith(("tiny.zarr", "data", ".git", "README", "preview", "croissant")) for name in expected
    )


def test_a_push_that_was_overtaken_while_it_verified(hub: Hub, client: Client, finished: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.zarr"
    build(small(fit__lr=1e-3), other, in_process=True, quiet=True)

    def overtake(what: str) -> None:
        if what == "POST /api/repos/create":
            hub.at_request = None
            assert client.inrzoo("push", other, "ada/tiny").code == 0

    hub.at_request = overtake
    assert "holds other INRs" in one_line(client.inrzoo("push", finished, "ada/tiny"))
    assert client.inrzoo("pull", "ada/tiny", cwd=tmp_path).code == 0
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(other)
    assert hub.tree("ada/tiny") == hub.tree("ada/tiny", "v1")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("share", [slow(0.3), 0.7, slow(1.0)])
def test_a_killed_pull_goes_on(
    pushed_shards: Hub, client: Client, sharded: Path, tmp_path: Path, share: float, after: bool
) -> None:
    pushed_shards.requests.clear()
    assert client.inrzoo("pull", "ada/tiny", "--out", tmp_path / "whole.zarr").code == 0
    number = round(share * len(pushed_shards.requests))
    done = kill_at(pushed_shards, client, number, after, "pull", "ada/tiny", cwd=tmp_path)
    assert done.code == -signal.SIGKILL and not (tmp_path / "tiny.zarr").exists()
    fetched = {
        str(path.relative_to(tmp_path / ".tiny.zarr.pull")) for path in (tmp_path / ".tiny.zarr.pull").rglob("c/**/*")
    }
    pushed_shards.requests.clear()
    done = client.inrzoo("pull", "ada/tiny", cwd=tmp_path)
    assert done.code == 0, done.err
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(sharded)
    asked = {
        what.rsplit("/resolve/", 1)[1].split("/", 1)[1]
        for what in pushed_shards.requests
        if what.startswith("GET /datasets")
    }
    assert not asked & {name for name in fetched if name.split("/")[-1].isdigit()}
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.zarr", "whole.zarr"}


@pytest.mark.parametrize("kind", ["cut", "corrupt"])
def test_a_pull_survives_a_bad_transfer(pushed: Hub, client: Client, finished: Path, tmp_path: Path, kind: str) -> None:
    pushed.faults = [Fault("GET .*/resolve/.*/weights/c/0/1/", kind=kind)]
    done = client.inrzoo("pull", "ada/tiny", cwd=tmp_path)
    assert done.code == 0 and not pushed.faults[0].times, done.err
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(finished)


def test_a_file_that_is_damaged_for_good_is_named(pushed: Hub, client: Client, tmp_path: Path) -> None:
    pushed.faults = [Fault("GET .*/resolve/.*/weights/c/0/1/", times=100, kind="corrupt")]
    assert "weights/c/0/1/0/0 of ada/tiny arrived damaged" in one_line(client.inrzoo("pull", "ada/tiny", cwd=tmp_path))
    assert not (tmp_path / "tiny.zarr").exists()


def test_the_shards_of_a_split(pushed_shards: Hub, client: Client, sharded: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.zarr"
    pushed_shards.sent["down"] = 0
    done = client.inrzoo("pull", "ada/tiny", "--split", "test", cwd=tmp_path)
    assert done.code == 0 and "a part (the shards of test)" in done.out, done.err
    part, whole = open_store(path), open_store(sharded)
    assert part.partial == ["test"] and not part.complete
    here = whole.split == whole.info.split_names.index("test")
    assert here.any() and (part.status[here] == whole.status[here]).all()
    assert (part.weights[here] == whole.weights[here]).all()
    absent = part.status == 0
    assert absent[:40].all() and (part.status.shape == whole.status.shape)
    assert np.isnan(part.weights[:40]).all() and np.isnan(part.psnr[:40]).all()
    assert not part.select()[:40].any() and (part.select()[here] == whole.select()[here]).all()
    findings = verify(path)
    assert findings.problems == [] and findings.part == f"{2 * 8} of 96 INRs, the shards of test"
    said = client.inrzoo("verify", path)
    assert said.code == 0 and "(a part: 16 of 96 INRs, the shards of test)" in said.out
    assert client.inrzoo("info", path).code == 0
    assert "not complete" in one_line(client.inrzoo("push", path, "ada/other"))


def test_a_part_is_completed(pushed_shards: Hub, client: Client, sharded: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.zarr"
    assert client.inrzoo("pull", "ada/tiny", "--split", "test", cwd=tmp_path).code == 0
    done = client.inrzoo("pull", "ada/tiny", "--split", "validation", cwd=tmp_path)
    assert done.code == 0 and open_store(path).partial == ["test", "validation"], done.err
    pushed_shards.requests.clear()
    assert client.inrzoo("pull", "ada/tiny", cwd=tmp_path).code == 0
    assert store_bytes(path) == store_bytes(sharded)
    asked = {what for what in pushed_shards.requests if what.startswith("GET /datasets") and "/weights/c/" in what}
    assert asked and not [what for what in asked if "/weights/c/5/" in what]


def test_a_damaged_part_is_found(pushed_shards: Hub, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "tiny.zarr"
    assert client.inrzoo("pull", "ada/tiny", "--split", "test", cwd=tmp_path).code == 0
    shard = path / "weights/c/5/1/0/0"
    shard.write_bytes(shard.read_bytes()[:-200] + bytes(200))
    assert any("weights/c/5/1/0/0" in problem for problem in verify(path).problems)
    shard.unlink()
    assert client.inrzoo("verify", path).code == 1
    assert client.inrzoo("pull", "ada/tiny", "--split", "test", cwd=tmp_path).code == 0
    assert verify(path).problems == []
    next((path / "_build/blocks").glob("seed00001-*.npz")).unlink()
    assert any("of 96 INRs are missing; pull it again" in problem for problem in verify(path).problems)
    assert client.inrzoo("pull", "ada/tiny", "--split", "test", cwd=tmp_path).code == 0
    assert verify(path).problems == [] and open_store(path).partial == ["test"]


def test_a_pull_mends_a_damaged_store(pushed_shards: Hub, client: Client, sharded: Path, tmp_path: Path) -> None:
    assert client.inrzoo("pull", "ada/tiny", cwd=tmp_path).code == 0
    shard = tmp_path / "tiny.zarr/weights/c/2/1/0/0"
    shard.write_bytes(bytes(shard.stat().st_size))
    (tmp_path / "tiny.zarr/psnr/c/0/0/0").unlink()
    pushed_shards.requests.clear()
    assert client.inrzoo("pull", "ada/tiny", cwd=tmp_path).code == 0
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(sharded)
    assert len([what for what in pushed_shards.requests if what.startswith("GET") and "/c/" in what]) == 2


def test_a_part_can_be_built_to_its_end(pushed_shards: Hub, client: Client, sharded: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.zarr"
    assert client.inrzoo("pull", "ada/tiny", "--split", "test", cwd=tmp_path).code == 0
    build(tiny(fit__steps=10), path, in_process=True, quiet=True)
    assert store_bytes(path) == store_bytes(sharded)


def test_the_first_seeds_are_a_store_of_fewer_seeds(
    hub: Hub, client: Client, finished: Path, larger: Path, tmp_path: Path
) -> None:
    assert client.inrzoo("push", larger, "ada/tiny").code == 0
    hub.requests.clear()
    done = client.inrzoo("pull", "ada/tiny", "--seeds", 2, cwd=tmp_path)
    assert done.code == 0 and "a part (2 of 3 seeds)" in done.out, done.err
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(finished)
    assert not [what for what in hub.requests if "/weights/c/0/2/" in what]
    hub.requests.clear()
    assert client.inrzoo("pull", "ada/tiny", cwd=tmp_path).code == 0
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(larger)
    assert not [what for what in hub.requests if "/weights/c/0/0/" in what or "/weights/c/0/1/" in what]
    assert "1 to 3" in one_line(client.inrzoo("pull", "ada/tiny", "--seeds", 4, cwd=tmp_path))


def test_seeds_and_splits_together(pushed_shards: Hub, client: Client, sharded: Path, tmp_path: Path) -> None:
    done = client.inrzoo("pull", "ada/tiny", "--split", "test", "--seeds", 1, cwd=tmp_path)
    assert done.code == 0 and "1 of 2 seeds and the shards of test" in done.out, done.err
    part = open_store(tmp_path / "tiny.zarr")
    assert part.status.shape == (48, 1) and verify(part.path).problems == []
    assert client.inrzoo("pull", "ada/tiny", cwd=tmp_path).code == 0
    assert store_bytes(tmp_path / "tiny.zarr") == store_bytes(sharded)
