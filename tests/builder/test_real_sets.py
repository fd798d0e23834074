"""Every kind of signal, on real data: the same bytes by 1, 2 and 4 workers and after a kill, verified and fitted again.

The sets are shortened; formula-made ones have the same truths in `test_observations`.
"""

from pathlib import Path
from typing import Any

import pytest
from processes import committed, kill, wait_until
from tiny_store import store_bytes

from inrzoo.refit import refit
from inrzoo.store import open_store
from inrzoo.verify import verify

SETS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sounds": ("spoken_digits", "fsdd/fsdd_recordings.zip", {"limit": 16, "steps": 300}),
    "distances": ("furniture", "furniture3d/furniture3d.zip", {"limit": 16, "steps": 60}),
    "signed distances": (
        "furniture",
        "furniture3d/furniture3d.zip",
        {"limit": 8, "steps": 60, "preset": "sdf", "set": {"source.num_points": 4096}},
    ),
    "voxels": ("modelnet10_voxels", "modelnet10_voxels/modelnet10_chair_monitor_32.npz", {"limit": 8, "steps": 60}),
    "surfaces of voxels": (
        "modelnet10_surfaces",
        "modelnet10_voxels/modelnet10_chair_monitor_32.npz",
        {"limit": 8, "steps": 60},
    ),
    "a radiance field": (
        "nerf_synthetic",
        "nerf_synthetic/nerf_synthetic_chair_200.zip",
        {"steps": 200, "seeds": 3, "set": {"source.size": 25}},
    ),
    "views of meshes": ("furniture_views", "furniture3d/furniture3d.zip", {"limit": 8, "steps": 200}),
    "photographs": ("photos_178", "caltech101/caltech101_1414.zip", {"limit": 12, "steps": 40}),
}
"""Manifest, file, and what shortens it."""


def words(name: str, data: Path, out: Path) -> list[str]:
    dataset, file, changes = SETS[name]
    short = dict(changes)
    sets = [word for key, value in short.pop("set", {}).items() for word in ("--set", f"{key}={value}")]
    options = [word for key, value in short.items() for word in (f"--{key}", str(value))]
    return ["build", dataset, "--source", str(data / file), "--out", str(out), *options, *sets]


@pytest.mark.exhaustive
@pytest.mark.realdata
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", SETS)
def test_a_real_set_is_the_same_bytes_by_any_workers_and_after_a_kill(name: str, data: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    def process(out: Path, workers: int) -> subprocess.Popen[str]:
        how = ["--in-process", "--workers", "1"] if workers == 1 else ["--workers", str(workers)]
        command = [sys.executable, "-m", "inrzoo", *words(name, data, out), *how]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def finish(out: Path, workers: int) -> dict[str, str]:
        running = process(out, workers)
        err = running.communicate(timeout=900)[1]
        assert running.returncode == 0, err[-2000:]
        return store_bytes(out)

    whole = finish(tmp_path / "one.zarr", 1)
    assert finish(tmp_path / "two.zarr", 2) == whole
    out = tmp_path / "four.zarr"
    running = process(out, 1)
    wait_until(lambda: committed(out) >= 1, running)
    kill(running)
    assert not open_store(out).complete, "the build was over before it could be killed"
    assert finish(out, 4) == whole
    assert verify(out, source=data / SETS[name][1]).problems == []
    again = refit(out, 2, draw=0, source=data / SETS[name][1])
    assert again.elsewhere == [] and [one.bit_equal for one in again.refits] == [True] * 2
