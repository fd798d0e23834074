"""Regression of a number of INRs from their weights: their quality, their steps, or a number of their signals.

A reader that mixes up tensors, rows or snapshots fails it at once, so that it is also a test of encoders.

Shape letters: B INRs of a batch, L INRs of a dataset, N signals, S seeds, T snapshots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from inrzoo.errors import InrzooError
from inrzoo.loaders import WeightBatch, WeightDataset
from inrzoo.store.quantities import quantity
from inrzoo.tasks.contract import Device, Learner
from inrzoo.tasks.encoding_tasks import EncodingModule, EncodingTask
from inrzoo.tasks.measurements import Measurement, measured_mean, measured_r2
from inrzoo.tasks.pretrained import begin_batches
from inrzoo.tasks.training.batches import in_order
from inrzoo.tasks.weight_tasks import ROWS_AT_ONCE, notes_of


@dataclass(frozen=True, kw_only=True)
class Regress(EncodingTask["Regressor"]):
    """Regression of a column of numbers by an encoder and a linear layer to one number, trained together.

    Targets are standardised by the training split, and the loss is their mean squared error. Every fit of a signal, at
    every snapshot, counts as one INR. There are no transforms by default: they may change the number, too.

    Attributes:
        column: column of numbers: psnr, loss, steps, out_of_band or exact of an INR, or the name of a further measure,
            such as snr, or of a number of the signal.
        views: step counts of the snapshots, each of which is an INR; all by default.
    """

    column: str = "psnr"
    views: tuple[int, ...] | None = None
    augment: tuple[dict[str, Any], ...] = ()

    def begin(self, path: str | Path, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def dataset(self, path: str | Path, split: str | None, views: Sequence[int] | None = None) -> WeightDataset:
        """All INRs of a split as they were fitted, at the snapshots `views`, by default those of the task."""
        chosen = views or self.views
        if chosen is None:
            chosen = super().dataset(path, split).stores[0].snapshots
        return super().dataset(path, split, chosen)

    def evaluate(
        self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device
    ) -> Sequence[Measurement]:
        """R² in percent, and the mean absolute error in the unit of the column, over all INRs of a split."""
        dataset = self.dataset(path, split)
        truth = targets(dataset, self.column)
        predicted = predictions(self.restored(dataset, state, device), dataset, device)
        return [measured_r2("R²", predicted, truth), measured_mean("mean absolute error", (predicted - truth).abs())]

    def network(self, dataset: WeightDataset) -> Regressor:
        """See `EncodingTask.network`."""
        return Regressor(self, dataset)


class Regressor(EncodingModule):
    """Encoder, a linear layer to one number, and mean and standard deviation of the targets of the training split."""

    target_mean: Tensor
    target_std: Tensor

    def __init__(self, task: Regress, dataset: WeightDataset) -> None:
        super().__init__(task, dataset)
        self.head = nn.Linear(self.weights.out_features, 1)
        self.register_buffer("target_mean", torch.zeros(()))
        self.register_buffer("target_std", torch.ones(()))

    def forward(self, batch: WeightBatch) -> Tensor:
        """Standardised numbers (B,) of a batch of a dataset that is `prepared`."""
        numbers: Tensor = self.head(self.weights(batch))[:, 0]
        return numbers

    def of_weights(self, weights: Tensor) -> Tensor:
        """Numbers (B,) in the unit of the column, of weights (B, P) as they were fitted."""
        return self.in_unit(self.head(self.weights.of_weights(weights))[:, 0])

    def in_unit(self, numbers: Tensor) -> Tensor:
        """Numbers in the unit of the column, of standardised ones."""
        return numbers * self.target_std + self.target_mean

    def standardised(self, numbers: Tensor) -> Tensor:
        """Inverse of `in_unit`."""
        return (numbers - self.target_mean) / self.target_std


class _Learner(Learner):
    def __init__(self, task: Regress, path: str | Path, device: Device) -> None:
        self._device = device
        training, self._validation = task.dataset(path, "train"), task.dataset(path, "validation")
        truth_L, self._truth_L = (targets(dataset, task.column) for dataset in (training, self._validation))
        self._columns_NST = torch.from_numpy(quantity(training.stores[0], task.column)).float()
        self._snapshots = torch.tensor(training.stores[0].snapshots)
        network = Regressor(task, training)
        network.target_mean.fill_(truth_L.mean())
        network.target_std.fill_(truth_L.std(correction=0))
        if not float(network.target_std) > 0:
            raise InrzooError(f"column = {task.column!r} is the same number for all INRs of the training split")
        self._batches, self.identity = begin_batches(network.weights, task, training)
        self.module = self._network = network.to(device)
        self.notes = notes_of(training.stores[0])

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean squared error of standardised numbers of a batch; see `Learner.loss`."""
        batch = self._batches(step)
        snapshot_B = torch.searchsorted(self._snapshots, batch.step)
        target_B = self._columns_NST[batch.signal, batch.seed, snapshot_B].to(self._device)
        return mse_loss(self._network(batch.to(self._device)), self._network.standardised(target_B)), {}

    def validate(self) -> dict[str, float]:
        """R² and mean absolute error of the validation split."""
        predicted_L = predictions(self._network, self._validation, self._device)
        score = measured_r2("R²", predicted_L, self._truth_L).mean / 100
        error = float((predicted_L - self._truth_L).abs().mean())
        return {"score": score, "validation_r2": score, "validation_error": error}


@torch.no_grad()
def predictions(network: Regressor, dataset: WeightDataset, device: Device) -> Tensor:
    """Numbers in the unit of the column, (L,) float64, of every INR of a dataset as `Regress.dataset` returns it."""
    parts = in_order(network.weights.prepared(dataset), ROWS_AT_ONCE)
    return torch.cat([network.in_unit(network(batch.to(device))).cpu() for batch in parts]).double()


def targets(dataset: WeightDataset, column: str, positions: NDArray[np.int64] | None = None) -> Tensor:
    """The number of each INR of a dataset of one store, (L,) float64.

    Args:
        dataset: of one store.
        column: name of a column of numbers; see `store.quantities`.
        positions: positions of the L INRs in the dataset; all by default, in its order.

    Raises:
        InrzooError: there is no such column, or it has no finite number for an INR.
    """
    where = dataset.rows.locations(np.arange(len(dataset)) if positions is None else positions)
    numbers_L = quantity(dataset.stores[0], column)[where.signal, where.seed, where.step]
    if missing := int((~np.isfinite(numbers_L)).sum()):
        place = dataset.stores[0].location
        raise InrzooError(
            f"column = {column!r} has no finite number for {missing:,} of {len(numbers_L):,} INRs of {place}"
        )
    return torch.from_numpy(numbers_L)
