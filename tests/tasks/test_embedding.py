"""Features as a table: every INR once, in a row with what is known of it."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from inrzoo import checkpoint, tasks
from inrzoo.store import open_store
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.contrastive import Contrastive

SMALL = {
    "encoder": {"name": "equivariant_mlp", "hidden_features": 4, "num_layers": 1, "out_features": 5},
    "batch_size": 8,
    "steps": 1,
    "validate_every": 1,
}


@pytest.mark.parametrize("task", [Contrastive(**SMALL), Classify(**SMALL, ema=0.5)], ids=["contrastive", "classify"])
def test_every_inr_has_a_row(finished, tmp_path, inrzoo, task):
    tasks.train(task, finished, tmp_path / "run", quiet=True, device="cpu")
    code, out, err = inrzoo("embed", finished, tmp_path / "run", "--out", tmp_path / "features.parquet")
    store = open_store(finished)
    assert (code, err) == (0, "") and f"{store.num_signals * 2} INRs, 5 numbers each" in out
    table = pq.read_table(tmp_path / "features.parquet").to_pandas()
    rows = {(row.signal_id, row.seed): row for row in table.itertuples()}
    assert len(rows) == len(table) == store.num_signals * 2
    dataset = task.dataset(finished, None)
    network = task.trained(dataset, checkpoint.read(tmp_path / "run").module, "cpu")
    features = network.features_of(dataset, "digit", "cpu")
    for i in range(0, len(dataset), 7):
        signal = int(features.signal[i])
        row = rows[store.signal_ids[signal], int(features.seed[i])]
        np.testing.assert_allclose(row.features, features.features[i], atol=1e-6)
        assert row.split == store.info.split_names[store.split[signal]]
        assert row.digit == store.labels["digit"][signal]


def test_only_a_split_and_nothing_half_written(finished, tmp_path, inrzoo):
    tasks.train(Classify(**SMALL), finished, tmp_path / "run", quiet=True, device="cpu")
    out = tmp_path / "test.parquet"
    assert inrzoo("embed", finished, tmp_path / "run", "--out", out, "--split", "test")[0] == 0
    assert set(pq.read_table(out)["split"].to_pylist()) == {"test"}
    code, _, err = inrzoo("embed", finished, tmp_path / "nothing", "--out", tmp_path / "none.parquet")
    assert code == 2 and "no checkpoint at" in err and err.count("\n") == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run", "test.parquet"]
