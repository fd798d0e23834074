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
from inrzoo.loaders import adapters
from inrzoo.store import row

STEPS = (800, 1000)


@pytest.mark.parametrize(
    "options", [{}, {"views": STEPS}, {"split": "test", "seeds": [2, 0]}, {"min_psnr": 40, "views": 800}]
)
def test_a_hugging_face_dataset_has_the_same_rows(made, options):
    dataset = inrzoo.load(made, normalise="none", **options)
    expected, rows = dataset[:], dataset.to_datasets().with_format("numpy")[:]
    np.testing.assert_array_equal(rows["weights"], expected.weights)
    np.testing.assert_array_equal(rows["label"], expected.label)
    np.testing.assert_array_equal(rows["drawer"], expected.labels["drawer"])
    for name in ("signal", "seed", "step"):
        np.testing.assert_array_equal(rows[name], getattr(expected, name))


def test_class_names_are_features(made):
    assert inrzoo.load(made).to_datasets().features["label"].names == ["class 0", "class 1", "class 2"]


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
    def fingerprint(normalise="none", **options):
        return inrzoo.load(made, **options).to_datasets(normalise=normalise)._fingerprint

    assert fingerprint() == fingerprint()
    assert fingerprint(seeds=[0, 1, 2]) == fingerprint()
    assert fingerprint(seeds=1) != fingerprint() != fingerprint("per_tensor")


def test_columns_of_two_stores_stay_with_their_rows(made, tmp_path):
    """The second store has other splits and statuses, and numbers its signals after those of the first."""
    other = make_store(tmp_path / "other.zarr", splits=(4, 7), num_seeds=1, steps=(1000,), diverged=((2, 0),))
    dataset = inrzoo.load([made, other.path], status=["ok", "diverged"])
    order = np.random.default_rng(0).permutation(len(dataset))
    rows, batch = dataset.to_datasets().with_format("numpy")[order.tolist()], dataset[order]
    np.testing.assert_array_equal(rows["signal"], batch.signal)
    np.testing.assert_array_equal(rows["label"], batch.label)
    of_other = rows["signal"] >= 45
    assert of_other.sum() == 11 and (rows["status"][of_other] == "diverged").sum() == 1
    assert rows["status"][rows["signal"] == 47].tolist() == ["diverged"]
    assert rows["split"][rows["signal"] == 45 + 4].tolist() == ["validation"]
    assert (rows["signal_id"] == (rows["signal"] - 45 * of_other).astype(str)).all()
    small = adapters._small_columns(dataset, row.columns(dataset.stores), order)
    for name in ("signal", "signal_id", "status", "psnr"):
        np.testing.assert_array_equal(small[name].to_numpy(zero_copy_only=False), rows[name])


def test_shards_that_are_no_matrix_are_refused(tmp_path):
    store = make_store(tmp_path / "half.zarr", publish=1)
    with pytest.raises(InrzooError, match=r"seed 1 .* is unpublished"):
        inrzoo.load(store.path, normalise="none").to_datasets()


RAY = """
import sys
import numpy as np
import inrzoo
import ray

ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
ray.data.DataContext.get_current().enable_progress_bars = False
dataset = inrzoo.load(sys.argv[1], views=(800, 1000), signals=True)
table = dataset.to_ray(batch_size=50, override_num_blocks=2)
rows = table.take_batch(len(dataset))
expected = dataset[:]
assert table.schema().names == [*rows], table.schema().names
assert [*rows] == [*(name for name in dataset.to_datasets().column_names if name != "weights"), "values", "weights"]
order = np.lexsort((rows["step"], rows["signal"], rows["seed"]))
raw = inrzoo.load(sys.argv[1], views=(800, 1000), normalise="none")[:].weights
np.testing.assert_array_equal(rows["weights"][order], raw)
np.testing.assert_array_equal(rows["values"][order], expected.targets)
for name in ("signal", "seed", "step"):
    np.testing.assert_array_equal(rows[name][order], getattr(expected, name))
np.testing.assert_array_equal(rows["label"][order], expected.label)
assert {*rows["status"]} == {"ok"} and {*rows["split"]} == {"train", "validation", "test"}
again = dataset.to_ray(batch_size=50, normalise="auto", override_num_blocks=2).take_batch(len(dataset))
order = np.lexsort((again["step"], again["signal"], again["seed"]))
np.testing.assert_array_equal(again["weights"][order], expected.weights)
"""


def test_noise_of_normalised_weights_needs_them_in_ray(made):
    dataset = inrzoo.load(made, transform_normalised=lambda weights, generator: weights)
    with pytest.raises(InrzooError, match=r"transform_normalised .* to_ray\(normalise='auto'\)"):
        dataset.to_ray()


@pytest.mark.slow
def test_ray_data_has_the_same_rows(made):
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-c", RAY, str(made)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
