"""`datasets` and Ray Data show the INRs that the loader shows."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_stores import make_store

import inrzoo
from inrzoo.errors import InrzooError

STEPS = (800, 1000)


@pytest.mark.parametrize(
    "options", [{}, {"views": STEPS}, {"split": "test", "seeds": [2, 0]}, {"min_psnr": 40, "views": 800}]
)
def test_a_hugging_face_dataset_has_the_same_rows(made, options):
    dataset = inrzoo.load(made, normalise="none", **options)
    expected, rows = dataset[:], dataset.to_datasets().with_format("numpy")[:]
    np.testing.assert_array_equal(rows["weights"], expected.weights)
    np.testing.assert_array_equal(rows["class"], expected.label)
    np.testing.assert_array_equal(rows["drawer"], expected.labels["drawer"])
    for name in ("signal", "seed", "step"):
        np.testing.assert_array_equal(rows[name], getattr(expected, name))


def test_class_names_are_features(made):
    assert inrzoo.load(made).to_datasets().features["class"].names == ["class 0", "class 1", "class 2"]


def test_two_stores_are_one_dataset(made, tmp_path):
    other = make_store(tmp_path / "other.zarr", splits=(11,), num_seeds=1, steps=(1000,))
    dataset = inrzoo.load([made, other.path], normalise="none")
    rows = dataset.to_datasets().with_format("numpy")[:]
    np.testing.assert_array_equal(rows["weights"], dataset[:].weights)
    np.testing.assert_array_equal(rows["signal"], dataset[:].signal)


def test_nothing_is_copied(made):
    """The numbers lie in files of the store, says the kernel."""
    chunks = inrzoo.load(made).to_datasets().data.table.column("weights").chunks
    regions = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    for chunk in chunks:
        address = chunk.values.buffers()[1].address
        file = next(
            region[-1]
            for region in regions
            if int(region[0].split("-")[0], 16) <= address < int(region[0].split("-")[1], 16)
        )
        assert file.startswith(str(made / "weights"))


def test_what_was_loaded_decides_the_fingerprint(made):
    def fingerprint(**options):
        return inrzoo.load(made, **options).to_datasets()._fingerprint

    assert fingerprint() == fingerprint()
    assert fingerprint(seeds=[0, 1, 2]) == fingerprint()
    assert fingerprint(seeds=1) != fingerprint()


def test_shards_that_are_no_matrix_are_refused(tmp_path):
    store = make_store(tmp_path / "half.zarr", publish=1)
    with pytest.raises(InrzooError, match=r"seed 1 .* is unpublished or compressed"):
        inrzoo.load(store.path, normalise="none").to_datasets()


RAY = """
import sys
import numpy as np
import inrzoo
import ray

ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
ray.data.DataContext.get_current().enable_progress_bars = False
dataset = inrzoo.load(sys.argv[1], views=(800, 1000), signals=True)
rows = dataset.to_ray(batch_size=50, override_num_blocks=2).take_batch(len(dataset))
expected = dataset[:]
order = np.lexsort((rows["step"], rows["signal"], rows["seed"]))
np.testing.assert_array_equal(rows["weights"][order], expected.weights)
np.testing.assert_array_equal(rows["values"][order], expected.targets)
for name in ("signal", "seed", "step"):
    np.testing.assert_array_equal(rows[name][order], getattr(expected, name))
np.testing.assert_array_equal(rows["class"][order], expected.label)
"""


@pytest.mark.slow
def test_ray_data_has_the_same_rows(made):
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-c", RAY, str(made)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
