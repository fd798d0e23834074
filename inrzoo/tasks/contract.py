"""The base classes of all tasks: `Task`, a configuration, and `Learner`, a task that has opened its data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.manifest import Manifest
from inrzoo.tasks.measurements import Measurement

Device = torch.device | str


@dataclass(frozen=True)
class UnfittedDataset:
    """A dataset of signals to which no INRs have been fitted; a task with `reads_signals` takes it in place of a store.

    Attributes:
        manifest: names the signals, their grid and their value range.
        source: local files to read them from, as of `inrzoo build --source`.
    """

    manifest: Manifest
    source: Path | None = None


Data = str | Path | UnfittedDataset
"""The folder or URL of a store, or a dataset without INRs."""


class Learner(ABC):
    """A task that has opened its store: the network and the numbers that the loop asks for.

    Attributes:
        module: the network that is trained and saved, with its normalisation.
        identity: states which data are trained on; a run is not continued on other data.
        notes: further facts about the data, which checkpoints record and nothing compares.
    """

    module: nn.Module
    identity: dict[str, Any]
    notes: Mapping[str, Any] = MappingProxyType({})

    @abstractmethod
    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean loss of batch number `step`, and further means over the batch to record.

        A step has one batch, of its number, unless it is shared by `devices` or `accumulate`: then batches are counted
        through all steps, as `training.batches.Share` says. The loss is a function of `step`, of the module, and of
        torch's global random state if the module draws.
        """

    def after_step(self) -> None:  # noqa: B027 - most tasks need nothing here
        """Called after each optimiser step; does nothing unless a subclass needs it."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The optimiser's groups: `params`, and `lr_factor`, in multiples of the task's `lr`.

        The gradient of each group is clipped by itself.
        """
        trainable = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        return [{"params": trainable, "lr_factor": 1.0}] if trainable else []

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Numbers of the validation split.

        `score`, where greater is better, decides which checkpoint is the best and when training stops early.
        """


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A configuration of training; a subclass in `inrzoo/tasks/<name>.py` adds its fields and the methods below.

    Attributes:
        steps: maximum number of optimiser steps.
        seed: of the network's initialisation and of all random draws.
        lr: learning rate of the optimiser.
        optimiser: AdamW for all parameters (`adamw`), or Muon for the matrices of layers and AdamW for the rest
            (`muon`), both at `lr`.
        schedule: `constant`; `cosine` from `lr` to 0 at the last step; `step`, times `lr_decay` at each of `lr_steps`;
            or `plateau`, times `lr_decay` after more than `lr_patience` validations in a row without a better score.
        lr_decay: factor of the learning rate under `step` and `plateau`.
        lr_patience: validations without a better score that `plateau` tolerates.
        lr_steps: steps after which `step` changes the learning rate, ascending.
        warmup: steps in which the learning rate rises from 0.
        weight_decay: decoupled from the gradient, as in AdamW.
        clip: maximum gradient norm; 0 disables clipping.
        accumulate: batches of each process that make a step.
        devices: processes that share a step, each with a batch of its own: a GPU each, or CPU processes.
        precision: of the network's matrix products: `float32` (or `32`), or `bfloat16` (`bf16`) by autocast.
        validate_every: steps between two validations, and between two checkpoints.
        patience: validations in a row without a better score before training stops; 0 for never.
        reads_signals: whether the task learns from signals, so that it takes a dataset without INRs.
        augment_kind: kind of the components that a field `augment` lists: `transforms` of weights, or `augmentations`
            of signals.
        casts: whether the task runs the parts of its loss that stand it in bfloat16 if `precision` says so. Of another
            task the loop runs all of the loss so.
    """

    reads_signals: ClassVar[bool] = False
    augment_kind: ClassVar[str] = "transforms"
    casts: ClassVar[bool] = False

    steps: int = 10_000
    seed: int = 0
    lr: float = 1e-3
    optimiser: Literal["adamw", "muon"] = "adamw"
    schedule: Literal["constant", "cosine", "step", "plateau"] = "cosine"
    lr_decay: float = 0.1
    lr_patience: int = 10
    lr_steps: tuple[int, ...] = ()
    warmup: int = 0
    weight_decay: float = 0.0
    clip: float = 1.0
    accumulate: int = 1
    devices: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    validate_every: int = 250
    patience: int = 0

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a number is out of its range.
        """
        self.require_at_least(0, "lr", "warmup", "weight_decay", "clip", "patience", "lr_patience")
        self.require_at_least(1, "steps", "validate_every", "devices", "accumulate")
        self.require("lr_decay", 0 < self.lr_decay < 1, "above 0 and below 1")
        ascending = all(before < after for before, after in pairwise((0, *self.lr_steps)))
        self.require("lr_steps", ascending, "ascending steps, at least 1")
        self.require("lr_steps", not self.lr_steps or self.schedule == "step", "none unless schedule is step")
        if self.schedule == "step":
            self.require("lr_steps", bool(self.lr_steps), "steps, such as 6000,8000, for the schedule step")

    def require(self, key: str, holds: bool, allowed: str) -> None:
        """Raise the one-line error for field `key` unless `holds`."""
        if not holds:
            raise InrzooError(f"{key} = {getattr(self, key)!r} is not allowed; it must be {allowed}")

    def require_at_least(self, least: int, *keys: str) -> None:
        """Raise the one-line error for the first of the fields `keys` that is below `least`."""
        for key in keys:
            self.require(key, getattr(self, key) >= least, f"at least {least}")

    def autocast(self, module: nn.Module, device: Device) -> torch.autocast:
        """A context whose matrix products have `precision`: in training everywhere, in measurements on a GPU alone."""
        kind = torch.device(device).type
        reduced = self.precision == "bfloat16" and (module.training or kind == "cuda")
        return torch.autocast(kind, torch.bfloat16, enabled=reduced)

    def require_readable(self, data: Data) -> None:
        """Raise InrzooError if `data` are a dataset without INRs and the task needs a store."""
        if isinstance(data, UnfittedDataset) and not self.reads_signals:
            name = data.manifest.name
            raise InrzooError(f"no store at {name}; this task reads INRs: `inrzoo build {name}` fits them")

    @abstractmethod
    def conventions(self, path: str | Path) -> dict[str, Any]:
        """Return the settings that a store shares with the one that a network was trained on, as JSON types."""

    @abstractmethod
    def begin(self, path: str | Path, device: Device) -> Learner:
        """Open the data to train on.

        Raises:
            InrzooError: the data cannot be trained on.
        """

    @abstractmethod
    def evaluate(
        self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device
    ) -> Sequence[Measurement]:
        """Measure a trained network, given by the state of its module, on a split."""

    def to_json(self) -> dict[str, Any]:
        """Name and fields, as `registry.make("tasks", …)` takes them."""
        return {"name": registry.name_of("tasks", type(self)), **asdict(self)}
