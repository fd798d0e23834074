"""Tasks that train an encoder on augmented weights: contrastive learning and classification.

The order of the changes to a batch decides what they mean (docs/derivations/augmentation.md#order):
1. transforms of weights as they were fitted: motions of the signal, changes of its values, and changes that leave the
   function as it is;
2. canonical form, if `inputs = "canonical"`;
3. normalisation by the statistics of the training split;
4. transforms of normalised weights: noise and dropout.

Shape letters: B INRs, L INRs of a dataset, P parameters, F features.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.loaders import WeightBatch, WeightDataset, load
from inrzoo.loaders.compatibility import weight_conventions
from inrzoo.loaders.normalise import Normalise
from inrzoo.loaders.transforms import Compose, make_transforms
from inrzoo.seeding import Stream
from inrzoo.tasks.contract import Device, Task
from inrzoo.tasks.inputs import EncoderInputs
from inrzoo.tasks.probes import Features

DEFAULT_AUGMENT = tuple({"name": name} for name in ("scale", "rotate", "translate", "noise", "dropout"))
"""Transforms of docs/derivations/augmentation.md#strengths, each with its default fields."""
ROWS_AT_ONCE = 256
"""INRs that are read at once where all of a split are measured."""


@dataclass(frozen=True, kw_only=True)
class WeightTask(Task):
    """A task on augmented weights.

    Defaults of learning rate, weight decay and warm-up: docs/derivations/encoders.md#training-of-neural-graphs.

    Attributes:
        batch_size: INRs, or pairs, of a step.
        label: name of the label column with the classes; the first column by default.
        inputs: the encoder reads `weights`, or `canonical` weights.
        normalise: `per_parameter`, `per_tensor`, `none`, or `auto`: per parameter if all INRs share their start.
        encoder: name of an encoder, and its arguments.
        precision: of matrix products on a GPU: `float32`, or `bfloat16` by autocast.
        augment: transforms of training batches: `rotate=15`, or several fields as in `"intensity gain=0.2 offset=0.1"`;
            `none` for no transforms. Repeat the option for several; they are applied in this order, those of normalised
            weights last.
    """

    steps: int = 10_000
    lr: float = 1e-3
    weight_decay: float = 5e-4
    warmup: int = 1000
    batch_size: int = 128
    label: str | None = None
    inputs: Literal["weights", "canonical"] = "weights"
    normalise: Normalise = "auto"
    encoder: dict[str, Any] = field(default_factory=lambda: {"name": "relational_transformer"})
    precision: Literal["float32", "bfloat16"] = "float32"
    augment: tuple[dict[str, Any], ...] = DEFAULT_AUGMENT

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a number is out of its range.
        """
        super().__post_init__()
        self.require("batch_size", self.batch_size >= 1, "at least 1")

    def conventions(self, path: str | Path) -> dict[str, Any]:
        """See `Task.conventions`."""
        return weight_conventions(load(path, normalise="none").stores[0])

    def dataset(self, path: str | Path, split: str | None, views: Sequence[int] | None = None) -> WeightDataset:
        """All INRs of a split, not normalised; at their last snapshot unless `views` names others."""
        return load(path, split=split, views=views, normalise="none")

    @abstractmethod
    def trained(self, dataset: WeightDataset, state: Mapping[str, Tensor], device: Device) -> WeightNetwork:
        """The trained encoder, from the state of the module in a checkpoint."""

    def column(self, dataset: WeightDataset) -> str:
        """Name of the label column.

        Raises:
            InrzooError: there is no column of that name.
        """
        name = self.label or next(iter(dataset.labels))
        if name not in dataset.labels:
            raise InrzooError(f"no label column called {name!r}; there are: {', '.join(dataset.labels)}")
        return name

    def transforms(self, inr: INR) -> tuple[Compose, Compose]:
        """The transforms of weights as they were fitted, and those of normalised weights.

        Raises:
            InrzooError: an unknown transform, an unknown field, or an impossible value.
        """
        return make_transforms(self.augment, inr)


class WeightNetwork(nn.Module):
    """Augments, normalises and encodes: a batch that is not normalised comes in, features go out.

    Attributes:
        out_features: length of a feature vector.
    """

    def __init__(self, task: WeightTask, dataset: WeightDataset) -> None:
        super().__init__()
        self.inputs = EncoderInputs(dataset, task.inputs, "all")
        if registry.find("encoders", task.encoder.get("name", "")).reads != "weights":
            raise InrzooError(f"{task.encoder['name']} does not read weights")
        self.encoder = registry.make("encoders", task.encoder, layout=self.inputs.layout)
        self.out_features: int = self.encoder.out_features
        self._task, self._inr = task, dataset.inr
        self._precision = torch.bfloat16 if task.precision == "bfloat16" else torch.float32

    def forward(self, batch: WeightBatch, generator: torch.Generator | None = None) -> Tensor:
        """Features (B, F), float32.

        Args:
            batch: INRs as they were fitted.
            generator: of the augmentations; None for no augmentation.
        """
        if generator is not None:
            as_fitted, normalised = self._transforms
            batch = replace(batch, weights=as_fitted(batch.weights, generator))
        numbers: Tensor = self.inputs(self.inputs.read(batch))
        if generator is not None:
            numbers = normalised(numbers, generator)
        device = numbers.device.type
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda" and self._precision == torch.bfloat16):
            features: Tensor = self.encoder(numbers)
        return features.float()

    @cached_property
    def _transforms(self) -> tuple[Compose, Compose]:
        return self._task.transforms(self._inr)

    @torch.no_grad()
    def features_of(self, dataset: WeightDataset, column: str, device: Device) -> Features:
        """Features of every INR of a dataset, not augmented."""
        parts: list[Sequence[Tensor]] = []
        for start in range(0, len(dataset), ROWS_AT_ONCE):
            batch = dataset[start : start + ROWS_AT_ONCE]
            parts.append((self(batch.to(device)).cpu(), batch.labels[column], batch.signal, batch.seed))
        return Features(*(torch.cat(column_parts) for column_parts in zip(*parts, strict=True)))


def batch_of(task: WeightTask, step: int, count: int) -> tuple[int, NDArray[np.int64]]:
    """Epoch and items of the batch of a step: each epoch has its own order and leaves out the last, smaller batch.

    Args:
        task: of the batch size and the seed.
        step: number of the step, from 0.
        count: items of an epoch, at least `task.batch_size`.
    """
    epoch, number = divmod(step, count // task.batch_size)
    return epoch, _order(task.seed, epoch, count)[number * task.batch_size : (number + 1) * task.batch_size]


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return Stream("batches", "", seed, str(epoch)).shuffle(count)
