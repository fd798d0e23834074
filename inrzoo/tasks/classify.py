"""Supervised classification of INRs from their weights: the standard benchmark of neural-graphs, NFN and DWSNets, and
the supervised rows of the contrastive paper's Table 2.

Shape letters: B INRs of a batch, L INRs of a dataset.
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
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel

from inrzoo.errors import InrzooError
from inrzoo.loaders import WeightBatch, WeightDataset
from inrzoo.seeding import Stream
from inrzoo.tasks.contract import Device, Learner
from inrzoo.tasks.measurements import Measurement, measured_share
from inrzoo.tasks.moving_average import moving_average
from inrzoo.tasks.pretrained import begin_batches
from inrzoo.tasks.training.batches import in_order
from inrzoo.tasks.training.state import load_module, part_of
from inrzoo.tasks.weight_tasks import ROWS_AT_ONCE, WeightNetwork, WeightTask, notes_of


@dataclass(frozen=True, kw_only=True)
class Classify(WeightTask):
    """Classification of INRs by an encoder and a linear layer, trained together.

    Every fit of a signal counts as one INR, in training and in evaluation.

    Attributes:
        label_smoothing: share of the target that is spread over all classes.
        ema: decay of the exponential moving average of the parameters that is measured; 0 measures the parameters.
        train_signals: number of training signals to learn from, an equal share of each class; 0 for all.
    """

    label_smoothing: float = 0.0
    ema: float = 0.0
    train_signals: int = 0

    def __post_init__(self) -> None:
        """See `Task.__post_init__`."""
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
        right, _ = score(self.classifier(dataset, state, device), dataset, self.label_column(dataset), device)
        return [measured_share("accuracy", right)]

    def trained(self, dataset: WeightDataset, state: Mapping[str, Tensor], device: Device) -> WeightNetwork:
        """See `WeightTask.trained`."""
        return self.classifier(dataset, state, device).weights

    def encoder_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `WeightTask.encoder_state`: of the average, if there is one."""
        renamed = dict(state)
        _renamed(None, renamed)
        averaged = any(name.startswith("average.module.") for name in renamed)
        return part_of(renamed, "average.module.weights." if averaged else "network.weights.")

    def classifier(self, dataset: WeightDataset, state: Mapping[str, Tensor], device: Device) -> Classifier:
        """The trained classifier, from the state of the module in a checkpoint."""
        module = AveragedClassifier(Classifier(self, dataset), self.ema).to(device).eval()
        load_module(module, state)
        return module.measured


class Classifier(nn.Module):
    """Encoder and a linear layer to the classes of a dataset."""

    def __init__(self, task: Classify, dataset: WeightDataset) -> None:
        super().__init__()
        self.weights = WeightNetwork(task, dataset)
        column = task.label_column(dataset)
        self.head = nn.Linear(self.weights.out_features, len(dataset.label_names[column]))

    def forward(self, batch: WeightBatch) -> Tensor:
        """Logits (B, classes)."""
        logits: Tensor = self.head(self.weights(batch))
        return logits


class AveragedClassifier(nn.Module):
    """A classifier and the exponential moving average of its parameters.

    Args:
        network: the classifier that is trained.
        decay: weight of the old average, from 0 to below 1, see `moving_average`; 0 keeps no average.
    """

    def __init__(self, network: Classifier, decay: float) -> None:
        super().__init__()
        self.network = network
        self.average: AveragedModel | None = None
        if decay:
            self.average = moving_average(network, decay)
        self.register_load_state_dict_pre_hook(_renamed)  # type: ignore[no-untyped-call]

    @property
    def measured(self) -> Classifier:
        """The classifier to measure: the average, or the network itself where there is none."""
        network = self.network if self.average is None else self.average.module
        assert isinstance(network, Classifier)
        return network

    def update(self) -> None:
        """Average the present parameters in."""
        if self.average is not None:
            self.average.update_parameters(self.network)


def _renamed(module: nn.Module | None, state: dict[str, Tensor], *_: Any) -> None:
    """Give the tensors of older checkpoints, `copy.NAME` and `num_updates`, their present names."""
    updates = state.pop("num_updates", None)
    for name in [name for name in state if name.startswith("copy.")]:
        state[f"average.module.{name.removeprefix('copy.')}"] = state.pop(name)
    if updates is not None and any(name.startswith("average.") for name in state):
        state["average.n_averaged"] = updates + 1


class _Learner(Learner):
    def __init__(self, task: Classify, path: str | Path, device: Device) -> None:
        self._task, self._device = task, device
        training, self._validation = task.dataset(path, "train"), task.dataset(path, "validation")
        self._column = task.label_column(training)
        subset = training.subset(chosen(training, self._column, task.train_signals, task.seed))
        network = Classifier(task, training)
        self._batches, self.identity = begin_batches(network.weights, task, training, subset)
        self.module = self._averaged = AveragedClassifier(network, task.ema).to(device)
        self.notes = notes_of(training.stores[0])

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Cross entropy of a batch; see `Learner.loss`."""
        batch = self._batches(step).to(self._device)
        logits = self._averaged.network(batch)
        target = batch.labels[self._column]
        loss = cross_entropy(logits, target, label_smoothing=self._task.label_smoothing)
        return loss, {"accuracy": float((logits.argmax(1) == target).double().mean())}

    def after_step(self) -> None:
        """See `Learner.after_step`."""
        self._averaged.update()

    def validate(self) -> dict[str, float]:
        """Accuracy and cross entropy of the validation split, by the average if there is one."""
        right, loss = score(self._averaged.measured, self._validation, self._column, self._device)
        accuracy = float(right.double().mean())
        return {"score": accuracy, "validation_accuracy": accuracy, "validation_loss": loss}


@torch.no_grad()
def score(network: Classifier, dataset: WeightDataset, column: str, device: Device) -> tuple[Tensor, float]:
    """Whether each INR of a dataset is classified correctly, (L,) bool, and the mean cross entropy."""
    right, loss = [], 0.0
    for batch in in_order(network.weights.prepared(dataset), ROWS_AT_ONCE):
        logits, target = network(batch.to(device)), batch.labels[column].to(device)
        right.append((logits.argmax(1) == target).cpu())
        loss += float(cross_entropy(logits, target, reduction="sum"))
    return torch.cat(right), loss / len(dataset)


def chosen(dataset: WeightDataset, column: str, num_signals: int, seed: int) -> NDArray[np.int64]:
    """Positions of all INRs of `num_signals` signals, taken from each class in turn; 0 for all.

    A larger number adds signals to those of a smaller one.

    Raises:
        InrzooError: the dataset has fewer signals.
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
    rank = np.zeros(len(signals), dtype=np.int64)  # number of a signal among those of its class
    for code in np.unique(label):
        rank[label == code] = np.arange(np.count_nonzero(label == code))
    subset = signals[np.argsort(rank, kind="stable")[:num_signals]]
    return positions[np.isin(signal_L, subset)]
