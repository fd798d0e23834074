"""How small the weights of a store become, what rounding costs in dB, and how fast loaders read them.

Command:  python benchmarks/smaller_stores.py STORE [--signals 2000] [--out benchmarks/results]     Duration: minutes.
Needs:    a store of float32 weights that holds its signals, such as mnist_random.zarr, and room for eleven copies of
          the signals that are used.

Each kind of store is made by `inrzoo convert`. Two further rows round to int8 with other scales, which no store keeps.

Shape letters: N signals, P parameters, K coordinates, C channels.
"""

import argparse
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from quality_page import publish

import inrzoo
from inrzoo.bench.machine import describe, in_a_line
from inrzoo.choices import WeightType
from inrzoo.fit.metrics import mse, psnr
from inrzoo.store import Store

KINDS = [(dtype, compress) for dtype in get_args(WeightType) for compress in (False, True)]
BATCH, EPOCHS, ROUNDS = 256, 10, 5
"""INRs of a batch, and passes over the store in each timing, of which there are several in turn."""


def bytes_per_inr(store: Store) -> float:
    """Size of the files of the weights over the number of INRs."""
    files = [file for file in (Path(str(store.path)) / "weights").rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / store.status.size


def losses(store: Store) -> NDArray[np.float32]:
    """PSNR in dB that each INR lost."""
    zeros = np.zeros(store.status.size, np.float32)
    return store.measures["psnr_lost"][:, :, -1].ravel() if "psnr_lost" in store.measures else zeros


def inrs_per_second(path: Path, epoch: int) -> float:
    """Speed of a shuffled stream over the whole store, as often as `EPOCHS` says."""
    stream = inrzoo.load(path, streaming=True, shuffle=True, batch_size=BATCH, seed=epoch)
    next(iter(stream))
    begun, number = time.perf_counter(), 0
    for _ in range(EPOCHS):
        for batch in stream:
            number += len(batch)
    return number / (time.perf_counter() - begun)


def rounded_otherwise(store: Store, by_inr: bool) -> NDArray[np.float32]:
    """PSNR in dB that INRs lose to int8 with other scales.

    Args:
        by_inr: a scale for each output neuron of each INR; else one for each tensor of the whole set.
    """
    weights_NP = store.weights[:, 0, -1]
    kept_NP = np.empty_like(weights_NP)
    for tensor in store.layout.tensors:
        part = slice(store.layout.offsets[tensor.name], store.layout.offsets[tensor.name] + tensor.size)
        numbers = weights_NP[:, part].reshape(len(weights_NP), *tensor.shape)
        scale = np.abs(numbers).max(axis=-1, keepdims=True) if by_inr else np.abs(numbers).max()
        scale = np.maximum(scale / np.float32(127), np.finfo(np.float32).tiny)
        kept_NP[:, part] = (np.rint(numbers / scale) * scale).reshape(len(weights_NP), -1)
    fitted, kept = (_psnr(store, weights) for weights in (weights_NP, kept_NP))
    return fitted - kept


def _psnr(store: Store, weights_NP: NDArray[np.float32]) -> NDArray[np.float32]:
    parts = []
    for start in range(0, store.num_signals, 100):
        rows = slice(start, min(start + 100, store.num_signals))
        targets = store.targets(rows)
        with torch.inference_mode():
            values = store.predict(torch.from_numpy(weights_NP[rows]), torch.from_numpy(targets.coords))
            parts.append(psnr(mse(values, torch.from_numpy(targets.values_BKC)), store.value_range).numpy())
    return np.concatenate(parts)


def figures(lost: NDArray[np.float32]) -> str:
    """Median, 95 % quantile and maximum, as cells of a table."""
    return f"{np.median(lost):.3f} | {np.quantile(lost, 0.95):.3f} | {lost.max():.3f}"


def table(path: Path, num_signals: int) -> list[str]:
    """Convert, measure and return the lines of the table."""
    with tempfile.TemporaryDirectory() as home:
        part = inrzoo.subset(path, out=f"{home}/part.zarr", signals=range(num_signals))
        made = {
            kind: inrzoo.convert(f"{home}/part.zarr", out=f"{home}/{kind[0]}-{kind[1]}.zarr", weights=kind[0],
                                 compress=kind[1])
            for kind in KINDS
        }  # fmt: skip
        speeds: dict[tuple[str, bool], list[float]] = {kind: [] for kind in KINDS}
        for number in range(ROUNDS):
            for kind in KINDS:
                speeds[kind].append(inrs_per_second(Path(str(made[kind].path)), number))
        plain = made["float32", False]
        lines = [
            f"{num_signals:,} INRs of {path.name}: {store_words(part)}.",
            "",
            "| weights | bytes per INR | of float32 | dB lost: median | 95 % quantile | worst | INRs/s | of float32 |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for kind, store in made.items():
            size, speed = bytes_per_inr(store), statistics.median(speeds[kind])
            relative = statistics.median(a / b for a, b in zip(speeds[kind], speeds["float32", False], strict=True))
            name = f"{kind[0]}{', compressed' if kind[1] else ''}"
            share = size / bytes_per_inr(plain)
            rates = f"{speed:,.0f} | {relative:.2f}"
            lines.append(f"| {name} | {size:,.0f} | {share:.2f} | {figures(losses(store))} | {rates} |")
        others = ((False, "one scale for each tensor of the set"), (True, "a scale for each output neuron"))
        for by_inr, words in others:
            rows = sum(int(np.prod(tensor.shape[:-1])) for tensor in part.layout.tensors)
            size = part.layout.num_params + (4 * rows if by_inr else 0)
            share = size / bytes_per_inr(plain)
            cells = figures(rounded_otherwise(part, by_inr))
            lines.append(f"| int8, {words} (not offered) | {size:,} | {share:.2f} | {cells} | | |")
        return lines


def store_words(store: Store) -> str:
    """Describe the INRs of a store in a line."""
    median = np.median(store.psnr[:, :, -1])
    return f"{store.info.inr['name']}, {store.layout.num_params:,} parameters, median PSNR {median:.2f} dB in float32"


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--signals", type=int, default=2000)
    parser.add_argument("--out", type=Path, help="folder of the results; printed alone if left out")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "# Smaller stores",
        "",
        f"{in_a_line(describe())}, {date.today()}. "
        f"`python benchmarks/smaller_stores.py STORE --signals {chosen.signals}`; INRs/s are "
        f"those of a shuffled stream in batches of {BATCH}, page cache warm, {EPOCHS} passes, the median of "
        f"{ROUNDS} rounds in turn.",
        "",
        *table(chosen.store, chosen.signals),
        "",
    ]  # fmt: skip
    publish(lines, "smaller_stores", chosen.out)


if __name__ == "__main__":
    main()
