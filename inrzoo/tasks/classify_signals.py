"""Classification of signals by a network that reads them: what a network on weights is compared with.

Shape letters: B batch of signals, K points of a signal, D coordinates, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inrzoo import registry
from inrzoo.encoders import Encoder, pixel_layout, point_layout
from inrzoo.errors import InrzooError
from inrzoo.tasks.contract import Data, Device, Learner, Task
from inrzoo.tasks.measurements import Measurement, measured_share
from inrzoo.tasks.signal_tasks import label_column
from inrzoo.tasks.signals import SignalSet, signal_set
from inrzoo.tasks.training.state import load_module
from inrzoo.weights import WeightLayout


@dataclass(frozen=True, kw_only=True)
class ClassifySignals(Task):
    """Classification of signals by a network that reads pixels or points, trained with a linear layer to the classes.

    Signals, labels and split are those of a dataset or of a store, whose INRs are not used.

    Attributes:
        encoder: name of an encoder that reads signals, and its arguments: `conv_net` for pictures, `point_net` for
            signals at points of their own.
        label: name of the label column with the classes; the first column by default.
        batch: signals of a step.
        augment: augmentations of training signals: `flip`, `"scale high=1.2"`; repeat the option for several, in this
            order.
    """

    reads_signals: ClassVar[bool] = True
    augment_kind: ClassVar[str] = "augmentations"
    casts: ClassVar[bool] = True

    encoder: dict[str, Any] = field(default_factory=lambda: {"name": "conv_net"})
    label: str | None = None
    batch: int = 32
    augment: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        """See `Task.__post_init__`."""
        super().__post_init__()
        self.require_at_least(1, "batch")

    def conventions(self, path: Data) -> dict[str, Any]:
        """See `Task.conventions`: grid and scale of the signals."""
        signals = signal_set(path, "train")
        return {"grid": list(signals.grid), **signals.conventions}

    def begin(self, path: Data, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def evaluate(self, path: Data, split: str, state: Mapping[str, Tensor], device: Device) -> Sequence[Measurement]:
        """Accuracy in percent."""
        signals = signal_set(path, split)
        network = SignalClassifier(self, signals).to(device).eval()
        load_module(network, state)
        right, _ = score(network, signals, device)
        return [measured_share("accuracy", right)]


class SignalClassifier(nn.Module):
    """An encoder of signals and a linear layer to their classes.

    Raises:
        InrzooError: the encoder does not read signals, or not such as these.
    """

    def __init__(self, task: ClassifySignals, signals: SignalSet) -> None:
        super().__init__()
        name = str(task.encoder.get("name"))
        kind = registry.find("encoders", name)
        if kind.reads != "signals":
            of_signals = [
                each for each in registry.names("encoders") if registry.find("encoders", each).reads == "signals"
            ]
            raise InrzooError(f"encoder.name = {name} reads weights; {' and '.join(of_signals)} read signals")
        self._task = task
        self.column = label_column(signals, task.label)
        self.encoder: Encoder = registry.make("encoders", task.encoder, layout=layout_of(signals))
        self.head = nn.Linear(self.encoder.out_features, len(signals.label_names[self.column]))

    def forward(self, values: Tensor, where: Tensor | None) -> Tensor:
        """Class scores (B, classes), float32, of values (B, K, C), at coordinates (B, K, D) unless they have a grid."""
        numbers = values if where is None else torch.cat([where, values], dim=2)
        with self._task.autocast(self, values.device):
            features: Tensor = self.encoder(numbers.flatten(1))
        scores: Tensor = self.head(features.float())
        return scores


def layout_of(signals: SignalSet) -> WeightLayout:
    """Return how the numbers of a signal are laid out for an encoder.

    Raises:
        InrzooError: the signals are neither pictures nor values at points of their own.
    """
    channels = signals.inr.out_features
    if signals.coords is not None and len(signals.grid) == 2:
        return pixel_layout(signals.grid, channels)
    if signals.coords is None and not signals.observation.on_grid:
        return point_layout(signals.grid[0], signals.inr.in_features, channels)
    what = "are views" if signals.coords is None else f"have a grid of {list(signals.grid)}"
    raise InrzooError(f"classify_signals reads pictures or values at points of their own; these signals {what}")


@torch.no_grad()
def score(network: SignalClassifier, signals: SignalSet, device: Device) -> tuple[Tensor, float]:
    """Whether each signal is classified correctly, (N,) bool, and the mean cross entropy."""
    right, loss = [], 0.0
    for part in signals.parts(device):
        target = part.labels[network.column]
        scores = network(part.values, None if signals.coords is not None else part.where)
        right.append((scores.argmax(dim=1) == target).cpu())
        loss += float(cross_entropy(scores, target, reduction="sum"))
    return torch.cat(right), loss / len(signals)


class _Learner(Learner):
    def __init__(self, task: ClassifySignals, path: Data, device: Device) -> None:
        self._device = device
        training, self._validation = signal_set(path, "train"), signal_set(path, "validation")
        self.module = self._network = SignalClassifier(task, training).to(device)
        self._batches = training.batches(task.batch, task.seed, task.augment)
        self.identity = training.identity

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Cross entropy of a batch; see `Learner.loss`."""
        batch = self._batches(step)
        target = batch.labels[self._network.column].to(self._device)
        where = None if batch.where is None else batch.where.to(self._device)
        scores = self._network(batch.values.to(self._device), where)
        accuracy = float((scores.argmax(dim=1) == target).double().mean())
        return cross_entropy(scores, target), {"accuracy": accuracy}

    def validate(self) -> dict[str, float]:
        """Accuracy and cross entropy of the validation split."""
        right, loss = score(self._network, self._validation, self._device)
        accuracy = float(right.double().mean())
        return {"score": accuracy, "validation_accuracy": accuracy, "validation_loss": loss}
