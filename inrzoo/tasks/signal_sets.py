"""Sets of signals that tasks learn from: batches for training, parts for measuring, and how INRs are compared.

Shape letters: N signals, B batch of signals, K points of a signal, D coordinates, R numbers of a place, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrzoo.augmentations import SignalAugmentation, SignalKind, augmented, make_augmentations
from inrzoo.inrs import INR
from inrzoo.loaders.dataset import CACHED_SIGNAL_BYTES
from inrzoo.loaders.order import ReadWhenNeeded, evenly
from inrzoo.loaders.transforms import generator_for
from inrzoo.observations import Observation, Observer
from inrzoo.store.signal_reader import Evaluate
from inrzoo.targets import SignalTable, Targets
from inrzoo.tasks.contract import Device
from inrzoo.tasks.signal_targets import signals_at_once
from inrzoo.tasks.training.batches import TrainingBatches
from inrzoo.volume_rendering import predicted
from inrzoo.weights import WeightLayout

MEASURED_AT_ONCE = 64
"""Maximum number of signals that a network is given at once where many are measured."""
MEASURED_POINTS = 2**18
"""Maximum number of evaluations of INRs at once where many signals are measured, unless one signal has more."""
Rows = slice | Tensor


class SignalBatch(NamedTuple):
    """Signals of a batch.

    Attributes:
        values: (B, K, C), on the value scale.
        labels: columns (B,) of codes by name.
        where: the signals' own coordinates, (B, K, D), or rays, (B, K, 6), as `Observation.where` gives them; None for
            the grid that all share.
    """

    values: Tensor
    labels: dict[str, Tensor]
    where: Tensor | None = None


class SignalPart(NamedTuple):
    """Signals that are measured at once, on the device of the network.

    Attributes:
        where: coordinates of the grid, (K, D), or as in `SignalBatch`.
        values, labels: as in `SignalBatch`.
        targets: the same on the CPU, with the signals' units and their held-out points or views.
    """

    where: Tensor
    values: Tensor
    labels: dict[str, Tensor]
    targets: Targets


@dataclass(frozen=True, kw_only=True)
class SignalSet(ReadWhenNeeded):
    """Signals of one split, the family of their INRs, and how both are compared.

    Attributes:
        inr: of the store, or the one that the dataset's manifest names.
        grid: sizes, slowest axis first; (K,) for signals with points of their own.
        coords: of the grid, (K, D); None if signals have points or rays of their own.
        observation: how INRs are compared with the signals.
        extent: highest coordinate.
        value_range: numbers that the smallest and the largest possible value of a signal are mapped to.
        conventions: tables `coords` and `values` of the manifest; `observation` too if signals have further arrays.
        label_names: the names of the codes of each label column.
        labels: columns (N,) of codes by name.
        identity: equal for two sets of the same signals; JSON types.
        size: N.
        signal_bytes: size of all arrays of one signal, as they are stored.
        read_table: returns all arrays of the signals at some positions.
        kind: returns what augmentations are told of the signals.
        augmentations: of the signals of training batches; `parts` gives signals as they are.
        augmentation_seed: what is drawn for a signal is a function of it, the epoch, and the signal's row.
    """

    inr: INR
    grid: tuple[int, ...]
    coords: Tensor | None
    observation: Observation
    extent: float
    value_range: tuple[float, float]
    conventions: dict[str, Any]
    label_names: dict[str, list[str]]
    labels: dict[str, Tensor]
    identity: dict[str, Any]
    size: int
    signal_bytes: int
    read_table: Callable[[NDArray[np.int64]], SignalTable]
    kind: Callable[[], SignalKind]
    augmentations: tuple[SignalAugmentation, ...] = ()
    augmentation_seed: int = 0

    def __len__(self) -> int:
        return self.size

    @property
    def loss_name(self) -> str:
        """Name of the loss by which INRs are compared with signals."""
        return self.observation.loss_name

    @cached_property
    def observer(self) -> Observer | None:
        """How values are predicted from INRs; None for the values of the INR at coordinates."""
        return self.observation.observer(extent=self.extent, value_range=self.value_range)

    def predict(self, weights_BP: Tensor, where: Tensor, evaluate: Evaluate | None = None) -> Tensor:
        """Predict the values of signals, (B, K, C); see `Store.predict`."""
        values_at = self.inr if evaluate is None else partial(evaluate, self.inr)
        return predicted(self.observer, values_at, weights_BP, where)

    def read_rows(self, rows: Rows) -> SignalBatch:
        """Return some signals as they are."""
        positions_B = np.arange(self.size)[rows if isinstance(rows, slice) else rows.numpy()]
        table = self.read_table(positions_B)
        where_BKR = table.where()
        where = None if where_BKR is None else torch.from_numpy(where_BKR)
        labels = {name: codes[torch.from_numpy(positions_B)] for name, codes in self.labels.items()}
        return SignalBatch(torch.from_numpy(table.values()), labels, where)

    def places(self, batch: SignalBatch, device: Device) -> Tensor:
        """Where the signals of a batch have their values: coordinates (K, D) of the grid, or as in `SignalBatch`."""
        where = self.coords if batch.where is None else batch.where
        assert where is not None, "signals without a grid have places of their own"
        return where.to(device)

    def parts(self, device: Device, count: int | None = None) -> Iterator[SignalPart]:
        """Iterate over some signals at a time.

        Args:
            device: of the tensors.
            count: number of signals, spread evenly over the set, which may be sorted by class; all if None.
        """
        rows_N = evenly(len(self), count)
        evaluations = int(np.prod(self.grid)) * self.observation.evaluations
        at_once = max(1, min(MEASURED_AT_ONCE, MEASURED_POINTS // evaluations))
        for first in range(0, len(rows_N), at_once):
            rows_B = rows_N[first : first + at_once]
            targets = self.read_table(rows_B).targets()
            labels = {name: codes[torch.from_numpy(rows_B)].to(device) for name, codes in self.labels.items()}
            where = torch.from_numpy(targets.coords) if self.coords is None else self.coords
            yield SignalPart(where.to(device), torch.from_numpy(targets.values_BKC).to(device), labels, targets)

    def batches(
        self, batch_size: int, seed: int, augment: Sequence[Mapping[str, Any]] = ()
    ) -> TrainingBatches[SignalBatch]:
        """Shuffled batches for training, whose order is that of a store with the same signals.

        Runs of signals are taken in a random order, as many at a time as a store keeps decoded, and the signals of
        these are shuffled.

        Args:
            batch_size: signals of a batch.
            seed: of the order, and of the augmentations.
            augment: tables of augmentations, applied in this order.

        Raises:
            InrzooError: the set has fewer signals than a batch, or an augmentation is not for such signals.
        """
        made = make_augmentations(augment, self.kind()) if augment else ()
        source = replace(self, augmentations=made, augmentation_seed=seed)
        buffer, parts = self.window
        return TrainingBatches(source, batch_size, seed=seed, name="batch", buffer=buffer, shards_at_once=parts)

    @property
    def window(self) -> tuple[int, int]:
        """Number of signals that are shuffled with each other, and of the runs that they come from."""
        at_once = signals_at_once(self.signal_bytes)
        # Half of what a store keeps decoded, so that the next window is decoded before this one goes.
        parts = max(1, CACHED_SIGNAL_BYTES // 2 // (at_once * self.signal_bytes))
        return parts * at_once, parts

    # --- as `Readable` asks for ----------------------------------------------------------------------------------

    @property
    def layout(self) -> WeightLayout:
        """Layout of the INR's weights."""
        return self.inr.layout

    def chunks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Runs of signals that a store decodes at once; see `Rows.chunks`."""
        starts = np.arange(0, len(self), signals_at_once(self.signal_bytes))
        return np.append(starts, len(self)), np.arange(len(starts))

    def read(self, positions_B: NDArray[np.int64], *, epoch: int, key: int) -> SignalBatch:
        """Signals after all augmentations."""
        batch = self.read_rows(torch.from_numpy(positions_B))
        if not self.augmentations:
            return batch
        generators = (generator_for(self.augmentation_seed, epoch, int(row)) for row in positions_B)
        values, where = augmented(batch.values, batch.where, self.augmentations, generators)
        return batch._replace(values=values, where=where)
