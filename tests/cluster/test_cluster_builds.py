"""Builds on several Ray nodes: the same bytes, through the workers alone, as nodes join and die."""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import committed, complete, ray_workers
from ray_nodes import Nodes
from tiny_store import store_bytes, tiny

from inrzoo import builder
from inrzoo.builder import build, execute
from inrzoo.builder.cluster import NO_SERVER, connect, room
from inrzoo.builder.execute import Shard, Worker
from inrzoo.builder.queue import ATTEMPTS, MAX_BLOCKS_PER_MESSAGE, MESSAGE_SECONDS, Queue, Task
from inrzoo.errors import InrzooError
from inrzoo.store import Block, ObjectPath, blocks, finalise, open_store
from inrzoo.store.files import sha256

CommandLine = Callable[..., tuple[int, str, str]]
SLOW = {"fit__steps": 400, "fit__stop_psnr": None}
"""Settings of a build that takes long enough to be disturbed."""

amounts = st.floats(0, 64).map(lambda amount: round(amount, 2))
nodes = st.lists(st.builds(lambda cpu, gpu, alive: {"Alive": alive, "Resources": {"CPU": cpu, "GPU": gpu}},
                           amounts, amounts, st.booleans()), max_size=6)  # fmt: skip


@given(nodes, st.sampled_from([0.25, 0.5, 1, 2]), st.sampled_from([0.1, 0.25, 1]))
def test_room_is_what_placing_one_by_one_finds(there: list[dict[str, Any]], cpu: float, gpu: float) -> None:
    placed = 0
    for node in there:
        left = dict(node["Resources"]) if node["Alive"] else {"CPU": 0, "GPU": 0}
        while left["CPU"] >= cpu - 1e-6 and left["GPU"] >= gpu - 1e-6:
            left = {"CPU": left["CPU"] - cpu, "GPU": left["GPU"] - gpu}
            placed += 1
    assert room(there, {"CPU": cpu, "GPU": gpu}) == placed


def test_a_node_gets_the_blocks_whose_signals_it_has_read() -> None:
    queue = Queue(Block(seed, index) for seed in range(2) for index in range(4))
    given = [queue.take(node, 1) for node in "ababbaa"]  # one at a time: nobody knows yet how long one takes
    assert given == [[Block(*pair)] for pair in [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 3)]]
    queue.add([Shard(0, 0)])
    assert queue.take("a", 1) == [Shard(0, 0)]
    assert queue.take("a", 1) == [Block(1, 2)]  # another's, before doing nothing
    assert not queue


