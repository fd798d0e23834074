"""Regression of the label's code from weights: the smallest task that trains an encoder.

Shape letters: B INRs of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from inrzoo import registry
from inrzoo.loaders import WeightDataset, load
from inrzoo.seeding import Stream
from inrzoo.tasks import Device, Learner, Measurement, Task


@dataclass(frozen=True, kw_only=True)
class LabelRegression(Task):
    """Least squares of the class code on the features of an encoder.

    Attributes:
        batch_size: INRs of a step.
        encoder: name of an encoder, and its arguments.
    """

    batch_size: int = 8
    encoder: dict[str, Any] = field(default_factory=lambda: {"name": "moments"})

    def __post_init__(self) -> None:
        """Reject impossible fields."""
        super().__post_init__()
        self.require("batch_size", self.batch_size >= 1, "at least 1")

    def conventions(self, path: str | Path) -> dict[str, Any]:
        """See `Task.conventions`: the same family of INRs."""
        return {"inr": load(path).stores[0].info.inr}

    def begin(self, path: str | Path, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def network(self, dataset: WeightDataset) -> nn.Module:
        """Encoder and a linear map to one number."""
        encoder = registry.make("encoders", self.encoder, layout=dataset.layout)
        return nn.Sequential(encoder, nn.Linear(encoder.out_features, 1))

    def evaluate(
        self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device
    ) -> Sequence[Measurement]:
        """Mean squared error over a split."""
        dataset = load(path, split=split)
        network = self.network(dataset).to(device)
        network.load_state_dict(state)
        errors = squared_errors(network, dataset, device)
        interval = 1.96 * float(errors.std()) / len(errors) ** 0.5
        return [Measurement("squared error", float(errors.mean()), interval, len(errors))]


def squared_errors(network: nn.Module, dataset: WeightDataset, device: Device) -> Tensor:
    """Squared error of every INR of a dataset, (L,)."""
    batch = dataset[:].to(device)
    return (network(batch.weights)[:, 0] - batch.label).square().cpu()


class _Learner(Learner):
    def __init__(self, task: LabelRegression, path: str | Path, device: Device) -> None:
        self._task, self._device = task, device
        self._training, self._validation = load(path, split="train"), load(path, split="validation")
        self.module = task.network(self._training).to(device)
        self.identity = {"fingerprint": self._training.stores[0].info.fingerprint}

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Squared error of a batch that `step` decides; see `Learner.loss`."""
        order = Stream("batches", "", self._task.seed, str(step)).shuffle(len(self._training))
        batch = self._training[order[: self._task.batch_size]].to(self._device)
        return (self.module(batch.weights)[:, 0] - batch.label).square().mean(), {}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Negative mean squared error of the validation split."""
        return {"score": -float(squared_errors(self.module, self._validation, self._device).mean())}
