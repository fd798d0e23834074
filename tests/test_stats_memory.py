"""The statistics of a store that is larger than the memory they may take."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Making the store takes memory that would count as free later: another process does it.
MAKE = """
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, "tests/loaders")
from made_stores import make_store
from inrzoo.inrs.siren import Siren

path, siren, count = Path(sys.argv[1]), Siren(in_features=2, out_features=1), 50_000
weights = np.random.default_rng(0).random((count, 1, 1, siren.layout.num_params), dtype=np.float32)
make_store(path, splits=(count,), num_seeds=1, steps=(9,), siren=siren, weights_NSTP=weights, finish=False)
make_store(path.with_name("small.zarr"), splits=(500,), num_seeds=1)
np.save(path.with_name("mean.npy"), weights[:, 0, 0].mean(axis=0, dtype=np.float64))
print(weights.nbytes)
"""

COMPUTE = """
import resource, sys
from pathlib import Path
import dask, numpy as np
from inrzoo import stats
from inrzoo.store import open_store

path, limit = Path(sys.argv[1]), int(sys.argv[2])
with dask.config.set(num_workers=1):
    stats.compute(open_store(path.with_name("small.zarr")))  # what is loaded once is loaded here
    data = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
    most = int(data.split()[1]) * 1024 + limit
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    try:
        np.ones(limit * 3 // 16)  # half as much again as may come
    except MemoryError:
        print("limited")
    found = stats.compute(open_store(path))
np.testing.assert_allclose(found["mean"][0][0], np.load(path.with_name("mean.npy")), rtol=1e-9)
"""
LIMIT = 48 * 2**20


def run(program: str, *words: object) -> str:
    # One arena: glibc otherwise sets address space aside for each thread.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    command, root = [sys.executable, "-c", program, *map(str, words)], Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.mark.slow
def test_statistics_take_a_fraction_of_the_store(tmp_path):
    """237 MB of weights; anonymous memory may grow by 48 MiB, and the system refuses an array of 72 MiB."""
    assert int(run(MAKE, tmp_path / "large.zarr")) > 4 * LIMIT
    assert run(COMPUTE, tmp_path / "large.zarr", LIMIT) == "limited"