@given(
    num_blocks=st.integers(1, 300),
    seconds=st.floats(1e-4, 100),
    workers=st.integers(1, 9),
    deaths=st.sets(st.integers(0, 400)),
)
def test_every_block_is_handed_out_and_none_twice_unless_its_worker_died(
    num_blocks: int, seconds: float, workers: int, deaths: set[int]
) -> None:
    queue, finished, times = Queue(Block(0, index) for index in range(num_blocks)), Counter[Task](), Counter[Task]()
    for moment in range(4 * num_blocks):
        if not queue:
            break
        left = len(queue)
        taken = queue.take(f"node {moment % 3}", workers)
        times.update(taken)
        assert len(taken) == 1 or (
            all(times[block] == 1 for block in taken)
            and len(taken) <= min(MAX_BLOCKS_PER_MESSAGE, MESSAGE_SECONDS / seconds)
            and len(taken) <= -(-left // (2 * workers))
        )
        assert queue.again(taken[0]) == (times[taken[0]] > 1)
        if moment in deaths:
            queue.died(taken, "killed")
        else:
            queue.took(len(taken), seconds * len(taken))
            finished.update(taken)
    assert not queue
    assert max(times.values()) <= ATTEMPTS
    assert {*finished, *queue.failures} == {Block(0, index) for index in range(num_blocks)}
    assert set(finished.values()) <= {1} and all(times[task] == ATTEMPTS for task in queue.failures)


def test_of_a_handful_whatever_was_committed_is_not_fitted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fitted = tmp_path / "x.zarr", list[Block]()
    original = execute.fit_block

    def fit_block(store: Any, block: Block, *words: Any, **named: Any) -> Any:
        fitted.append(block)
        if len(fitted) == 3:
            raise MemoryError
        return original(store, block, *words, **named)

    with monkeypatch.context() as patch:
        patch.setattr(builder, "_run", lambda *_: pytest.fail("prepared"))
        with pytest.raises(BaseException, match="prepared"):
            build(tiny(), path, in_process=True, quiet=True)
    monkeypatch.setattr(execute, "fit_block", fit_block)
    handful, worker = [Block(0, index) for index in range(4)], Worker(str(path), "cpu")
    with pytest.raises(MemoryError):
        worker.run_all(handful, again=False)
    found = worker.run_all(handful, again=True)
    assert fitted == [*handful[:3], *handful[2:]]
    records = [blocks.read_record(path, block) for block in handful]
    assert [quality.psnr.tolist() for quality in found] == [record.psnr.tolist() for record in records]


def test_an_error_in_one_block_leaves_the_others_of_its_handful(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: Worker, block: Block) -> Any:
        if block.index == 1:
            raise ZeroDivisionError("no")
        return block

    monkeypatch.setattr(Worker, "run", run)
    handful = [Block(0, 0), Block(0, 1), Block(0, 2)]
    assert Worker(str(finished), "cpu").run_all(handful, again=False) == [
        Block(0, 0),
        "ZeroDivisionError: no",
        Block(0, 2),
    ]


@pytest.mark.parametrize("deaths", [0, 2, 3])
def test_a_client_whose_server_died_at_its_birth_tries_again(deaths: int) -> None:
    """The message of Ray 2.60 with its traceback."""
    tries: list[str] = []

    class Ray:
        def init(self, address: str, **_: Any) -> None:
            tries.append(address)
            if len(tries) <= deaths:
                raise ConnectionAbortedError(f"Traceback:\n  File x\nRuntimeError: {NO_SERVER}. See x.err for logs.\n")

        def shutdown(self) -> None:
            tries[-1] += ", let go"

    if deaths < ATTEMPTS:
        connect(Ray(), None, {"CPU": 1}, "ray://head:1")
        assert tries == ["ray://head:1, let go"] * deaths + ["ray://head:1"]
    else:
        with pytest.raises(InrzooError, match=r"'ray://head:1': RuntimeError: Starting Ray client server failed. See "):
            connect(Ray(), None, {"CPU": 1}, "ray://head:1")
        assert len(tries) == ATTEMPTS


@pytest.mark.parametrize("amount", ["cpu", "cpu=0", "disk=1", "gpu=x", ""])
def test_amounts_that_are_none(amount: str, inrzoo: CommandLine, tmp_path: Path) -> None:
    code, _, errors = inrzoo("build", "digits", "--out", tmp_path / "x.zarr", "--per-worker", amount)
    assert code == 2 and "cpu=1,gpu=0.5" in errors


def test_a_worker_of_another_kind_refuses(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "environment_differences", lambda store, device: ["instructions: avx512 → avx2"])
    with pytest.raises(InrzooError, match="machines of one kind"):
        Worker(str(finished), "cpu").run(Block(0, 0))


@pytest.mark.slow
def test_two_nodes(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also: no weights pass through the driver, which neither reads a block nor joins one."""
    monkeypatch.setattr(blocks, "read_weights", lambda *_: pytest.fail("the driver read weights"))
    monkeypatch.setattr(finalise, "join_shard", lambda *_: pytest.fail("the driver joined a shard"))
    with Nodes(1, 1) as there:
        report = build(tiny(), tmp_path / "x.zarr", address=there.address, quiet=True)
    assert (report.workers, report.executor) == (2, "ray")
    assert store_bytes(tmp_path / "x.zarr") == store_bytes(finished)


@pytest.mark.slow
def test_two_nodes_and_a_bucket(bucket: ObjectPath, finished: Path) -> None:
    with Nodes(1, 1) as there:
        build(tiny(), str(bucket / "x.zarr"), address=there.address, workers="auto", quiet=True)
    found = {name: sha256(bucket / "x.zarr" / name) for name in (bucket / "x.zarr").files()}
    assert found == store_bytes(finished)


@pytest.mark.slow
def test_from_outside_of_the_cluster(tmp_path: Path) -> None:
    with Nodes(1, 1) as there:
        complete(tmp_path / "x.zarr", "--address", there.from_outside, steps=20)
        complete(tmp_path / "y.zarr", "--in-process", steps=20)
    assert store_bytes(tmp_path / "x.zarr") == store_bytes(tmp_path / "y.zarr")
    assert json.loads((tmp_path / "x.build.json").read_text())["executor"] == "ray"


@pytest.mark.slow
def test_nodes_join_and_die(tmp_path: Path) -> None:
    """The only node is killed after another one has joined, which must do the rest.

    Its worker sleeps until then, so that the other one has something to do however fast the machine is.
    """
    build(tiny(**SLOW), tmp_path / "whole.zarr", in_process=True, quiet=True)
    out, built = tmp_path / "x.zarr", threading.Event()
    with Nodes(1) as there:

        def wait_for_blocks(at_least: int) -> int:
            while (number := committed(out)) < at_least:
                if built.wait(0.01):
                    raise RuntimeError(f"the build ended with {number} blocks, before there were {at_least}")
            return number

        def disturb() -> int:
            wait_for_blocks(2)
            for worker in ray_workers(there.pid):
                os.kill(worker, signal.SIGSTOP)
            before = committed(out)
            there.add(1)
            finished = wait_for_blocks(before + 1)
            there.kill(0)
            return finished

        with ThreadPoolExecutor(1) as threads:
            disturbance = threads.submit(disturb)
            try:
                build(tiny(**SLOW), out, address=there.address, quiet=True)
            finally:
                built.set()
    assert disturbance.result() < len(open_store(out).blocks())
    assert store_bytes(out) == store_bytes(tmp_path / "whole.zarr")


@pytest.mark.slow
def test_a_share_of_a_node(tmp_path: Path, finished: Path) -> None:
    with Nodes(1) as there:
        report = build(
            tiny(), tmp_path / "x.zarr", address=there.address, per_worker={"cpu": 0.5}, workers="auto", quiet=True
        )
    assert report.workers == 2
    assert store_bytes(tmp_path / "x.zarr") == store_bytes(finished)


@pytest.mark.slow
def test_no_cluster_there_is_one_line(tmp_path: Path, inrzoo: CommandLine) -> None:
    code, _, errors = inrzoo("build", "digits", "--limit", "20", "--out", tmp_path / "x.zarr", "--address", "ray://x:1")
    assert code == 2 and "ray://x:1" in errors and errors.count("\n") == 1, errors
    assert build(tiny(), tmp_path / "y.zarr", workers=2, quiet=True).executor == "ray"  # in this process, afterwards
