"""Training of hypernetworks on the signals of a dataset or of a store.

TransINR (Chen & Wang 2022), GINR-IPC (Kim et al. 2023) and learned initialisations (Tancik et al. 2021) map a signal to
the weights of an INR. They are trained to reconstruct signals, and measured on other signals.

Shape letters: B batch of signals, P numbers of one INR, K coordinates, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from inrzoo.hypernets import Hypernet, optimise_at_test_time
from inrzoo.tasks.contract import Data, Device, Learner, Task
from inrzoo.tasks.measurements import Measurement, measured_mean
from inrzoo.tasks.signal_tasks import SignalTarget, grid_spacing, joined, measured, training_numbers, validation_numbers
from inrzoo.tasks.signals import SignalSet


@dataclass(frozen=True, kw_only=True)
class Hypernetwork(SignalTarget[Hypernet], Task):
    """A network that maps signals to the weights of INRs, trained on the signals of a dataset or of a store.

    The task uses signals, grid, value range and split of a store, and its INR unless `inr` names one, but not the
    weights in it.

    Attributes:
        hypernet: name of a hypernetwork, and its arguments.
        inr: name and fields of the INR that is made; that of the store or dataset by default.
        batch: signals of a step.
        num_coords: coordinates of each signal, drawn at random, on which a step's loss is computed; all by default.
        augment: augmentations of training signals: `crop=4`, `flip`; repeat the option for several, in
            this order.
        coord_noise: half width of uniform noise on the coordinates of a step's loss, in steps of the grid; GINR-IPC's
            code has 0.5 for its photographs. Signals without a grid refuse it.
        mixed_precision: run the hypernetwork in bfloat16 and its INRs in float32, as `precision` bfloat16 does.
        validation_signals: number of signals that decide which checkpoint is the best.
        test_signals: number of signals that are measured, spread evenly over the split; all by default.
        test_tto_steps: steps of test-time optimisation, whose result is measured too; 0 for none.
        test_tto_lr: learning rate of test-time optimisation.
        test_tto_part: test-time optimisation changes `all` weights, or the `instance` part alone.
    """

    casts: ClassVar[bool] = True

    lr: float = 1e-4
    hypernet: dict[str, Any] = field(default_factory=lambda: {"name": "instance_patterns"})
    inr: dict[str, Any] = field(default_factory=dict)
    batch: int = 16
    num_coords: int | None = None
    augment: tuple[dict[str, Any], ...] = ()
    coord_noise: float = 0.0
    mixed_precision: bool = False
    validation_signals: int = 256
    test_signals: int | None = None
    test_tto_steps: int = 100
    test_tto_lr: float = 1e-3
    test_tto_part: Literal["all", "instance"] = "all"

    def __post_init__(self) -> None:
        """See `Task.__post_init__`."""
        super().__post_init__()
        self.require_at_least(1, "batch", "validation_signals")
        self.require("test_signals", self.test_signals is None or self.test_signals >= 1, "at least 1")
        self.require("num_coords", self.num_coords is None or self.num_coords >= 1, "at least 1")
        reptile = self.hypernet.get("algorithm") == "reptile"
        self.require("mixed_precision", not (self.mixed_precision and reptile), "false with reptile")
        self.require("precision", not (self.precision == "bfloat16" and reptile), "float32 with reptile")
        self.require("coord_noise", self.coord_noise >= 0, "at least 0")
        self.require("coord_noise", not (self.coord_noise and reptile), "0 with reptile")
        self.require("test_tto_steps", self.test_tto_steps >= 0, "at least 0")
        self.require("test_tto_lr", self.test_tto_lr > 0, "above 0")

    def network(self, signals: SignalSet) -> Hypernet:
        """An untrained hypernetwork for these signals."""
        return self.made(signals)

    def begin(self, path: Data, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def evaluate(self, path: Data, split: str, state: Mapping[str, Tensor], device: Device) -> Sequence[Measurement]:
        """Means over the signals of a split, before and after test-time optimisation: PSNR in dB, or for logits the
        loss; and the measures of the observation.
        """
        each = self.of_each_signal(path, split, state, device)
        return [measured_mean(name, numbers_N) for name, numbers_N in each.items()]

    def of_each_signal(self, path: Data, split: str, state: Mapping[str, Tensor], device: Device) -> dict[str, Tensor]:
        """What `evaluate` gives the means of: numbers of each signal, (N,), by the name of the measurement."""
        signals, network = self.restored(path, split, state, device)
        stages = ["", f", {self.test_tto_steps} steps on {self.test_tto_part}"][: 2 if self.test_tto_steps else 1]
        options: Any = {"steps": self.test_tto_steps, "lr": self.test_tto_lr, "part": self.test_tto_part}
        parts: list[list[dict[str, Tensor]]] = [[] for _ in stages]
        for part in signals.parts(device, self.test_signals):
            weights = [network(part.where, part.values)]
            if self.test_tto_steps:
                weights.append(optimise_at_test_time(network, part.where, part.values, **options))
            for qualities, each in zip(parts, weights, strict=True):
                qualities.append(measured(network, each, part, signals))
        return {
            name + stage: numbers_N
            for stage, qualities in zip(stages, parts, strict=True)
            for name, numbers_N in joined(qualities).items()
        }


class _Learner(Learner):
    def __init__(self, task: Hypernetwork, path: Data, device: Device) -> None:
        self._task, self._device = task, torch.device(device)
        self._training, self._validation = task.signals(path, "train"), task.signals(path, "validation")
        self._batches = self._training.batches(task.batch, task.seed, task.augment)
        self.module = self._network = task.network(self._training).to(device)
        self._spacing_D = grid_spacing(self._training).to(device) if task.coord_noise else None
        self.identity = self._training.identity

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean loss of a batch of signals, which `step` decides; see `Learner.loss`."""
        task, batch = self._task, self._batches(step)
        values = batch.values.to(self._device)
        where = self._training.places(batch, self._device)
        reduced = task.mixed_precision or task.precision == "bfloat16"
        if reduced or task.coord_noise:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=reduced):
                weights = self._network(where, values)
            places = self._places(where, len(values))
            losses_B = self._network.reconstruction_loss(weights.float(), places, values, task.num_coords)
        else:
            losses_B = self._network.loss(where, values, task.num_coords)
        if task.hypernet.get("algorithm") == "reptile":  # its loss is not a reconstruction error
            return losses_B.mean(), {}
        return losses_B.mean(), training_numbers(losses_B, self._training)

    def _places(self, where: Tensor, count: int) -> Tensor:
        """Where the INRs of a batch are compared with their signals: as they are, or (B, K, D) with noise."""
        if self._spacing_D is None:
            return where
        noise = torch.rand(count, *where.shape, device=where.device) * 2 - 1
        return where + self._task.coord_noise * self._spacing_D * noise

    def validate(self) -> dict[str, float]:
        """Quality of the same validation signals every time."""
        parts = self._validation.parts(self._device, self._task.validation_signals)
        network, signals = self._network, self._validation
        qualities = [measured(network, network(part.where, part.values), part, signals) for part in parts]
        return validation_numbers(joined(qualities))
