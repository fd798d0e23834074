"""Tasks train on a store of many shards without loading it: they fetch a few shards and read a batch at a time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from faulty_server import serving
from made_stores import make_store

from inrzoo import tasks
from inrzoo.checkpoint import read
from inrzoo.store import Store
from inrzoo.store.weights_array import WeightsArray
from inrzoo.tasks import signal_sets as signal_sets_module
from inrzoo.tasks import signal_targets as signal_targets_module
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.contrastive import Contrastive
from inrzoo.tasks.signals import signal_set

SMALL = {
    "encoder": {"name": "flat_mlp", "hidden_features": 4, "hidden_layers": 1, "out_features": 4},
    "batch_size": 8,
    "warmup": 0,
    "validate_every": 40,
}
TASKS = {
    "classify": Classify(**SMALL, steps=45, ema=0.9),
    "contrastive": Contrastive(**SMALL, steps=45, projector_hidden=4, projector_features=4),
}
EVERY = pytest.mark.parametrize("name", TASKS)
SHARDS_AT_ONCE = 4


@pytest.fixture(scope="module")
def many_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 training signals in 15 shards, 2 seeds of each, and 3 shards of other signals."""
    path = tmp_path_factory.mktemp("many") / "many.zarr"
    store = make_store(path, splits=(240, 24, 24), num_seeds=2, shard_rows=12)
    assert store.partition.num_shards == 18
    return path


@pytest.fixture
def url(many_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("INRZOO_CACHE", str(tmp_path / "cache"))
    with serving(many_shards.parent) as server:
        yield f"{server.url}/many.zarr"


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """INRs of each read of weights."""
    counts: list[int] = []
    gather = WeightsArray.gather

    def counted(array: WeightsArray, signal: np.ndarray, seed: np.ndarray, step: np.ndarray) -> np.ndarray:
        counts.append(len(signal))
        return gather(array, signal, seed, step)

    monkeypatch.setattr(WeightsArray, "gather", counted)
    return counts


@EVERY
def test_steps_fetch_the_shards_they_need_and_read_a_batch_at_once(
    name: str, url: str, many_shards: Path, tmp_path: Path, rows_read: list[int]
) -> None:
    tasks.train(TASKS[name], url, tmp_path / "run", quiet=True, device="cpu", stop_after=3)
    fetched = [path for path in (tmp_path / "cache").rglob("weights/c/**/*") if path.is_file()]
    shards = [path for path in many_shards.rglob("weights/c/**/*") if path.is_file()]
    seeds = 2 if name == "contrastive" else 1
    assert 0 < len(fetched) <= 2 * SHARDS_AT_ONCE * seeds < len(shards) / 2  # this group of shards, and the next one
    assert set(rows_read) == {SMALL["batch_size"]}


@EVERY
def test_a_streamed_run_stopped_twice_is_the_local_one_to_the_bit(
    name: str, url: str, many_shards: Path, tmp_path: Path
) -> None:
    """45 steps: more than one epoch of pairs, and a validation between."""
    tasks.train(TASKS[name], many_shards, tmp_path / "local", quiet=True, device="cpu")
    for stop_after in (17, 20, None):
        run = tasks.train(TASKS[name], url, tmp_path / "streamed", quiet=True, device="cpu", stop_after=stop_after)
    assert run.step == 45
    local, streamed = (read(tmp_path / kind / "last.safetensors") for kind in ("local", "streamed"))
    assert all(torch.equal(tensor, streamed.module[key]) for key, tensor in local.module.items())
    assert all(torch.equal(tensor, streamed.optimiser[key]) for key, tensor in local.optimiser.items())


def test_an_epoch_of_signals_decodes_each_part_about_once(many_shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a cache of three parts, where random access would decode one for nearly every signal."""
    part = 16
    monkeypatch.setattr(signal_targets_module, "SIGNALS_AT_ONCE", part)
    for module in (signal_targets_module, signal_sets_module):
        monkeypatch.setattr(module, "CACHED_SIGNAL_BYTES", 3 * part * 6)
    decoded: list[int] = []
    read_signals = Store.signals

    def counted(store: Store, rows: slice) -> np.ndarray:
        decoded.append(rows.stop - rows.start)
        return read_signals(store, rows)

    among = signal_set(many_shards, "train")
    batches = among.batches(8, seed=0)
    monkeypatch.setattr(Store, "signals", counted)
    epoch = [batches(step)[0] for step in range(len(among) // 8)]
    assert torch.cat(epoch).shape == (240, 6, 1)
    assert decoded.count(part) <= 2 * 240 // part
    again = among.batches(8, seed=0)
    assert torch.equal(again(11)[0], epoch[11])
