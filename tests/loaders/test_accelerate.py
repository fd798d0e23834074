"""`accelerate` reads every INR once, from datasets and streams, prepared or not, in one process and in two."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from made_stores import make_store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("accelerate") is None, reason="accelerate is not installed"),
]


def read_by(path: Path, num_processes: int) -> list[dict]:
    """Return what each process reads; see `accelerated`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    processes = []
    for rank in range(num_processes):
        variables = {"OMP_NUM_THREADS": 1, "ACCELERATE_USE_CPU": "true"}
        if num_processes > 1:
            variables |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num_processes}
            variables |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = os.environ | {name: str(value) for name, value in variables.items()}
        command = [sys.executable, "-W", "ignore", str(Path(__file__).parent / "accelerated.py"), str(path)]
        processes.append(subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True))
    outputs = [process.communicate(timeout=240) for process in processes]
    assert not any(process.returncode for process in processes), "\n".join(error for _, error in outputs)
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]


@pytest.mark.parametrize("num_processes", [1, 2])
def test_every_inr_is_read_once(tmp_path, num_processes):
    path = make_store(tmp_path / "made.zarr", splits=(32, 5, 10), num_seeds=3, steps=(1000,)).path
    parts = read_by(path, num_processes)
    all_inrs = sorted([signal, seed] for signal in range(47) for seed in range(3))
    training = [[signal, seed] for signal, seed in all_inrs if signal < 32]
    expected = {
        "map-style": all_inrs,
        "stream, not prepared": all_inrs,
        "stream": training,
        "stream, worker": training,
        "stream of all ranks": training,
        "stream, sharded": [[signal, seed] for signal, seed in training if seed < 2],
    }
    for way, inrs in expected.items():
        assert sorted(inr for part in parts for inr in part[way]) == inrs, way
        sizes = [len(part[way]) for part in parts]
        assert max(sizes) - min(sizes) <= 8, (way, sizes)
    for part in parts:
        assert sorted(part["gathered"]) == all_inrs
        if num_processes == 1:
            assert part["episodes"] == 4
        else:
            assert "leave their DataLoader out of accelerator.prepare" in part["episodes"]
    assert sorted(signal for part in parts for signal, _ in part["pairs"]) == list(range(32))
