"""The signals that tasks learn from: those of a store that carries its signals, or of a dataset without INRs.

Shape letters: N signals, B batch of signals, P numbers of one INR, K coordinates, D in_features, C channels.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrzoo import manifest, registry
from inrzoo.augmentations import Augmentation, augmented, make_augmentations
from inrzoo.errors import InrzooError
from inrzoo.fit.metrics import psnr
from inrzoo.hypernets import Hypernet
from inrzoo.inrs import INR
from inrzoo.loaders import load
from inrzoo.loaders.dataset import CACHED_SIGNAL_BYTES, SIGNALS_AT_ONCE
from inrzoo.loaders.transforms import generator_for
from inrzoo.manifest import Manifest, without_defaults
from inrzoo.nearest import among
from inrzoo.targets import SignalTable, limits_of
from inrzoo.tasks.contract import Data, Device, UnfittedDataset
from inrzoo.tasks.training.batches import TrainingBatches
from inrzoo.tasks.training.state import load_module
from inrzoo.weights import WeightLayout

MEASURED_AT_ONCE = 64
"""Signals that a network is given at once where many are measured."""
MAX_PARTS_AT_ONCE = 4
"""Maximum number of runs of `SIGNALS_AT_ONCE` signals that are shuffled with each other."""
SignalBatch = tuple[Tensor, dict[str, Tensor]]
"""Values (B, K, C) and label columns (B,) each."""
Rows = slice | Tensor
Network_co = TypeVar("Network_co", bound=Hypernet, covariant=True)


@dataclass(frozen=True, kw_only=True)
class SignalSet:
    """Signals of one split, and the family of their INRs.

    Attributes:
        inr: of the store, or the one that the dataset's manifest names.
        grid: sizes, slowest axis first.
        coords: of the grid, (K, D).
        value_range: numbers that the smallest and the largest possible value of a signal are mapped to.
        conventions: tables `coords` and `values` of the manifest.
        label_names: the names of the codes of each label column.
        identity: equal for two sets of the same signals; JSON types.
        size: N.
        read_rows: returns values (B, K, C) on the value scale, and label columns (B,), of some rows.
        augmentations: of the signals of training batches; `parts` gives signals as they are.
        augmentation_seed: what is drawn for a signal is a function of it, the epoch, and the signal's row.
    """

    inr: INR
    grid: tuple[int, ...]
    coords: Tensor
    value_range: tuple[float, float]
    conventions: dict[str, Any]
    label_names: dict[str, list[str]]
    identity: dict[str, Any]
    size: int
    read_rows: Callable[[Rows], SignalBatch]
    augmentations: tuple[Augmentation, ...] = ()
    augmentation_seed: int = 0

    def __len__(self) -> int:
        return self.size

    def parts(self, device: Device, count: int | None = None) -> Iterator[tuple[Tensor, Tensor, dict[str, Tensor]]]:
        """Iterate over coordinates, values and labels of some signals at a time.

        Args:
            device: of the tensors.
            count: number of signals, spread evenly over the set, which may be sorted by class; all if None.
        """
        coords, total = self.coords.to(device), len(self) if count is None else min(count, len(self))
        rows = torch.arange(total) * len(self) // max(total, 1)
        for part in rows.split(MEASURED_AT_ONCE):
            values, labels = self.read_rows(part)
            yield coords, values.to(device), {name: codes.to(device) for name, codes in labels.items()}

    def batches(
        self, batch_size: int, seed: int, augment: Sequence[Mapping[str, Any]] = ()
    ) -> TrainingBatches[SignalBatch]:
        """Shuffled batches for training. So many parts are mixed as stay in memory once they are decoded.

        Args:
            batch_size: signals of a batch.
            seed: of the order, and of the augmentations.
            augment: tables of augmentations, applied in this order.

        Raises:
            InrzooError: the set has fewer signals than a batch, or an augmentation is not for such signals.
        """
        made = make_augmentations(augment, self.grid)
        source = replace(self, augmentations=made, augmentation_seed=seed)
        part_bytes = SIGNALS_AT_ONCE * len(self.coords) * self.inr.out_features
        shards = max(1, min(MAX_PARTS_AT_ONCE, CACHED_SIGNAL_BYTES // part_bytes - 1))
        return TrainingBatches(
            source, batch_size, seed=seed, name="batch", buffer=shards * SIGNALS_AT_ONCE, shards_at_once=shards
        )

    # --- as `Readable` asks for ----------------------------------------------------------------------------------

    @property
    def layout(self) -> WeightLayout:
        """Layout of the INR's weights."""
        return self.inr.layout

    def chunks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Runs of signals that are decoded at once; see `Rows.chunks`."""
        starts = np.arange(0, len(self), SIGNALS_AT_ONCE)
        return np.append(starts, len(self)), np.arange(len(starts))

    def read(self, positions_B: NDArray[np.int64], *, epoch: int, key: int) -> SignalBatch:
        """Values (B, K, C) after all augmentations, and label columns (B,)."""
        values, labels = self.read_rows(torch.from_numpy(positions_B))
        if self.augmentations:
            generators = (generator_for(self.augmentation_seed, epoch, int(row)) for row in positions_B)
            values = augmented(values, self.augmentations, generators, self.grid)
        return values, labels

    def prefetch(self, positions_B: NDArray[np.int64]) -> None:
        """Nothing: signals are read when they are needed."""

    def read_ahead(self, positions_B: NDArray[np.int64]) -> None:
        """Nothing: signals are read when they are needed."""

    def in_use(self, positions_B: NDArray[np.int64]) -> AbstractContextManager[None]:
        """A context in which nothing is kept."""
        return nullcontext()

    def release(self) -> None:
        """Nothing: the dataset bounds the memory of decoded signals."""


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
    seeds = load(path, normalise="none").stores[0].info.published_seeds
    dataset = load(path, split=split, seeds=seeds[0], normalise="none", signals=True)
    store = dataset.stores[0]

    def read_rows(rows: Rows) -> SignalBatch:
        batch = dataset[rows]
        assert batch.targets is not None, "the dataset was loaded with its signals"
        return batch.targets, batch.labels

    return SignalSet(
        inr=dataset.inr,
        grid=store.info.grid,
        coords=torch.from_numpy(store.coords()),
        value_range=store.value_range,
        conventions=without_defaults(
            {"coords": asdict(store.info.manifest.coords), "values": {"range": list(store.value_range)}}
        ),
        label_names=dict(dataset.label_names),
        identity={"fingerprint": store.info.fingerprint, "signals": len(dataset)},
        size=len(dataset),
        read_rows=read_rows,
    )


@lru_cache(maxsize=3)
def _of_dataset(resolved: str, source: Path | None, split: str) -> SignalSet:
    """Signals of a manifest (JSON text), read into memory as bytes; the three latest splits stay in memory."""
    dataset = Manifest.from_json(json.loads(resolved))
    signals = registry.make("sources", dataset.source).read(source)
    signals = (signals if dataset.limit is None else signals.limit(dataset.limit)).by_split()
    of_split = _of_split(signals, split)
    if not len(of_split):
        raise InrzooError(f"{dataset.name} has no signals in split {split!r}{among(split, signals.split_names)}")
    if of_split.arrays:
        raise InrzooError(
            f"the signals of {dataset.name} have points or views of their own; tasks on signals need a grid"
        )
    scaled = dataset if split == "train" else _with_training_limits(dataset, signals)
    table = SignalTable.of(of_split.read_arrays(range(len(of_split))), of_split.grid, scaled, of_split.ids)
    labels = {name: torch.from_numpy(codes) for name, codes in of_split.labels.items()}
    tables, grid = dataset.to_json(), tuple(signals.grid)
    nyquist = float(dataset.coords.nyquist(grid).min())

    def read_rows(rows: Rows) -> SignalBatch:
        values_BKC = table.values(rows if isinstance(rows, slice) else rows.numpy())
        return torch.from_numpy(values_BKC), {name: part[rows] for name, part in labels.items()}

    return SignalSet(
        inr=manifest.make_inr(dataset.inr, len(signals.grid), signals.channels, nyquist),
        grid=grid,
        coords=torch.from_numpy(dataset.coords.grid(grid)),
        value_range=dataset.values.range,
        conventions=without_defaults({key: tables[key] for key in ("coords", "values")}),
        label_names=signals.label_names,
        identity={
            "source": {key: value for key, value in tables["source"].items() if key not in ("url", "hashes")},
            "limit": dataset.limit,
            "checksums": signals.checksums,
            "signals": len(of_split),
        },
        size=len(of_split),
        read_rows=read_rows,
    )


def _of_split(signals: Any, split: str) -> Any:
    """The signals of a split; none if there is no split of that name."""
    names = list(signals.split_names)
    return signals.take(np.flatnonzero(signals.split == (names.index(split) if split in names else -1)))


def _with_training_limits(dataset: Manifest, signals: Any) -> Manifest:
    """The manifest with the limits of the training split written into it, where the scale is that of the dataset."""
    values, training = dataset.values, _of_split(signals, "train")
    if values.scale != "dataset" or values.limits is not None or not len(training):
        return dataset
    limits_N2 = limits_of(training.array(range(len(training))), values, training.ids)
    assert limits_N2 is not None, "only the scale of a type has none"
    first, last = map(float, limits_N2[0])
    return replace(dataset, values=replace(values, limits=(first, last), symmetric=False))


class SignalTarget(ABC, Generic[Network_co]):
    """Mixed into a task that learns from signals and whose field `inr` names the INRs that it makes.

    An empty `inr` stands for the INR that the store or the dataset has.
    """

    reads_signals: ClassVar[bool] = True
    augment_kind: ClassVar[str] = "augmentations"
    inr: dict[str, Any]

    def target(self, stored: INR) -> INR:
        """The INR whose weights are made, for data that have the INR `stored`."""
        if not self.inr:
            return stored
        inr: INR = registry.make("inrs", self.inr, in_features=stored.in_features, out_features=stored.out_features)
        return inr

    def conventions(self, path: Data) -> dict[str, Any]:
        """See `Task.conventions`: the INRs that the network makes, and grid and scale of the signals that it reads."""
        signals = signal_set(path, "train")
        target = self.target(signals.inr)
        inr = {"name": registry.name_of("inrs", type(target)), **asdict(target)}
        return {"inr": inr, "grid": list(signals.grid), **signals.conventions}

    @abstractmethod
    def network(self, signals: SignalSet) -> Network_co:
        """An untrained network for these signals."""

    def restored(
        self, path: Data, split: str, state: Mapping[str, Tensor], device: Device
    ) -> tuple[SignalSet, Network_co]:
        """Signals of a split, and the trained network, from the state of the module in a checkpoint."""
        signals = self.signals(path, split)
        network = self.network(signals).to(device).eval()
        load_module(network, state)
        return signals, network

    def signals(self, path: Data, split: str) -> SignalSet:
        """Each signal of a split once; see `signal_set`."""
        return signal_set(path, split)


def psnr_of(network: Hypernet, weights: Tensor, coords: Tensor, values: Tensor, signals: SignalSet) -> Tensor:
    """PSNR of each signal's INR on the whole grid, dB, (B,)."""
    return psnr(network.reconstruction_loss(weights, coords, values), signals.value_range)
