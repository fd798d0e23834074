"""Small stores whose weights say whose they are, without any fitting.

Shape letters: N signals, S seeds, T snapshots, P parameters, K coordinates.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1]))  # a subprocess of a test has not the paths of pytest
from tiny_store import REAL_MIN_BLOCKS

from inrzoo import stats
from inrzoo.inrs.siren import Siren
from inrzoo.store import Block, Contents, Quality, Store, create_store, open_store, publish_seed, write_block
from inrzoo.store import blocks as blocks_module
from inrzoo.store.info import StoreInfo
from inrzoo.store.recorded import PartitionRows, RecordedManifest

SIREN = Siren(in_features=2, out_features=1, hidden_features=2, hidden_layers=1)
FIELDS = ("in_features", "out_features", "hidden_features", "hidden_layers")
P, K = SIREN.layout.num_params, 6
OK, DIVERGED = 1, 3


def weights_of(num_signals: int, num_seeds: int, num_steps: int) -> np.ndarray:
    """(N, S, T, P): the first three parameters are signal, seed and step, the others random."""
    weights = np.random.default_rng(num_signals).normal(size=(num_signals, num_seeds, num_steps, P)).astype(np.float32)
    weights[..., 0] = np.arange(num_signals)[:, None, None]
    weights[..., 1] = np.arange(num_seeds)[None, :, None]
    weights[..., 2] = np.arange(num_steps)[None, None, :]
    return weights


def psnr_of(num_signals: int, num_seeds: int, num_steps: int) -> np.ndarray:
    """(N, S, T): dB, falling with the signal and rising with the step."""
    signal, seed, step = np.ogrid[:num_signals, :num_seeds, :num_steps]
    return (50 - signal + seed + 5 * step).astype(np.float32)


def make_store(
    path: Path,
    *,
    splits: tuple[int, ...] = (30, 5, 10),
    num_seeds: int = 3,
    steps: tuple[int, ...] = (800, 1000),
    num_classes: int = 3,
    diverged: tuple[tuple[int, int], ...] = (),
    shard_rows: int | None = None,
    finish: bool = True,
    publish: int | None = None,
    manifest: dict[str, Any] | None = None,
    weights_NSTP: np.ndarray | None = None,
    siren: Siren = SIREN,
    **info: Any,
) -> Store:
    """Write a store through the store's own functions; `publish` seeds of it, all if None.

    Weights are `weights_of` unless they are given; for another `siren` than the tiny one they must be.
    """
    num_signals = sum(splits)
    columns = {"class": np.arange(num_signals) % num_classes, "drawer": np.arange(num_signals) % 4}
    signals_NKC = np.random.default_rng(1).integers(0, 256, size=(num_signals, K, 1), dtype=np.uint8)
    inr = {"name": "siren", **{key: getattr(siren, key) for key in FIELDS}}
    described = {
        "name": "made up",
        "source": {},
        "inr": inr,
        "values": {"range": [-1, 1]},
        "coords": {"spacing": "end_points", "axis_order": "row_col"},
        "init": {"mode": "random"},
        "seeds": num_seeds,
        **(manifest or {}),
    }
    row_numbers = siren.layout.num_params * len(steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks_module, "MIN_BLOCKS", REAL_MIN_BLOCKS)
        if shard_rows is not None:
            patch.setattr(blocks_module, "SHARD_BYTES", shard_rows * 4 * row_numbers)
        partition = PartitionRows.choose(num_signals, row_numbers)
    recorded: dict[str, Any] = {
        "dataset": "made up",
        "manifest": RecordedManifest.from_tables(described),
        "inr": inr,
        "layout": siren.layout,
        "grid": (2, 3),
        "label_columns": tuple(columns),
        "label_names": {"class": tuple(f"class {i}" for i in range(num_classes)), "drawer": tuple("abcd")},
        "split_names": ("train", "validation", "test"),
        "fingerprint": str(path),
        "signals_sha256": str(path),
        "snapshots": steps,
        "partition": partition,
        "version": "0.2.0",
        **info,
    }
    contents = Contents(
        info=StoreInfo(**recorded),
        ids=[str(index) for index in range(num_signals)],
        split=np.repeat(np.arange(len(splits)), splits).astype(np.uint8),
        labels=columns,
        signals_NKC=signals_NKC,
        publish_signals=True,
    )
    create_store(path, contents)
    if weights_NSTP is None:
        weights_NSTP = weights_of(num_signals, num_seeds, len(steps))
    _fill(path, weights_NSTP, diverged, publish)
    if finish and publish is None:
        stats.run(open_store(path))
    return open_store(path)


def _fill(path: Path, weights_NSTP: np.ndarray, diverged: tuple[tuple[int, int], ...], publish: int | None) -> None:
    store = open_store(path)
    num_signals, num_seeds, num_steps, _ = weights_NSTP.shape
    psnr_NST = psnr_of(num_signals, num_seeds, num_steps)
    for seed in range(num_seeds):
        for index in range(store.partition.num_blocks):
            rows = store.partition.rows(index)
            size = rows.stop - rows.start
            status = np.full(size, OK, dtype=np.uint8)
            status[[n - rows.start for n, s in diverged if s == seed and rows.start <= n < rows.stop]] = DIVERGED
            psnr = psnr_NST[rows, seed]
            taken = np.broadcast_to(np.array(store.snapshots, dtype=np.int32), (size, num_steps)).copy()
            frequency = np.ones((size, num_steps, 2), dtype=np.float32)
            quality = Quality(psnr, psnr / 1000, taken, status, psnr / 100, frequency, psnr / 100)
            write_block(path, Block(seed, index), weights_NSTP[rows, seed], quality)
        if publish is None or seed < publish:
            publish_seed(path, seed)
