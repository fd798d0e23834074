"""`build --plan`: what it says is what a build then does, and it does nothing itself."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from processes import command
from tiny_store import store_bytes, tiny

from inrzoo.builder import build, plan
from inrzoo.builder.estimate import Plan, Speed
from inrzoo.errors import InrzooError
from inrzoo.store import Partition, open_store

SHARED = {"fit__steps": 3, "fit__stop_psnr": None}
MANIFESTS = {
    "two seeds": {"limit": 12},
    "views": {"limit": 12, "fit__views": [1, 2, 3]},
    "one signal": {"limit": 1, "seeds": 1, "source__num_test": 0, "source__num_validation": 0},
    "a fixed start": {"limit": 12, "init__mode": "fixed"},
    "an odd number": {"limit": 31, "seeds": 3},
    "another INR": {"limit": 12, "inr__name": "fourier_net", "inr__num_filters": 2},
}


def weight_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in (path / "weights" / "c").rglob("*") if file.is_file())


def total_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    ("name", "shard_bytes"),
    [
        pytest.param(name, size, marks=pytest.mark.slow if size and name not in ("views", "an odd number") else ())
        for name in MANIFESTS
        for size in (None, 8000)
    ],
)
def test_a_plan_is_what_a_build_does(
    name: str, shard_bytes: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks, INRs and bytes of weights exactly; bytes of the store at most, and no more than 0.4 MB above."""
    if shard_bytes:
        monkeypatch.setattr("inrzoo.store.blocks.SHARD_BYTES", shard_bytes)
    wanted, out = tiny(**SHARED, **MANIFESTS[name]), tmp_path / "store.zarr"
    planned = plan(wanted, out, seconds=0.01)
    assert not list(tmp_path.iterdir())
    report = build(wanted, out, in_process=True, quiet=True)
    store = open_store(out)
    assert (planned.num_inrs, planned.missing_inrs) == (report.num_inrs, report.fitted)
    assert planned.num_blocks == planned.missing_blocks == len(store.blocks())
    assert (planned.block_rows, planned.num_params) == (store.partition.block_rows, store.layout.num_params)
    assert (planned.snapshots, planned.engine) == (tuple(store.snapshots), report.engine)
    assert planned.weight_bytes == weight_bytes(out)
    assert total_bytes(out) <= planned.store_bytes <= total_bytes(out) + 400_000
    assert planned.store_bytes - planned.weight_bytes < planned.disk_bytes + 400_000


def test_a_plan_of_a_store_that_is_begun(tmp_path: Path) -> None:
    """Finished blocks are not counted, more seeds are; nothing in the store is touched."""
    begun, out = tiny(seeds=1, limit=12, **SHARED), tmp_path / "store.zarr"
    build(begun, out, in_process=True, quiet=True)
    before = store_bytes(tmp_path)
    again, more = plan(begun, out, seconds=0.01), plan(tiny(seeds=3, limit=12, **SHARED), out, seconds=0.01)
    assert (again.continued, again.missing_blocks, again.missing_inrs) == (True, 0, 0) and again.seconds(1) == 0
    assert more.missing_blocks == 2 * again.num_blocks and more.missing_inrs == 2 * again.num_inrs
    assert store_bytes(tmp_path) == before
    assert build(tiny(seeds=3, limit=12, **SHARED), out, in_process=True, quiet=True).fitted == more.missing_inrs
    assert weight_bytes(out) == more.weight_bytes
    with pytest.raises(InrzooError, match=r"fit\.steps: 3 → 5"):
        plan(tiny(limit=12, fit__steps=5, fit__stop_psnr=None), out, seconds=0.01)


def test_the_formula() -> None:
    """Whole blocks are shared out; machines beyond the number of blocks have nothing to do."""
    speed = Speed(block_seconds=3.0, signal_seconds=0.01, peak_bytes=0, whole=True, num_inrs=1)
    planned = Plan("", False, 100, 1, (1,), 1, 10, 10, 100, 10, 0, 0, 0, 0, "", "cpu", 4, speed)
    assert [planned.seconds(nodes) for nodes in (1, 2, 3, 100)] == [1 + 9, 1 + 6, 1 + 3, 1 + 3]
    assert replace(planned, missing_blocks=0).seconds(1) == 0


@pytest.mark.parametrize("stop_psnr", [pytest.param(None, marks=pytest.mark.slow), 5.0])
def test_what_is_measured_are_the_fits_of_the_build(stop_psnr: float | None) -> None:
    """A time of a block: a thousand times the steps take longer, unless fits stop early."""
    times = [
        plan(tiny(fit__steps=steps, fit__stop_psnr=stop_psnr), Path("none.zarr"), seconds=2.0).speed
        for steps in (20, 20_000)
    ]
    assert times[0].whole and all(speed.num_inrs > 0 and speed.peak_bytes > 10**7 for speed in times)
    assert (times[1].block_seconds > 10 * times[0].block_seconds) == (stop_psnr is None)
    assert times[1].whole == (stop_psnr is not None)


def test_the_command_writes_nothing_and_says_it_all(
    inrzoo: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inrzoo.builder.estimate.SECONDS", 0.05)
    monkeypatch.chdir(tmp_path)
    words = command(tmp_path / "store.zarr", "--plan", "--nodes", "3", steps=2)[3:]
    code, out, err = inrzoo(*words)
    assert (code, err) == (0, "") and not list(tmp_path.iterdir())
    for said in ("96 of 96 INRs", "time(N) =", "on 1 node(s)", "on 3 node(s)", "blocks   ", "for a worker"):
        assert said in out, out
    assert Partition.of(48, 4 * 105).num_blocks * 2 == int(out.split("blocks")[1].split()[0])
    for wrong in (["--nodes", "0"], ["--nodes", "x"]):
        code, out, err = inrzoo(*words, *wrong)
        assert code == 2 and out == "" and len(err.splitlines()) == 1
