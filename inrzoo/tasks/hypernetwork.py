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

from inrzoo import registry
from inrzoo.fit.metrics import psnr
from inrzoo.hypernets import Hypernet, optimise_at_test_time
from inrzoo.tasks.contract import Data, Device, Learner, Task
from inrzoo.tasks.measurements import Measurement, measured_mean
from inrzoo.tasks.signals import SignalSet, SignalTarget, psnr_of


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
            code has 0.5 for its photographs.
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
        """Reject impossible fields.

        Raises:
            InrzooError: a number is out of its range.
        """
        super().__post_init__()
        for key in ("batch", "validation_signals"):
            self.require(key, getattr(self, key) >= 1, "at least 1")
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
        inr = self.target(signals.inr)
        network: Hypernet = registry.make("hypernets", self.hypernet, inr=inr, sizes=signals.grid)
        return network

    def begin(self, path: Data, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def evaluate(self, path: Data, split: str, state: Mapping[str, Tensor], device: Device) -> Sequence[Measurement]:
        """Mean PSNR in dB over the signals of a split, before and after test-time optimisation."""
        signals, network = self.restored(path, split, state, device)
        names = ["PSNR"]
        if self.test_tto_steps:
            names.append(f"PSNR, {self.test_tto_steps} steps on {self.test_tto_part}")
        options: Any = {"steps": self.test_tto_steps, "lr": self.test_tto_lr, "part": self.test_tto_part}
        parts: dict[str, list[Tensor]] = {name: [] for name in names}
        for coords, values, _ in signals.parts(device, self.test_signals):
            weights = [network(coords, values)]
            if self.test_tto_steps:
                weights.append(optimise_at_test_time(network, coords, values, **options))
            for name, each in zip(names, weights, strict=True):
                parts[name].append(psnr_of(network, each, coords, values, signals))
        return [measured_mean(name, torch.cat(decibels)) for name, decibels in parts.items()]


def grid_spacing(signals: SignalSet) -> Tensor:
    """Distance of neighbouring points of the grid along each coordinate, (D,); 0 along an axis of one point."""
    distinct = [axis.unique() for axis in signals.coords.T]
    return torch.stack([(axis[-1] - axis[0]) / max(len(axis) - 1, 1) for axis in distinct])


class _Learner(Learner):
    def __init__(self, task: Hypernetwork, path: Data, device: Device) -> None:
        self._task, self._device = task, torch.device(device)
        self._training, self._validation = task.signals(path, "train"), task.signals(path, "validation")
        self._batches = self._training.batches(task.batch, task.seed, task.augment)
        self.module = self._network = task.network(self._training).to(device)
        self._coords = self._training.coords.to(device)
        self._spacing_D = grid_spacing(self._training).to(device)
        self.identity = self._training.identity

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean loss of a batch of signals, which `step` decides; see `Learner.loss`."""
        task = self._task
        values = self._batches(step)[0].to(self._device)
        reduced = task.mixed_precision or task.precision == "bfloat16"
        if reduced or task.coord_noise:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=reduced):
                weights = self._network(self._coords, values)
            places = self._places(len(values))
            losses_B = self._network.reconstruction_loss(weights.float(), places, values, task.num_coords)
        else:
            losses_B = self._network.loss(self._coords, values, task.num_coords)
        if task.hypernet.get("algorithm") == "reptile":  # its loss is not a reconstruction error
            return losses_B.mean(), {}
        decibels = psnr(losses_B.detach(), self._training.value_range)
        return losses_B.mean(), {"psnr": float(decibels.mean())}

    def _places(self, count: int) -> Tensor:
        """Where the INRs of a batch are compared with their signals: (K, D), or (B, K, D) with noise."""
        if not self._task.coord_noise:
            return self._coords
        noise = torch.rand(count, *self._coords.shape, device=self._coords.device) * 2 - 1
        return self._coords + self._task.coord_noise * self._spacing_D * noise

    def validate(self) -> dict[str, float]:
        """PSNR on the same validation signals every time."""
        decibels: list[Tensor] = []
        for coords, values, _ in self._validation.parts(self._device, self._task.validation_signals):
            weights = self._network(coords, values)
            decibels.append(psnr_of(self._network, weights, coords, values, self._validation))
        score = float(torch.cat(decibels).mean())
        return {"score": score, "validation_psnr": score}
