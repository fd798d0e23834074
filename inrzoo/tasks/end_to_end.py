"""Classification of signals by the INRs that a few learned gradient steps fit to them.

MWT: Gielisse & van Gemert 2025, "End-to-end implicit neural representations for classification";
formulas in docs/derivations/hypernetworks.md#end-to-end-classification.

Shape letters: B batch of signals, K coordinates, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from inrzoo.hypernets.end_to_end import EndToEnd as Network
from inrzoo.tasks.contract import Data, Device, Learner, Task
from inrzoo.tasks.measurements import Measurement, measured_mean
from inrzoo.tasks.signal_tasks import (
    SignalTarget,
    joined,
    label_column,
    measured,
    training_numbers,
    validation_numbers,
)
from inrzoo.tasks.signals import SignalSet

MWT = {"name": "siren", "convention": "mwt", "omega_0": 10.0, "hidden_features": 128, "hidden_layers": 4}


@dataclass(frozen=True, kw_only=True)
class EndToEnd(SignalTarget[Network], Task):
    """A learned initialisation of an INR and a classifier of the change by a few gradient steps, trained together.

    Signals, labels, grid, value range and split are those of a dataset or of a store, whose INRs are not used. The
    paper trains 10 epochs in batches of 16 by AdamW with learning rate 1e-4 (1e-2 for the learned rates) and weight
    decay 1e-4, and clips the gradient of each of the three groups to norm 1.

    Attributes:
        hypernet: arguments of the hypernetwork `end_to_end`.
        inr: name and fields of the INR that is made.
        label: name of the label column with the classes; the first column by default.
        batch: signals of a step.
        augment: augmentations of training signals: `crop=4`, `flip`; repeat the option for several, in
            this order. The paper's row with augmentation has both.
        rates_factor: learning rate of the learned rates, in multiples of `lr`.
        classifier_factor: learning rate of the classifier, in multiples of `lr`.
        mixed_precision: run the classifier in bfloat16 and inner steps in float32, as `precision` bfloat16 does.
        validation_signals: number of signals that decide which checkpoint is the best.
        test_inner_fraction: share of the coordinates of an inner step in evaluation; that of training by default.
    """

    casts: ClassVar[bool] = True

    lr: float = 1e-4
    weight_decay: float = 1e-4
    hypernet: dict[str, Any] = field(default_factory=lambda: {"name": "end_to_end"})
    inr: dict[str, Any] = field(default_factory=lambda: dict(MWT))
    label: str | None = None
    batch: int = 16
    augment: tuple[dict[str, Any], ...] = ()
    rates_factor: float = 100.0
    classifier_factor: float = 1.0
    mixed_precision: bool = False
    validation_signals: int = 1000
    test_inner_fraction: float | None = None

    def __post_init__(self) -> None:
        """See `Task.__post_init__`."""
        super().__post_init__()
        self.require_at_least(1, "batch", "validation_signals")
        self.require_at_least(0, "rates_factor", "classifier_factor")
        fraction = self.test_inner_fraction
        self.require("test_inner_fraction", fraction is None or 0 < fraction <= 1, "above 0 and at most 1")
        self.require("hypernet", self.hypernet.get("name") == "end_to_end", "the name end_to_end and its arguments")

    def network(self, signals: SignalSet) -> Network:
        """An untrained network for these signals."""
        network = self.made(signals, num_classes=len(signals.label_names[label_column(signals, self.label)]))
        network.mixed_precision = self.mixed_precision or self.precision == "bfloat16"
        return network

    def begin(self, path: Data, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def tested(self, path: Data, split: str, state: Mapping[str, Tensor], device: Device) -> tuple[SignalSet, Network]:
        """As `restored`; the inner steps of the network see as many coordinates as `test_inner_fraction` says."""
        signals, network = self.restored(path, split, state, device)
        if self.test_inner_fraction is not None:
            network.inner_fraction, network.inner_coords = self.test_inner_fraction, None
        return signals, network

    def evaluate(self, path: Data, split: str, state: Mapping[str, Tensor], device: Device) -> Sequence[Measurement]:
        """Accuracy in percent; PSNR in dB, or for logits the loss; and the measures of the observation."""
        signals, network = self.tested(path, split, state, device)
        right, qualities = classified(network, label_column(signals, self.label), signals, device)
        means = [measured_mean(name, numbers_N) for name, numbers_N in qualities.items()]
        return [measured_mean("accuracy", 100 * right), *means]


def classified(
    network: Network, label: str, signals: SignalSet, device: Device, count: int | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Whether each of `count` signals is classified correctly (1 or 0), (N,), and the quality of its INR by name."""
    right, qualities = [], []
    for part in signals.parts(device, count):
        instances = network.instances(part.where, part.values)
        right.append((network.classify(instances).argmax(dim=1) == part.labels[label]).float())
        qualities.append(measured(network, network.weights(instances), part, signals))
    return torch.cat(right), joined(qualities)


class _Learner(Learner):
    def __init__(self, task: EndToEnd, path: Data, device: Device) -> None:
        self._task, self._device = task, device
        self._training, self._validation = task.signals(path, "train"), task.signals(path, "validation")
        self._label = label_column(self._training, task.label)
        self._batches = self._training.batches(task.batch, task.seed, task.augment)
        self.module = self._network = task.network(self._training).to(device)
        self.identity = self._training.identity

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups of the initialisation, the learned rates and the classifier."""
        groups = self._network.parameter_groups(1.0, self._task.rates_factor, self._task.classifier_factor)
        return [{"params": group["params"], "lr_factor": group["lr"]} for group in groups]

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean loss of a batch of signals, which `step` decides; see `Learner.loss`."""
        batch = self._batches(step)
        labels = batch.labels[self._label].to(self._device)
        where = self._training.places(batch, self._device)
        task_B, error_B, scores = self._network.losses(where, batch.values.to(self._device), labels)
        accuracy = (scores.argmax(dim=1) == labels).float().mean()
        return (task_B + error_B).mean(), {"accuracy": float(accuracy), **training_numbers(error_B, self._training)}

    def validate(self) -> dict[str, float]:
        """Accuracy, and the quality of INRs, on the same validation signals every time."""
        right, qualities = classified(
            self._network, self._label, self._validation, self._device, self._task.validation_signals
        )
        accuracy = float(right.mean())
        return {**validation_numbers(qualities), "score": accuracy, "validation_accuracy": accuracy}
