"""The description of a store in text and HTML."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from inrzoo.display import listed
from inrzoo.errors import InrzooError
from inrzoo.store.files import is_local

if TYPE_CHECKING:
    from inrzoo.store.reader import Store

MAX_ENTRIES_READ = 2**20
"""Maximum number of entries of a column that is read for a description."""


def description(store: Store) -> tuple[str, dict[str, str]]:
    """Title and rows of a store. Nothing is fetched; weights and long columns are not read."""
    parts: dict[str, Callable[[Store], str]] = {
        "dataset": _dataset,
        "INRs": _inrs,
        "network": described_inr,
        "grid": lambda store: " × ".join(map(str, store.info.grid)),
        "splits": _splits,
        "labels": _labels,
        "PSNR": _psnr,
        "location": lambda store: store.location,
    }
    rows = {}
    for name, part in parts.items():
        try:
            rows[name] = part(store)
        except (InrzooError, OSError) as error:
            rows[name] = f"cannot be read: {error}"
    return "Store", {name: text for name, text in rows.items() if text}


def described_inr(store: Store) -> str:
    """Name, number of parameters and fields of the INR."""
    fields = dict(store.info.inr)
    name = fields.pop("name", "?")
    count = f"{store.layout.num_params:,} parameters{shared(store)}"
    return f"{name}, {count} ({listed(f'{key} {value}' for key, value in fields.items())})"


def shared(store: Store) -> str:
    """The numbers of a base in words, to follow those of an INR; empty where INRs share none."""
    layout = store.info.base_layout
    return "" if layout is None else f" of its own, {layout.num_params:,} shared"


def _dataset(store: Store) -> str:
    published = len(store.info.published_seeds)
    state = "complete" if store.complete else f"being built: {published} of {store.num_seeds} seeds are finished"
    if store.partial:
        state = f"a part: {listed(store.partial)}"
    return f"{store.info.dataset}, {state}"


def _inrs(store: Store) -> str:
    steps = store.snapshots
    snapshots = f"{len(steps):,} snapshots" if len(steps) != 1 else "1 snapshot"
    return f"{store.num_signals:,} signals × {store.num_seeds:,} seeds × {snapshots} (steps {listed(map(str, steps))})"


def _splits(store: Store) -> str:
    names = store.info.split_names
    if not _is_cheap(store, "split", store.num_signals):
        return listed(names)
    counts = np.bincount(store.split, minlength=len(names))
    return listed(f"{name} {count:,}" for name, count in zip(names, counts.tolist(), strict=True))


def _labels(store: Store) -> str:
    names = store.info.label_names
    return listed(f"{column} ({len(names[column]):,} classes)" for column in store.info.label_columns)


def _psnr(store: Store) -> str:
    size = store.num_signals * store.num_seeds
    if not store.complete or not _is_cheap(store, "psnr", size * len(store.snapshots)):
        return ""
    psnr = store.psnr[:, :, -1][store.usable]
    return f"median {np.median(psnr):.2f} dB at step {store.snapshots[-1]}" if psnr.size else ""


def _is_cheap(store: Store, column: str, size: int) -> bool:
    """Whether reading a column costs little: it was read before, or it is small and on this machine."""
    return column in vars(store) or (store.cache is None and is_local(store.path) and size <= MAX_ENTRIES_READ)
