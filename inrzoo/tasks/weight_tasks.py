"""Tasks that train an encoder on augmented weights: contrastive learning, classification and regression.

The order of the changes to a batch decides what they mean (docs/derivations/augmentation.md#order). The loader applies
1. transforms of weights as they were fitted: motions of the signal, changes of its values, and changes that leave the
   function as it is;
2. canonical form, if `inputs = "canonical"`;
3. normalisation by the statistics of the training split;
4. transforms of normalised weights: noise and dropout.

Shape letters: B INRs of a batch, L of a dataset, P parameters, F features.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from inrzoo import registry
from inrzoo.encoders import Encoder
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.loaders import WeightBatch, WeightDataset, load
from inrzoo.loaders.compatibility import weight_conventions
from inrzoo.loaders.normalise import Normalise, Normaliser, measured_normaliser, normaliser
from inrzoo.loaders.transforms import Compose, Transform, make_transforms
from inrzoo.nearest import among
from inrzoo.store import Store
from inrzoo.tasks.contract import Device, Task
from inrzoo.tasks.inputs import Freezable, make_encoder, normalisation
from inrzoo.tasks.probes import Features
from inrzoo.tasks.training.batches import in_order

DEFAULT_AUGMENT = tuple({"name": name} for name in ("scale", "rotate", "translate", "noise", "dropout"))
"""Transforms of docs/derivations/augmentation.md#strengths, each with its default fields. Of the default, `rotate` is
left out for a signal of one axis, such as a sound, and those of normalised weights for an encoder that takes weights as
they were fitted."""
ROWS_AT_ONCE = 256
"""INRs that are read at once where all of a split are measured."""


ENCODING_TASKS = "autoencode, classify, contrastive and regress"
"""Tasks whose runs hold an encoder that can be used alone."""


@dataclass(frozen=True, kw_only=True)
class WeightTask(Task):
    """A task on augmented weights.

    Defaults of learning rate, weight decay and warm-up: docs/derivations/encoders.md#training-of-neural-graphs.

    Attributes:
        batch_size: INRs, or pairs, of a step.
        train_seeds: number of fits of each training signal to learn from, those of the first seeds; 0 for all. Other
            splits keep all their fits.
        label: name of the label column with the classes; the first column by default.
        inputs: the encoder reads `weights`, or `canonical` weights.
        normalise: `per_parameter`, `per_tensor`, `none`, or `auto`, which depends on the encoder: `none` if it takes
            weights as they were fitted; per tensor if its features do not depend on the numbering of neurons; else per
            parameter if all INRs share their start, per tensor if not.
        encoder: name of an encoder, and its arguments.
        pretrained: run or checkpoint whose trained encoder, with the statistics of its inputs, this one begins with;
            `encoder` and `inputs` are then those of it.
        frozen: whether the pretrained encoder stays as it is, so that its features are read.
        augment: transforms of training batches: `rotate=15`, or several fields as in `"intensity gain=0.2 offset=0.1"`;
            `none` for no transforms. Repeat the option for several; they are applied in this order, those of normalised
            weights last.
    """

    casts: ClassVar[bool] = True

    steps: int = 10_000
    lr: float = 1e-3
    weight_decay: float = 5e-4
    warmup: int = 1000
    batch_size: int = 128
    train_seeds: int = 0
    label: str | None = None
    inputs: Literal["weights", "canonical"] = "weights"
    normalise: Normalise = "auto"
    encoder: dict[str, Any] = field(default_factory=lambda: {"name": "relational_transformer"})
    pretrained: str | None = None
    frozen: bool = False
    augment: tuple[dict[str, Any], ...] = DEFAULT_AUGMENT

    def __post_init__(self) -> None:
        """See `Task.__post_init__`."""
        super().__post_init__()
        self.require("batch_size", self.batch_size >= 1, "at least 1")
        self.require("train_seeds", self.train_seeds >= 0, "at least 0")
        self.require("frozen", not self.frozen or self.pretrained is not None, "no without pretrained")

    def conventions(self, path: str | Path) -> dict[str, Any]:
        """See `Task.conventions`."""
        return weight_conventions(load(path, normalise="none").stores[0])

    def dataset(self, path: str | Path, split: str | None, views: Sequence[int] | None = None) -> WeightDataset:
        """All INRs of a split as they were fitted; at their last snapshot unless `views` names others.

        Raises:
            InrzooError: the store has fewer seeds than `train_seeds`.
        """
        dataset = load(path, split=split, views=views, normalise="none", seed=self.seed)
        if not self.train_seeds or split != "train":
            return dataset
        available = min(store.num_seeds for store in dataset.stores)
        if self.train_seeds > available:
            raise InrzooError(f"train_seeds = {self.train_seeds} is more than the {available} seed(s) of {path}")
        seed_L = dataset.rows.locations(np.arange(len(dataset))).seed
        return dataset.subset(np.flatnonzero(seed_L < self.train_seeds))

    @abstractmethod
    def trained(self, dataset: WeightDataset, state: Mapping[str, Tensor], device: Device) -> WeightNetwork:
        """The trained encoder, from the state of the module in a checkpoint."""

    def encoder_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the part of the module's state in a checkpoint that is its `WeightNetwork`.

        Raises:
            InrzooError: this task does not say which part that is.
        """
        name = registry.name_of("tasks", type(self))
        raise InrzooError(f"a run of {name} holds no encoder that can be used alone; those of {ENCODING_TASKS} do")

    def label_column(self, dataset: WeightDataset) -> str:
        """Name of the label column.

        Raises:
            InrzooError: there is no column of that name.
        """
        name = self.label or next(iter(dataset.labels))
        if name not in dataset.labels:
            raise InrzooError(f"no label column called {name!r}{among(name, dataset.labels)}")
        return name

    def prepared(
        self, dataset: WeightDataset, statistics: Normaliser | None = None, *, augmented: bool = False
    ) -> WeightDataset:
        """The same INRs as the encoder reads them: in canonical form if `inputs` says so, and normalised.

        Args:
            dataset: as `WeightTask.dataset` returns it.
            statistics: of the training split; None for INRs that are not normalised.
            augmented: whether the transforms in `augment` are applied.

        Raises:
            InrzooError: `augment` names an unknown transform or an impossible value.
        """
        tables = self.augment if augmented else ()
        if tables == DEFAULT_AUGMENT:
            tables = self._default_augment(dataset.inr)
        extent = dataset.stores[0].info.manifest.coords.extent
        as_fitted, normalised = make_transforms(tables, dataset.inr, extent)
        if self.inputs == "canonical":
            as_fitted = Compose((*as_fitted.transforms, Canonical(inr=dataset.inr)))
        return dataset.prepared(statistics, as_fitted, normalised)

    def _default_augment(self, inr: INR) -> tuple[dict[str, Any], ...]:
        names = [table["name"] for table in DEFAULT_AUGMENT]
        if type(inr).transform_coords is INR.transform_coords:  # the family cannot be moved
            names = [name for name in names if registry.find("transforms", name).of_normalised]
        elif inr.in_features == 1:
            names.remove("rotate")
        if not registry.find("encoders", self.encoder["name"]).normalised:
            names = [name for name in names if not registry.find("transforms", name).of_normalised]
        return tuple({"name": name} for name in names)

    def statistics(self, dataset: WeightDataset, encoder: Encoder) -> Normaliser:
        """Mean and standard deviation of what an encoder reads, over a training split.

        Weights use the store's own statistics; those of canonical weights are computed from the dataset.

        Raises:
            InrzooError: `normalise` does not suit the encoder.
        """
        stored = normaliser(dataset.stores, dataset.rows.views, normalisation(self.normalise, encoder))
        if self.inputs == "weights" or stored.kind == "none":
            return stored
        canonical = self.prepared(dataset)
        return measured_normaliser(
            lambda: (batch.weights for batch in in_order(canonical, ROWS_AT_ONCE)), dataset.layout, stored.kind
        )


