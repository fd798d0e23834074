"""The finished store is the same bytes, whoever built it and however often it was interrupted."""

import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from processes import command, committed, complete, kill, ray_workers, start, wait_until
from tiny_store import small, store_bytes, tiny

from inrzoo import builder
from inrzoo.builder import build
from inrzoo.store import open_store


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Bytes of the long tiny build, made in one go in one process."""
    out = tmp_path_factory.mktemp("reference") / "store.zarr"
    complete(out, "--in-process")
    return store_bytes(out)


@pytest.mark.parametrize("workers", [1, *(pytest.param(count, marks=pytest.mark.slow) for count in (2, 4))])
def test_any_number_of_workers(workers: int, tmp_path: Path, finished: Path) -> None:
    report = build(tiny(), tmp_path / "store.zarr", workers=workers, address=None, quiet=True)
    assert report.executor == ("in process" if workers == 1 else "ray")
    assert store_bytes(tmp_path / "store.zarr") == store_bytes(finished)


def _done(out: Path) -> int:
    """Blocks that are safe, published seeds included."""
    store = open_store(out)
    return sum(map(store.is_done, store.blocks()))


@pytest.mark.slow
@pytest.mark.parametrize("blocks_done", [0, 3, 7])
def test_driver_killed_in_process(blocks_done: int, tmp_path: Path, reference: dict[str, str]) -> None:
    out = tmp_path / "store.zarr"
    process = start(out, "--in-process")
    wait_until(lambda: out.exists() and _done(out) >= blocks_done, process)
    kill(process)
    complete(out, "--in-process")
    assert store_bytes(out) == reference


@pytest.mark.slow
def test_driver_killed_with_the_fused_engine(tmp_path: Path) -> None:
    settings = {"engine": "fused", "steps": 60_000}
    complete(tmp_path / "whole.zarr", "--in-process", **settings)
    out = tmp_path / "store.zarr"
    process = start(out, "--in-process", **settings)
    wait_until(lambda: out.exists() and _done(out) >= 2, process)
    kill(process)
    assert not open_store(out).complete, "the build was over before it could be killed"
    complete(out, "--workers", "2", **settings)
    assert store_bytes(out) == store_bytes(tmp_path / "whole.zarr")


@pytest.mark.slow
def test_driver_killed_on_ray(tmp_path: Path, reference: dict[str, str]) -> None:
    out = tmp_path / "store.zarr"
    process = start(out, "--workers", "2")
    wait_until(lambda: committed(out) >= 2, process)
    kill(process)
    assert not open_store(out).complete
    complete(out, "--workers", "2")
    assert store_bytes(out) == reference


@pytest.mark.slow
def test_worker_killed_and_its_block_tried_again(tmp_path: Path, reference: dict[str, str]) -> None:
    out = tmp_path / "store.zarr"
    process = start(out, "--workers", "2")
    wait_until(lambda: committed(out) >= 1 and bool(ray_workers(process.pid)), process)
    os.kill(ray_workers(process.pid)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert store_bytes(out) == reference


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--workers", "2"], ["--in-process"]])
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop(stop: signal.Signals, words: list[str], tmp_path: Path, reference: dict[str, str]) -> None:
    """Ctrl-C reaches the whole group of processes; Slurm and Kubernetes send SIGTERM to the first one."""
    out = tmp_path / "store.zarr"
    process = start(out, *words)
    wait_until(lambda: committed(out) >= 1, process)
    (os.killpg if stop == signal.SIGINT else os.kill)(process.pid, stop)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + stop
    assert errors.strip().splitlines()[-1].startswith("inrzoo: stopped; finished work is safe")
    assert "Traceback" not in errors
    complete(out, "--in-process")
    assert store_bytes(out) == reference


@pytest.mark.parametrize(
    "trial",
    [pytest.param(trial, marks=pytest.mark.slow if trial < 1 else pytest.mark.exhaustive) for trial in range(12)],
)
def test_killed_at_random_moments(trial: int, tmp_path: Path, reference: dict[str, str]) -> None:
    """Driver and workers alike, at moments drawn from the whole length of a build, twice in a row."""
    draw, out = random.Random(trial), tmp_path / "store.zarr"
    words = ["--in-process"] if trial % 3 == 0 else ["--workers", "2"]
    for _ in range(2):
        process = start(out, *words)
        try:
            process.communicate(timeout=draw.uniform(1.0, 9.0))
        except subprocess.TimeoutExpired:
            victims = ray_workers(process.pid) if draw.random() < 0.5 else []
            for victim in victims:
                os.kill(victim, signal.SIGKILL)
            kill(process)
    complete(out, *words)
    assert store_bytes(out) == reference


def test_more_seeds_fit_only_the_new_ones(tmp_path: Path, finished_small: Path) -> None:
    out = tmp_path / "store.zarr"
    build(small(seeds=1), out, in_process=True, quiet=True)
    before = open_store(out).weights[:]
    report = build(small(), out, in_process=True, quiet=True)
    assert report.fitted == 6
    assert (open_store(out).weights[:, :1] == before).all()
    assert store_bytes(out) == store_bytes(finished_small)


def test_a_finished_store_is_left_alone(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "store.zarr"
    shutil.copytree(finished, out)
    monkeypatch.setattr(builder, "run_in_process", lambda *_: pytest.fail("fitted something"))
    assert build(tiny(), out, in_process=True, quiet=True).fitted == 0
    assert build(tiny(seeds=1), out, in_process=True, quiet=True).fitted == 0
    assert store_bytes(out) == store_bytes(finished)


def test_the_command_of_these_tests_builds_what_they_think() -> None:
    words = command(Path("x.zarr"))
    assert "--limit" in words and "inr.hidden_features=8" in words
