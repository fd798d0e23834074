"""The signals that tasks learn from: those of a store that carries its signals, or of a dataset without INRs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inrzoo import manifest, registry
from inrzoo.addresses import open_store
from inrzoo.augmentations import SignalKind
from inrzoo.errors import InrzooError
from inrzoo.manifest import Manifest, without_defaults
from inrzoo.nearest import among
from inrzoo.observations import Observation
from inrzoo.sources import Signals
from inrzoo.store import Store
from inrzoo.targets import SignalTable, limits_from, limits_of, limits_or_own
from inrzoo.tasks.contract import Data, UnfittedDataset
from inrzoo.tasks.signal_arrays import SignalArrays
from inrzoo.tasks.signal_sets import SignalBatch as SignalBatch  # for other files
from inrzoo.tasks.signal_sets import SignalPart as SignalPart
from inrzoo.tasks.signal_sets import SignalSet as SignalSet
from inrzoo.tasks.signal_targets import SignalTargets
from inrzoo.tasks.training.state import plain
from inrzoo.unfitted import inr_of, read_source, require_observable


def signal_set(path: Data, split: str) -> SignalSet:
    """Signals of a split.

    Args:
        path: a store, local or remote; or a dataset: an `UnfittedDataset`, or the name or .toml file of a manifest.
        split: name of the split.

    Raises:
        InrzooError: there is no such store or dataset, the store does not carry its signals, or the split is empty.
    """
    if isinstance(path, UnfittedDataset):
        return _of_dataset(json.dumps(path.manifest.to_json()), path.source, split)
    if not Path(path).is_dir() and "://" not in str(path):
        names = manifest.names()
        if not str(path).endswith(".toml") and str(path) not in names:
            raise InrzooError(f"no store at {path} and no dataset of that name{among(path, names)}")
        return _of_dataset(json.dumps(manifest.load(str(path), trusted=True).to_json()), None, split)
    return _of_store(open_store(path), split)


def _of_store(store: Store, split: str) -> SignalSet:
    """Signals of a store, whatever became of the fits of their INRs."""
    if not store.has_signals:
        raise InrzooError(f"{store.location} does not hold its signals; its licence does not allow it")
    names = list(store.info.split_names)
    signals_N = np.flatnonzero(store.split == (names.index(split) if split in names else -1))
    if not len(signals_N):
        raise InrzooError(f"{store.location} has no signals in split {split!r}{among(split, names)}")
    targets, recorded = SignalTargets(store, "signals"), store.info.manifest
    return SignalSet(
        inr=store.inr,
        grid=store.grid,
        coords=None if store.info.arrays else torch.from_numpy(store.coords()),
        observation=store.observation,
        extent=recorded.coords.extent,
        value_range=store.value_range,
        conventions=_conventions(recorded, store.observation),
        label_names={column: list(codes) for column, codes in store.info.label_names.items()},
        labels={name: torch.from_numpy(codes[signals_N]) for name, codes in store.labels.items()},
        identity={"fingerprint": store.info.fingerprint, "signals": len(signals_N)},
        size=len(signals_N),
        signal_bytes=targets.signal_bytes,
        read_table=lambda positions_B: targets.table(signals_N[positions_B]),
        kind=lambda: _kind(store.signal_table(slice(0, 1)), recorded.tables["source"]),
    )


@lru_cache(maxsize=3)
def _of_dataset(resolved: str, source: Path | None, split: str) -> SignalSet:
    """Signals of a manifest (JSON text); what is decoded of the three latest splits stays in memory or on the disk."""
    dataset, signals = _listed(resolved, source)
    arrays = _arrays(resolved, source, split)
    if not len(arrays):
        others = [name for name in signals.split_names if name != split]
        raise InrzooError(f"{dataset.name} has no signals in split {split!r}{among(split, others)}")
    of_split, grid, tables = arrays.signals, tuple(signals.grid), dataset.to_json()

    @cache
    def scaled() -> Manifest:
        """The manifest with the limits of the training split written into it, if the scale is that of the dataset."""
        values, training = dataset.values, _arrays(resolved, source, "train")
        if values.scale == "dtype":
            return dataset
        limits_from(arrays.extremes_N2, values, of_split.ids)  # refuses signals that have no scale
        if values.scale == "signal" or values.limits is not None:
            return dataset
        reference = training if len(training) else arrays
        first, last = limits_from(reference.extremes_N2, values, reference.signals.ids)[0].tolist()
        return replace(dataset, values=replace(values, limits=(first, last), symmetric=False))

    def read_table(positions_B: NDArray[np.int64]) -> SignalTable:
        ids = [of_split.ids[position] for position in positions_B.tolist()]
        valid_N2 = None if of_split.valid is None else of_split.valid[positions_B]
        read, values = arrays(positions_B), scaled().values
        return SignalTable(
            arrays=read,
            grid=grid,
            scale=values,
            coords=dataset.coords,
            observation=observation,
            limits_N2=limits_of(read["signals"], values, ids),
            valid_N2=valid_N2,
        )

    observation: Observation = registry.make("observations", dataset.observation)
    return SignalSet(
        inr=inr_of(dataset, signals),
        grid=grid,
        coords=None if signals.arrays else torch.from_numpy(dataset.coords.grid(grid)),
        observation=observation,
        extent=dataset.coords.extent,
        value_range=dataset.values.range,
        conventions=_conventions(dataset, observation),
        label_names=signals.label_names,
        labels={name: torch.from_numpy(codes) for name, codes in of_split.labels.items()},
        identity={
            "source": {key: value for key, value in tables["source"].items() if key not in ("url", "hashes")},
            "limit": dataset.limit,
            "checksums": signals.checksums,
            "signals": len(arrays),
        },
        size=len(arrays),
        signal_bytes=arrays.signal_bytes,
        read_table=read_table,
        kind=lambda: _kind(read_table(np.arange(1)), dataset.source),
    )


@lru_cache(maxsize=2)
def _listed(resolved: str, source: Path | None) -> tuple[Manifest, Signals]:
    """A manifest and its signals before decoding: files are listed and their checksums taken once for all splits."""
    dataset = Manifest.from_json(json.loads(resolved))
    signals = read_source(dataset, source)
    require_observable(dataset, signals)
    return dataset, signals


def _kind(table: SignalTable, source: Mapping[str, Any]) -> SignalKind:
    """What augmentations are told of signals, by the first of them and the table `source` of the manifest."""
    scale, observation = table.scale, table.observation
    low, high = scale.range
    first, last = limits_or_own(scale, table.limits_N2, 1)[0].tolist()
    unit = (last - first) / (high - low)
    clip = source.get("clip")
    own = scale.scale == "signal" and (clip is not None or not scale.symmetric)
    return SignalKind(
        sizes=table.grid,
        places="grid" if not observation.arrays else "rays" if observation.on_grid else "points",
        quantity=getattr(observation, "quantity", "values"),
        extent=table.coords.extent,
        zero=None if own else low - first / unit,
        furthest=None if clip is None else float(clip) / unit,
    )


@lru_cache(maxsize=3)
def _arrays(resolved: str, source: Path | None, split: str) -> SignalArrays:
    """The arrays of the signals of a split; none if there is no split of that name."""
    _, signals = _listed(resolved, source)
    names = list(signals.split_names)
    chosen = np.flatnonzero(signals.split == (names.index(split) if split in names else -1))
    return SignalArrays(signals.take(chosen))


def _conventions(settings: Any, observation: Observation) -> dict[str, Any]:
    """What signals share with those of a training; `settings` are a manifest, or what a store records of it."""
    tables = {"coords": asdict(settings.coords), "values": asdict(settings.values)}
    # Measures of a grid change nothing in a network.
    own = {"observation": dict(settings.observation)} if observation.arrays else {}
    conventions: dict[str, Any] = plain({**without_defaults(tables), **own})
    return conventions
