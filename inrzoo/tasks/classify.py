"""Supervised classification of INRs from their weights: the field's standard benchmark (neural-graphs, NFN, DWSNets),
and the supervised rows of the contrastive paper's Table 2.

Shape letters: B INRs of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inrzoo.errors import InrzooError
from inrzoo.loaders import WeightBatch, WeightDataset
from inrzoo.loaders.transforms import generator_for
from inrzoo.seeding import Stream
from inrzoo.tasks import Device, Learner, Measurement
from inrzoo.tasks._augmented import ROWS_AT_ONCE, AugmentedTask, WeightNetwork, batch_of
from inrzoo.tasks._checkpoint import load_module
from inrzoo.tasks._ema import Ema
from inrzoo.tasks._frozen import share


@dataclass(frozen=True, kw_only=True)
class Classify(AugmentedTask):
    """Classification of INRs by an encoder and a linear map, trained together.

    Every seed of a signal is an INR of its own, in training and in measuring.

    Attributes:
        label_smoothing: share of the target that is spread over all classes.
        ema: decay of the average of the parameters that is measured; 0 for the parameters themselves.
        train_signals: learn from so many signals of the training split, the same share of each class; 0 for all.
    """

    label_smoothing: float = 0.0
    ema: float = 0.0
    train_signals: int = 0

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a number out of its range.
        """
        super().__post_init__()
        for key in ("label_smoothing", "ema"):
            self.require(key, 0 <= getattr(self, key) < 1, "at least 0 and below 1")
        self.require("train_signals", self.train_signals >= 0, "at least 0")

    def begin(self, path: str | Path, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def evaluate(
        self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device
    ) -> Sequence[Measurement]:
        """Accuracy in percent over all INRs of a split."""
        dataset = self.dataset(path, split)
        right, _ = score(self._classifier(dataset, state, device), dataset, self.column(dataset), device)
        return [share("accuracy", right)]

    def trained(self, dataset: WeightDataset, state: Mapping[str, Tensor], device: Device) -> WeightNetwork:
        """See `AugmentedTask.trained`."""
        return self._classifier(dataset, state, device).weights

    def _classifier(self, dataset: WeightDataset, state: Mapping[str, Tensor], device: Device) -> Classifier:
        network = Ema(Classifier(self, dataset), self.ema).to(device).eval()
        load_module(network, state)
        average = network.average
        assert isinstance(average, Classifier)
        return average


class Classifier(nn.Module):
    """Encoder and a linear map to the classes of a dataset."""

    def __init__(self, task: Classify, dataset: WeightDataset) -> None:
        super().__init__()
        self.weights = WeightNetwork(task, dataset)
        column = task.column(dataset)
        self.head = nn.Linear(self.weights.out_features, len(dataset.label_names[column]))

    def forward(self, batch: WeightBatch, generator: torch.Generator | None = None) -> Tensor:
        """Logits (B, classes)."""
        logits: Tensor = self.head(self.weights(batch, generator))
        return logits


class _Learner(Learner):
    def __init__(self, task: Classify, path: str | Path, device: Device) -> None:
        self._task, self._device = task, device
        self._training, self._validation = task.dataset(path, "train"), task.dataset(path, "validation")
        self._column = task.column(self._training)
        self._positions = chosen(self._training, self._column, task.train_signals, task.seed)
        if len(self._positions) < task.batch_size:
            raise InrzooError(
                f"batch_size = {task.batch_size} is more than the {len(self._positions)} INRs that are learned from"
            )
        network = Classifier(task, self._training)
        network.weights.inputs.fit(self._training, task.normalise)
        self.module = self._averaged = Ema(network, task.ema).to(device)
        self._steps = 0
        self.identity = {
            "fingerprint": self._training.stores[0].info.fingerprint,
            "inrs": len(self._positions),
        }

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Cross entropy of a batch; see `Learner.loss`."""
        self._averaged.update(step)
        self._steps = step + 1
        epoch, order = batch_of(self._task, step, len(self._positions))
        batch = self._training.read(self._positions[order], epoch=epoch, key=step).to(self._device)
        logits = self._averaged.network(batch, generator_for(self._task.seed, 0, step, device=self._device))
        target = batch.labels[self._column]
        loss = cross_entropy(logits, target, label_smoothing=self._task.label_smoothing)
        return loss, {"accuracy": float((logits.argmax(1) == target).double().mean())}

    def validate(self) -> dict[str, float]:
        """Accuracy and cross entropy of the validation split, of the average where there is one."""
        self._averaged.update(self._steps)
        right, loss = score(self._averaged.average, self._validation, self._column, self._device)
        accuracy = float(right.double().mean())
        return {"score": accuracy, "validation_accuracy": accuracy, "validation_loss": loss}


@torch.no_grad()
def score(network: nn.Module, dataset: WeightDataset, column: str, device: Device) -> tuple[Tensor, float]:
    """Whether each INR of a dataset is classified right, and the mean cross entropy."""
    right, loss = [], 0.0
    for start in range(0, len(dataset), ROWS_AT_ONCE):
        batch = dataset[start : start + ROWS_AT_ONCE].to(device)
        logits, target = network(batch), batch.labels[column]
        right.append((logits.argmax(1) == target).cpu())
        loss += float(cross_entropy(logits, target, reduction="sum"))
    return torch.cat(right), loss / len(dataset)


def chosen(dataset: WeightDataset, column: str, num_signals: int, seed: int) -> NDArray[np.int64]:
    """Positions of all INRs of so many signals, class by class in turn; more signals contain fewer.

    Raises:
        InrzooError: more than there are.
    """
    positions = np.arange(len(dataset))
    if not num_signals:
        return positions
    signal_L = dataset.rows.signals(dataset.rows.locations(positions))
    signals = np.unique(signal_L)
    if num_signals > len(signals):
        raise InrzooError(f"train_signals = {num_signals} is more than the {len(signals)} of the training split")
    signals = signals[Stream("train signals", "", seed).shuffle(len(signals))]
    label = dataset.labels[column][signals]
    turn = np.zeros(len(signals), dtype=np.int64)  # a signal's number among those of its class
    for code in np.unique(label):
        turn[label == code] = np.arange(np.count_nonzero(label == code))
    kept = signals[np.argsort(turn, kind="stable")[:num_signals]]
    return positions[np.isin(signal_L, kept)]
