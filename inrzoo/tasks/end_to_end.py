"""Classification of signals through the INRs that a few learned gradient steps make of them.

MWT: Gielisse & van Gemert 2025, "End-to-end implicit neural representations for classification";
formulas in docs/derivations/hypernetworks.md#end-to-end-classification.

Shape letters: B batch of signals, K coordinates, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.fit.metrics import psnr
from inrzoo.hypernets.end_to_end import EndToEnd as Network
from inrzoo.loaders.transforms import generator_for
from inrzoo.tasks import Device, Learner, Measurement, Task
from inrzoo.tasks._checkpoint import load_module
from inrzoo.tasks._matching import mean_and_interval
from inrzoo.tasks._signals import SignalSet, SignalTarget, psnr_of

MWT = {"name": "siren", "convention": "mwt", "omega_0": 10.0, "hidden_features": 128, "hidden_layers": 4}


@dataclass(frozen=True, kw_only=True)
class EndToEnd(SignalTarget, Task):
    """A learned start of an INR and a classifier of what a few gradient steps change, trained together.

    Signals, labels, grid, value range and split are those of a dataset or of a store, whose INRs are not used. The
    paper: 10 epochs, batches of 16, AdamW with 1e-4 (rates 1e-2), weight decay 1e-4, each of the three groups clipped
    to norm 1.

    Attributes:
        hypernet: arguments of the hypernetwork `end_to_end`.
        inr: the target, name and fields.
        label: the label column that holds the classes; the first one if none is named.
        batch: signals of a step.
        rates_factor: step size of the learned rates, in multiples of `lr`.
        classifier_factor: step size of the classifier, in multiples of `lr`.
        mixed_precision: run the classifier in bfloat16, inner steps in float32.
        validation_signals: how many signals decide about the best checkpoint.
        test_inner_fraction: share of the coordinates that an inner step sees where the result is measured; that of
            training if none is given.
    """

    lr: float = 1e-4
    weight_decay: float = 1e-4
    hypernet: dict[str, Any] = field(default_factory=lambda: {"name": "end_to_end"})
    inr: dict[str, Any] = field(default_factory=lambda: dict(MWT))
    label: str | None = None
    batch: int = 16
    rates_factor: float = 100.0
    classifier_factor: float = 1.0
    mixed_precision: bool = False
    validation_signals: int = 1000
    test_inner_fraction: float | None = None

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a number out of its range.
        """
        super().__post_init__()
        for key in ("batch", "validation_signals"):
            self.require(key, getattr(self, key) >= 1, "at least 1")
        for key in ("rates_factor", "classifier_factor"):
            self.require(key, getattr(self, key) >= 0, "at least 0")
        fraction = self.test_inner_fraction
        self.require("test_inner_fraction", fraction is None or 0 < fraction <= 1, "above 0 and at most 1")
        self.require("hypernet", self.hypernet.get("name") == "end_to_end", "the name end_to_end and its arguments")

    def labels(self, among: SignalSet) -> str:
        """The label column.

        Raises:
            InrzooError: the signals have no such column.
        """
        names = list(among.label_names)
        if not names or (self.label is not None and self.label not in names):
            raise InrzooError(
                f"label = {self.label!r} is no label column of the signals; they have: {', '.join(names)}"
            )
        return self.label or names[0]

    def network(self, among: SignalSet) -> Network:
        """A fresh network for signals such as these."""
        made: Network = registry.make(
            "hypernets",
            self.hypernet,
            inr=self.target(among.inr),
            sizes=among.grid,
            num_classes=len(among.label_names[self.labels(among)]),
        )
        made.mixed_precision = self.mixed_precision
        return made

    def begin(self, path: str | Path, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def evaluate(
        self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device
    ) -> Sequence[Measurement]:
        """Accuracy in percent and PSNR in dB on a split."""
        among = self.signals(path, split)
        network = self.network(among).to(device).eval()
        load_module(network, state)
        network.inner_fraction = self.test_inner_fraction or network.inner_fraction
        right, decibels = measured(network, self.labels(among), among, device)
        found = {"accuracy": 100 * right, "PSNR": decibels}
        return [Measurement(name, *mean_and_interval(values), len(values)) for name, values in found.items()]


def measured(
    network: Network, label: str, among: SignalSet, device: Device, count: int | None = None
) -> tuple[Tensor, Tensor]:
    """Whether each of `count` signals is classified rightly (1 or 0), and its PSNR in dB."""
    right, decibels = [], []
    for coords, values, labels in among.parts(device, count):
        instances = network.instances(coords, values)
        right.append((network.classify(instances).argmax(dim=1) == labels[label]).float())
        decibels.append(psnr_of(network, network.weights(instances), coords, values, among))
    return torch.cat(right), torch.cat(decibels)


class _Learner(Learner):
    def __init__(self, task: EndToEnd, path: str | Path, device: Device) -> None:
        self._task, self._device = task, device
        self._training, self._validation = task.signals(path, "train"), task.signals(path, "validation")
        self._label = task.labels(self._training)
        self.module = self._network = task.network(self._training).to(device)
        self._coords = self._training.coords.to(device)
        self.identity = self._training.identity

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Start, rates and classifier."""
        groups = self._network.parameter_groups(1.0, self._task.rates_factor, self._task.classifier_factor)
        return [{"params": group["params"], "lr_factor": group["lr"]} for group in groups]

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean over a batch of signals that `step` picks; see `Learner.loss`."""
        chosen = torch.randint(
            len(self._training), (self._task.batch,), generator=generator_for(self._task.seed, 0, step)
        )
        values, columns = self._training.read(chosen)
        labels = columns[self._label].to(self._device)
        task_B, error_B, scores = self._network.losses(self._coords, values.to(self._device), labels)
        decibels = psnr(error_B.detach(), self._training.value_range)
        accuracy = (scores.argmax(dim=1) == labels).float().mean()
        return (task_B + error_B).mean(), {"accuracy": float(accuracy), "psnr": float(decibels.mean())}

    def validate(self) -> dict[str, float]:
        """Accuracy and PSNR on the same validation signals every time."""
        right, decibels = measured(
            self._network, self._label, self._validation, self._device, self._task.validation_signals
        )
        accuracy = float(right.mean())
        return {"score": accuracy, "validation_accuracy": accuracy, "validation_psnr": float(decibels.mean())}
