"""What tasks share that learn from signals and make INRs of their own: where the signals come from.

They are those of a store that carries its signals, or those of a dataset that nobody has fitted INRs to.

Shape letters: N signals, B batch of signals, P numbers of one INR, K coordinates, D in_features, C channels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inrzoo import coords as grids
from inrzoo import manifest, registry
from inrzoo.errors import InrzooError
from inrzoo.fit.metrics import psnr
from inrzoo.fit.values import to_values
from inrzoo.hypernets import Hypernet
from inrzoo.inrs import INR
from inrzoo.loaders import load
from inrzoo.manifest import Manifest
from inrzoo.tasks import Device, Unfitted

SIGNALS_AT_ONCE = 64
Rows = slice | Tensor


@dataclass(frozen=True, kw_only=True)
class SignalSet:
    """Signals of one split, and what an INR of them is.

    Attributes:
        inr: the store's, or the one that the dataset's manifest names.
        grid: sizes, slowest axis first.
        coords: (K, D), the grid's.
        value_range: what the smallest and the largest possible value of a signal are mapped to.
        conventions: tables `coords` and `values` of the manifest.
        label_names: for each label column the name of each code.
        identity: what says whether two sets are the same signals, as JSON can say it.
        size: N.
        read: values (B, K, C) on the value scale, and label columns (B,), of some rows.
    """

    inr: INR
    grid: tuple[int, ...]
    coords: Tensor
    value_range: tuple[float, float]
    conventions: dict[str, Any]
    label_names: dict[str, list[str]]
    identity: dict[str, Any]
    size: int
    read: Callable[[Rows], tuple[Tensor, dict[str, Tensor]]]

    def __len__(self) -> int:
        return self.size

    def parts(self, device: Device, count: int | None = None) -> Iterator[tuple[Tensor, Tensor, dict[str, Tensor]]]:
        """Coordinates, values and labels, some signals at a time.

        Args:
            count: how many signals, spread evenly over the set, which may be sorted by class; all if None.
        """
        coords, taken = self.coords.to(device), len(self) if count is None else min(count, len(self))
        rows = torch.arange(taken) * len(self) // max(taken, 1)
        for part in rows.split(SIGNALS_AT_ONCE):
            values, labels = self.read(part)
            yield coords, values.to(device), {name: codes.to(device) for name, codes in labels.items()}


def signal_set(path: str | Path, split: str) -> SignalSet:
    """Signals of a split.

    Args:
        path: a store, local or remote; or a dataset: `Unfitted`, or the name or .toml file of a manifest.

    Raises:
        InrzooError: neither, a store that does not carry its signals, or a split without signals.
    """
    if isinstance(path, Unfitted):
        return _of_dataset(json.dumps(path.manifest.to_json()), path.source, split)
    if not Path(path).is_dir() and "://" not in str(path):
        names = manifest.names()
        if not str(path).endswith(".toml") and str(path) not in names:
            raise InrzooError(f"no store at {path} and no dataset of that name; there are: {', '.join(names)}")
        return _of_dataset(json.dumps(manifest.load(str(path), trusted=True).to_json()), None, split)
    seeds = load(path, normalise="none").stores[0].info.published_seeds
    dataset = load(path, split=split, seeds=seeds[0], normalise="none", signals=True)
    store = dataset.stores[0]

    def read(rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        batch = dataset[rows]
        assert batch.values is not None, "the dataset was loaded with its signals"
        return batch.values, batch.labels

    return SignalSet(
        inr=dataset.inr,
        grid=store.info.grid,
        coords=torch.from_numpy(store.coords()),
        value_range=store.value_range,
        conventions={
            "coords": asdict(store.info.manifest.coords),
            "values": {"range": list(store.value_range)},
        },
        label_names=dict(dataset.label_names),
        identity={"fingerprint": store.info.fingerprint, "signals": len(dataset)},
        size=len(dataset),
        read=read,
    )


@lru_cache(maxsize=3)
def _of_dataset(resolved: str, source: Path | None, split: str) -> SignalSet:
    """Signals of a manifest (JSON), read into memory as bytes; three splits are kept for the next run."""
    wanted = Manifest.from_json(json.loads(resolved))
    found = registry.make("sources", wanted.source).read(source)
    found = (found if wanted.limit is None else found.limit(wanted.limit)).by_split()
    names = list(found.split_names)
    rows_N = np.flatnonzero(found.split == names.index(split)) if split in names else np.empty(0, dtype=np.int64)
    if not len(rows_N):
        raise InrzooError(f"{wanted.name} has no signals in split {split!r}; its splits are: {', '.join(names)}")
    mine = found.take(rows_N)
    signals_NKC = np.empty((len(mine), int(np.prod(found.grid)), found.channels), dtype=np.uint8)
    for index, array in mine.values(range(len(mine))):
        signals_NKC[index] = array.reshape(signals_NKC.shape[1:])
    labels = {name: torch.from_numpy(codes) for name, codes in mine.labels.items()}
    tables, where = wanted.to_json(), wanted.coords
    nyquist = float(grids.nyquist(found.grid, where.spacing, where.axis_order).min())

    def read(rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        chosen = rows if isinstance(rows, slice) else rows.numpy()
        return to_values(signals_NKC[chosen], wanted.values.range), {name: part[rows] for name, part in labels.items()}

    return SignalSet(
        inr=manifest.make_inr(wanted.inr, len(found.grid), found.channels, nyquist),
        grid=tuple(found.grid),
        coords=torch.from_numpy(grids.grid(found.grid, where.spacing, where.axis_order)),
        value_range=wanted.values.range,
        conventions={key: tables[key] for key in ("coords", "values")},
        label_names=found.label_names,
        identity={
            "source": {key: value for key, value in tables["source"].items() if key not in ("url", "hashes")},
            "limit": wanted.limit,
            "checksums": found.checksums,
            "signals": len(mine),
        },
        size=len(mine),
        read=read,
    )


class SignalTarget:
    """Mixed into a task with a field `inr`: name and fields of the INR to be made; empty for the signals' own."""

    inr: dict[str, Any]

    def target(self, stored: INR) -> INR:
        """The INR whose weights are made."""
        if not self.inr:
            return stored
        made: INR = registry.make("inrs", self.inr, in_features=stored.in_features, out_features=stored.out_features)
        return made

    def conventions(self, path: str | Path) -> dict[str, Any]:
        """See `Task.conventions`: what the weights that come out are weights of, and what goes in."""
        found = signal_set(path, "train")
        target = self.target(found.inr)
        inr = {"name": registry.name_of("inrs", type(target)), **asdict(target)}
        return {"inr": inr, "grid": list(found.grid), **found.conventions}

    def signals(self, path: str | Path, split: str) -> SignalSet:
        """Each signal of a split once; see `signal_set`."""
        return signal_set(path, split)


def psnr_of(network: Hypernet, weights: Tensor, coords: Tensor, values: Tensor, among: SignalSet) -> Tensor:
    """PSNR of each signal's INR on the whole grid, dB, (B,)."""
    return psnr(network.reconstruction_loss(weights, coords, values), among.value_range)