@dataclass(frozen=True, kw_only=True)
class Canonical(Transform):
    """The canonical form of each INR, without randomness: see `INR.canonicalise`.

    Attributes:
        inr: the family that the weights are of.
    """

    inr: INR

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Canonical weights of the same functions. Shape (..., P) to (..., P)."""
        return self.inr.canonicalise(weights)


def notes_of(store: Store) -> dict[str, Any]:
    """Return what users of a trained encoder need to know of its store, beside the conventions.

    `grid` are the points of the signals' grid along each axis, none for signals with points of their own; the others
    are for people.
    """
    info = store.info
    return {
        "grid": [] if info.arrays else list(info.grid),
        "values": asdict(info.manifest.values),
        "dataset": info.dataset,
        "title": info.manifest.title,
        "licence": info.manifest.licence,
        "inrs": int((store.status != info.status_names.index("pending")).sum()),
    }


class Statistics(nn.Module):
    """Mean and standard deviation of the training split as buffers, so that a checkpoint carries them. (P,) each."""

    mean: Tensor
    std: Tensor

    def __init__(self, num_params: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_params))
        self.register_buffer("std", torch.ones(num_params))

    def set(self, statistics: Normaliser) -> None:
        """Take the statistics of a training split."""
        self.mean.copy_(statistics.mean)
        self.std.copy_(statistics.std)

    @property
    def normaliser(self) -> Normaliser:
        """The map by these statistics."""
        return Normaliser("trained", self.mean.cpu(), self.std.cpu())


def encoded(
    weights: Tensor, kind: Literal["weights", "canonical"], inr: INR, statistics: Statistics, encoder: Encoder
) -> Tensor:
    """Return features (B, F), float32, of weights (B, P) as they were fitted, neither normalised nor canonical."""
    if kind == "canonical":
        weights = inr.canonicalise(weights)
    features: Tensor = encoder((weights - statistics.mean) / statistics.std)
    return features.float()


class WeightNetwork(Freezable):
    """An encoder of weights, and the statistics by which its inputs are normalised.

    Attributes:
        out_features: length of a feature vector.
    """

    def __init__(self, task: WeightTask, dataset: WeightDataset) -> None:
        super().__init__(task.frozen)
        self._task, self._inr = task, dataset.inr
        self.inputs = Statistics(dataset.layout.num_params)
        reads = registry.find("encoders", task.encoder.get("name", "")).reads
        if reads not in ("weights", "function"):
            raise InrzooError(f"{task.encoder['name']} does not read weights")
        if reads == "function" and task.inputs != "weights":
            raise InrzooError(
                f"inputs = {task.inputs!r} is not allowed: {task.encoder['name']} evaluates INRs; those are weights "
                "of the same functions; use weights"
            )
        self.encoder = make_encoder(task.encoder, dataset.layout, dataset.stores[0])
        self.out_features: int = self.encoder.out_features

    def prepared(self, dataset: WeightDataset, *, augmented: bool = False) -> WeightDataset:
        """The same INRs as this network reads them; see `WeightTask.prepared`."""
        return self._task.prepared(dataset, self.inputs.normaliser, augmented=augmented)

    def forward(self, batch: WeightBatch) -> Tensor:
        """Features (B, F), float32, of a batch of a dataset that is `prepared`."""
        with self._task.autocast(self, batch.weights.device):
            features: Tensor = self.encoder(batch.weights)
        return features.float()

    def of_weights(self, weights: Tensor) -> Tensor:
        """Features (B, F), float32, of weights (B, P) as they were fitted: those of a batch that is `prepared`."""
        return encoded(weights, self._task.inputs, self._inr, self.inputs, self.encoder)

    def fit_inputs(self, dataset: WeightDataset) -> None:
        """Set the statistics of the inputs from a training split; see `WeightTask.statistics`."""
        self.inputs.set(self._task.statistics(dataset, self.encoder))
        self.encoder.set_statistics(self.inputs.mean, self.inputs.std)

    @torch.no_grad()
    def features_of(self, dataset: WeightDataset, column: str, device: Device) -> Features:
        """Features of every INR of a dataset, as `WeightTask.dataset` returns it."""
        parts = [
            (self(batch.to(device)).cpu(), batch.labels[column], batch.signal, batch.seed)
            for batch in in_order(self.prepared(dataset), ROWS_AT_ONCE)
        ]
        return Features(*(torch.cat(column_parts) for column_parts in zip(*parts, strict=True)))
