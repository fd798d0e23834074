"""Stores of sounds and shapes go to the Hub and back like those of images."""

import numpy as np
import pytest
from client import Client
from server import Hub
from tiny_store import store_bytes

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.loaders import load
from inrzoo.store import open_store

KEYS = {
    "tones": {"source.num_samples": 64, "fit.steps": 20},
    "solids": {"source.num_points": 64, "source.num_held_out": 32, "fit.steps": 20, "fit.num_coords": 20},
    "balls": {"source.size": 6, "fit.steps": 20, "fit.num_coords": 20, "observation.samples": 4},
}


@pytest.mark.parametrize(
    "name", ["tones", *(pytest.param(name, marks=pytest.mark.slow) for name in KEYS if name != "tones")]
)
def test_pushed_streamed_pulled_and_read_by_datasets(name: str, hub: Hub, client: Client, tmp_path) -> None:
    made = manifest.load(name, None, {"fit.engine": "reference", "inr.hidden_features": 8, **KEYS[name]})
    build(made, tmp_path / "made.zarr", in_process=True, quiet=True)
    store = open_store(tmp_path / "made.zarr")
    done = client.inrzoo("push", store.path, "ada/other")
    assert done.code == 0, done.err

    done = client.inrzoo("pull", "ada/other", "--out", tmp_path / "pulled.zarr")
    assert done.code == 0, done.err
    assert store_bytes(tmp_path / "pulled.zarr") == store_bytes(store.path)
    assert client.inrzoo("verify", tmp_path / "pulled.zarr").code == 0

    script = (
        "import inrzoo, numpy\n"
        "words = {'split': 'train', 'normalise': 'none', 'status': ['ok', 'diverged'], 'batch_size': 4}\n"
        "remote = inrzoo.load('hf://datasets/ada/other', streaming=True, **words)\n"
        "rows = [(int(s), w) for batch in remote for s, w in zip(batch.signal, batch.weights.numpy())]\n"
        "numpy.savez('rows.npz', signal=[s for s, _ in rows], weights=[w for _, w in rows])\n"
        "store = inrzoo.open_store('hf://datasets/ada/other/other.zarr')\n"
        "measure = store.measures[store.info.measures[0]]\n"
        "numpy.savez('targets.npz', values=store.signal_table().values(), measure=measure)\n"
        "import datasets\n"
        "read = datasets.load_dataset('ada/other', split='test').with_format('numpy')\n"
        "numpy.savez('parquet.npz', weights=read['weights'][:], signal=read['signal'][:], "
        "measure=read[store.info.measures[0]][:])\n"
    )
    done = client.python(script, cwd=tmp_path, token=None)
    assert done.code == 0, done.err
    rows, targets, parquet = (np.load(tmp_path / f"{file}.npz") for file in ("rows", "targets", "parquet"))
    local = load(store.path, split="train", normalise="none", status=["ok", "diverged"])
    assert len(rows["signal"]) == len(local) and np.array_equal(rows["weights"], store.weights[:, 0, 0][rows["signal"]])
    assert np.array_equal(targets["values"], store.signal_table().values())
    measure = store.measures[store.info.measures[0]]
    assert np.array_equal(targets["measure"], measure)
    assert np.array_equal(parquet["weights"], store.weights[:, 0, 0][parquet["signal"]])
    assert np.array_equal(parquet["measure"], measure[:, 0, 0][parquet["signal"]])


def test_a_card_says_what_the_numbers_mean_and_how_well_they_are_met(finished, tmp_path) -> None:
    from inrzoo.hub.tables import conventions, quality

    made = manifest.load("tones", None, {"fit.engine": "reference", "inr.hidden_features": 8, **KEYS["tones"]})
    build(made, tmp_path / "made.zarr", in_process=True, quiet=True)
    card = conventions(open_store(tmp_path / "made.zarr")) + quality(open_store(tmp_path / "made.zarr"))
    assert "of each signal, in `signals.limits`, the same on both sides of 0" in card and "| `snr` | test |" in card
    assert "signal / 255" in conventions(open_store(finished)) and "measure" not in quality(open_store(finished))
