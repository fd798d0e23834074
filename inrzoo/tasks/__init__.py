"""Training and evaluation: one file a task. This file holds what they share.

A task is a frozen dataclass: its fields are its configuration, the options of `inrzoo train TASK` and what a checkpoint
remembers. It says what is learned from a store; how that is run, interrupted, continued, recorded and stopped is the
same for all tasks (`_loop`). A task is given the path or URL of a store and knows nothing of how the store was made.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.manifest import Manifest

__all__ = [
    "Learner",
    "Measurement",
    "Task",
    "Unfitted",
    "comparison",
    "cost",
    "draw_features",
    "draw_lines",
    "evaluate",
    "features",
    "measure",
    "over_runs",
    "train",
    "write_section",
]

Device = torch.device | str
LOG = logging.getLogger(__name__)


class Unfitted(str):
    """A dataset where the path of a store could stand, for tasks that learn from signals: nobody has fitted it yet.

    As text it is the dataset's name.

    Attributes:
        manifest: says what the signals are, their grid and value range.
        source: local files to read them from, as of `inrzoo build --source`.
    """

    manifest: Manifest
    source: Path | None

    def __new__(cls, wanted: Manifest, source: Path | None = None) -> Unfitted:
        """Args: as the attributes."""
        made = super().__new__(cls, wanted.name)
        made.manifest, made.source = wanted, source
        return made


@dataclass(frozen=True)
class Measurement:
    """A mean over many trials.

    Attributes:
        name: what was measured, e.g. `5-way 1-shot`.
        mean: of the trials.
        interval: half the width of its 95 % confidence interval.
        trials: how many.
    """

    name: str
    mean: float
    interval: float
    trials: int


class Learner(ABC):
    """A task that has opened its store: the network and the numbers that the loop asks for.

    Attributes:
        module: what is trained and saved, normalisation included.
        identity: what the training data are, so that a run is not continued on others.
    """

    module: nn.Module
    identity: dict[str, Any]

    @abstractmethod
    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss to descend in step number `step` and what else to record; a function of `step` and the module, and
        of torch's global random state if the module draws.
        """

    def parameter_groups(self) -> list[dict[str, Any]]:
        """For the optimiser: `params`, and `lr_factor`, in multiples of the task's `lr`. Each is clipped by itself."""
        trainable = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        return [{"params": trainable, "lr_factor": 1.0}] if trainable else []

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Numbers of the validation split; `score`, the greater the better, decides when to stop and what is best."""


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """What is trained; a subclass in `inrzoo/tasks/<name>.py` adds its fields and the methods below.

    Attributes:
        steps: optimiser steps at most.
        lr: Adam's step size.
        schedule: `constant`, or `cosine` from `lr` to 0 at the last step.
        warmup: steps in which the step size rises from 0.
        weight_decay: decoupled from the gradient, as in AdamW.
        clip: greatest norm of a gradient; 0 for any.
        validate_every: steps between two validations, and between two checkpoints.
        patience: validations in a row without a better score before training stops; 0 for never.
        seed: of the network's start and of everything that is drawn.
    """

    steps: int = 10_000
    lr: float = 1e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup: int = 0
    weight_decay: float = 0.0
    clip: float = 1.0
    validate_every: int = 250
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a number out of its range.
        """
        for key in ("lr", "warmup", "weight_decay", "clip", "patience"):
            self.require(key, getattr(self, key) >= 0, "at least 0")
        for key in ("steps", "validate_every"):
            self.require(key, getattr(self, key) >= 1, "at least 1")

    def require(self, key: str, holds: bool, allowed: str) -> None:
        """Raise the one-line error for field `key` unless `holds`."""
        if not holds:
            raise InrzooError(f"{key} = {getattr(self, key)!r} is not allowed; it must be {allowed}")

    @abstractmethod
    def conventions(self, path: str | Path) -> dict[str, Any]:
        """What a store must share with the one that a network was trained on, as JSON can say it."""

    @abstractmethod
    def begin(self, path: str | Path, device: Device) -> Learner:
        """Open a store to train on; whatever is wrong with it is said here.

        Raises:
            InrzooError: one line.
        """

    @abstractmethod
    def evaluate(
        self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device
    ) -> Sequence[Measurement]:
        """Measure a trained network, given by the state of its module, on a split."""

    def to_json(self) -> dict[str, Any]:
        """Name and fields, as `registry.make("tasks", …)` takes them."""
        return {"name": registry.name_of("tasks", type(self)), **asdict(self)}


def train(task: Task, path: str | Path, out: Path, **options: Any) -> Any:
    """Train, or continue; see `inrzoo.tasks._loop.train`."""
    from inrzoo.tasks._loop import train as run

    return run(task, path, out, **options)


def evaluate(checkpoint: Path, path: str | Path, **options: Any) -> Sequence[Measurement]:
    """Measure a checkpoint on a store; see `inrzoo.tasks._evaluation.evaluate`."""
    from inrzoo.tasks._evaluation import evaluate as run

    return run(checkpoint, path, **options)


def measure(task: Task, path: str | Path, out: Path, **options: Any) -> dict[str, Measurement]:
    """Train (or take what is trained) and measure on the test split; see `inrzoo.tasks._evaluation.measure`."""
    from inrzoo.tasks._evaluation import measure as run

    return run(task, path, out, **options)


def over_runs(runs: Sequence[Mapping[str, Measurement]]) -> dict[str, Measurement]:
    """The means of runs with different seeds, and the 95 % interval of their mean; see `_evaluation.over_runs`."""
    from inrzoo.tasks._evaluation import over_runs as run

    return run(runs)


def comparison(document: Path, title: str, columns: Sequence[str], **options: Any) -> Any:
    """A table of a paper's numbers and ours; see `inrzoo.tasks._document.Comparison`."""
    from inrzoo.tasks._document import Comparison

    return Comparison(document, title, columns, **options)


def draw_lines(path: Path, lines: Mapping[str, Mapping[float, Measurement]], x_name: str, y_name: str) -> None:
    """Write a PNG of measurements against a number; see `inrzoo.tasks._lines.draw_lines`."""
    from inrzoo.tasks._lines import draw_lines as run

    run(path, lines, x_name, y_name)


def cost(run: Path) -> Any:
    """What the run in a folder took; see `inrzoo.tasks._cost.Cost`."""
    from inrzoo.tasks._cost import read_cost

    return read_cost(run)


def features(checkpoint: Path, path: str | Path, **options: Any) -> Any:
    """Features of a store's INRs by a trained encoder; see `inrzoo.tasks._embedding.features`."""
    from inrzoo.tasks._embedding import features as run

    return run(checkpoint, path, **options)


def write_section(document: Path, title: str, lines: Sequence[str]) -> None:
    """Put a section into a Markdown file; see `inrzoo.tasks._document.write_section`."""
    from inrzoo.tasks._document import write_section as run

    run(document, title, lines)


def draw_features(columns: Mapping[str, Any], path: Path, **options: Any) -> None:
    """Features as dots in a plane; see `inrzoo.tasks._picture.draw_features`."""
    from inrzoo.tasks._picture import draw_features as run

    run(columns, path, **options)
