"""Training of hypernetworks on signals: those of a dataset, or those that a store carries.

TransINR (Chen & Wang 2022), GINR-IPC (Kim et al. 2023), learned initialisations (Tancik et al. 2021): whatever maps a
signal to the weights of an INR is trained to reconstruct signals, and measured on others.

Shape letters: B batch of signals, P numbers of one INR, K coordinates, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from inrzoo import registry
from inrzoo.fit.metrics import psnr
from inrzoo.hypernets import Hypernet, optimise_at_test_time
from inrzoo.loaders.transforms import generator_for
from inrzoo.tasks import Device, Learner, Measurement, Task
from inrzoo.tasks._checkpoint import load_module
from inrzoo.tasks._matching import mean_and_interval
from inrzoo.tasks._signals import SignalSet, SignalTarget, psnr_of


@dataclass(frozen=True, kw_only=True)
class Hypernetwork(SignalTarget, Task):
    """A network that maps signals to the weights of INRs, trained on the signals of a dataset or of a store.

    INRs in the store are not used; signals, grid, value range and split are, and the INR unless `inr` names one.

    Attributes:
        hypernet: name of a hypernetwork, and its arguments.
        inr: the target, name and fields; empty for the one that the store or the dataset has.
        batch: signals of a step.
        num_coords: coordinates of each signal that a step's loss sees, drawn at random; all if none are named.
        mixed_precision: run the hypernetwork in bfloat16, its INRs in float32.
        validation_signals: how many signals decide about the best checkpoint.
        test_signals: how many signals of the split are measured, spread evenly over it; all if none are named.
        test_tto_steps: steps of test-time optimisation that are measured besides; 0 for none.
        test_tto_lr: their step size.
        test_tto_part: what they change: all weights, or the signal's own part alone.
    """

    lr: float = 1e-4
    hypernet: dict[str, Any] = field(default_factory=lambda: {"name": "instance_patterns"})
    inr: dict[str, Any] = field(default_factory=dict)
    batch: int = 16
    num_coords: int | None = None
    mixed_precision: bool = False
    validation_signals: int = 256
    test_signals: int | None = None
    test_tto_steps: int = 100
    test_tto_lr: float = 1e-3
    test_tto_part: Literal["all", "instance"] = "all"

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a number out of its range.
        """
        super().__post_init__()
        for key in ("batch", "validation_signals"):
            self.require(key, getattr(self, key) >= 1, "at least 1")
        self.require("test_signals", self.test_signals is None or self.test_signals >= 1, "at least 1")
        self.require("num_coords", self.num_coords is None or self.num_coords >= 1, "at least 1")
        reptile = self.hypernet.get("algorithm") == "reptile"
        self.require("mixed_precision", not (self.mixed_precision and reptile), "false with reptile")
        self.require("test_tto_steps", self.test_tto_steps >= 0, "at least 0")
        self.require("test_tto_lr", self.test_tto_lr > 0, "above 0")

    def network(self, among: SignalSet) -> Hypernet:
        """A fresh hypernetwork for signals such as these."""
        made: Hypernet = registry.make("hypernets", self.hypernet, inr=self.target(among.inr), sizes=among.grid)
        return made

    def begin(self, path: str | Path, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def evaluate(
        self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device
    ) -> Sequence[Measurement]:
        """PSNR in dB on a split, mean of the signals', as the network gives it and after test-time optimisation."""
        among = self.signals(path, split)
        network = self.network(among).to(device).eval()
        load_module(network, state)
        names = ["PSNR"]
        if self.test_tto_steps:
            names.append(f"PSNR, {self.test_tto_steps} steps on {self.test_tto_part}")
        options: Any = {"steps": self.test_tto_steps, "lr": self.test_tto_lr, "part": self.test_tto_part}
        found: dict[str, list[Tensor]] = {name: [] for name in names}
        for coords, values, _ in among.parts(device, self.test_signals):
            weights = [network(coords, values)]
            if self.test_tto_steps:
                weights.append(optimise_at_test_time(network, coords, values, **options))
            for name, each in zip(names, weights, strict=True):
                found[name].append(psnr_of(network, each, coords, values, among))
        decibels = {name: torch.cat(parts) for name, parts in found.items()}
        return [Measurement(name, *mean_and_interval(values), len(values)) for name, values in decibels.items()]


class _Learner(Learner):
    def __init__(self, task: Hypernetwork, path: str | Path, device: Device) -> None:
        self._task, self._device = task, torch.device(device)
        self._training, self._validation = task.signals(path, "train"), task.signals(path, "validation")
        self.module = self._network = task.network(self._training).to(device)
        self._coords = self._training.coords.to(device)
        self.identity = self._training.identity

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean over a batch of signals that `step` picks; see `Learner.loss`."""
        task = self._task
        chosen = torch.randint(len(self._training), (task.batch,), generator=generator_for(task.seed, 0, step))
        values = self._training.read(chosen)[0].to(self._device)
        if task.mixed_precision:
            with torch.autocast(self._device.type, torch.bfloat16):
                weights = self._network(self._coords, values)
            losses_B = self._network.reconstruction_loss(weights.float(), self._coords, values, task.num_coords)
        else:
            losses_B = self._network.loss(self._coords, values, task.num_coords)
        if task.hypernet.get("algorithm") == "reptile":  # its losses are no errors
            return losses_B.mean(), {}
        decibels = psnr(losses_B.detach(), self._training.value_range)
        return losses_B.mean(), {"psnr": float(decibels.mean())}

    def validate(self) -> dict[str, float]:
        """PSNR on the same validation signals every time."""
        found: list[Tensor] = []
        for coords, values, _ in self._validation.parts(self._device, self._task.validation_signals):
            weights = self._network(coords, values)
            found.append(psnr_of(self._network, weights, coords, values, self._validation))
        score = float(torch.cat(found).mean())
        return {"score": score, "validation_psnr": score}
