"""The networks of a run of the task `generate`: the model, its moving average, and the judges of its samples.

Shape letters: N items, K coordinates, C channels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from inrzoo.loaders import WeightDataset
from inrzoo.loaders.normalise import measured_normaliser, normaliser
from inrzoo.tasks.generative.generator import GenerativeModel
from inrzoo.tasks.generative.judges import Judge, class_judge, feature_judge, train_judge
from inrzoo.tasks.generative.quality import Examiner, evenly, signals_of
from inrzoo.tasks.generative.subjects import Subject
from inrzoo.tasks.moving_average import moving_average
from inrzoo.tasks.training.batches import in_order
from inrzoo.tasks.weight_tasks import ROWS_AT_ONCE

if TYPE_CHECKING:
    from inrzoo.tasks.generate import Generate

MAX_EXAMPLE_BYTES = 2**28
"""Maximum size of the values that judges learn from, in bytes."""


class Networks(nn.Module):
    """Everything that a checkpoint holds: the model, its moving average, and the judges of its samples.

    Attributes:
        subject: what is generated.
    """

    def __init__(self, task: Generate, dataset: WeightDataset) -> None:
        super().__init__()
        self.subject = task.subject(dataset)
        names = dataset.label_names[task.label_column(dataset)]
        sampler = task.sampler(self.subject.layout.num_params, len(names))
        self.model = GenerativeModel(sampler, task.make_encoder(self.subject, dataset), task.code_noise)
        self.average = moving_average(self.model, task.ema)
        grid, channels = dataset.stores[0].info.grid, dataset.inr.out_features
        self.features: Judge = feature_judge(grid, channels, len(names)).requires_grad_(False)
        self.classes: Judge = class_judge(grid, channels, len(names)).requires_grad_(False)

    @property
    def averaged(self) -> GenerativeModel:
        """The moving average of the model, which samples are drawn by."""
        average = self.average.module
        assert isinstance(average, GenerativeModel)
        return average

    def examiner(self, training: WeightDataset, column: str) -> Examiner:
        """Return what measures samples; the judges are trained if they are new."""
        if not (bool(self.features.trained) and bool(self.classes.trained)):
            values, label = _examples(self.subject, training, column)
            for seed, judge in enumerate((self.features, self.classes)):
                judge.requires_grad_(True)
                train_judge(judge, values, label, seed)
                judge.requires_grad_(False)
        return Examiner(self.averaged, self.subject, self.features, self.classes, column)

    def set_statistics(self, task: Generate, training: WeightDataset) -> None:
        """Set the sampler's statistics and the decoder's start, in the model and in its average.

        With a shared start codes change the mean of all training INRs; else neurons of different INRs have nothing in
        common, and codes change the first training INR.
        """
        stored, store = normaliser(training.stores, training.rows.views, task.normalise), training.stores[0]
        statistics, start = stored, store.init
        if task.of == "signals" or task.inputs == "canonical":
            kind = "per_tensor" if task.of == "signals" else stored.kind
            statistics = measured_normaliser(
                lambda: (self.subject.read(batch) for batch in in_order(training, ROWS_AT_ONCE)),
                self.subject.layout,
                kind,
            )
        base = statistics.mean
        if task.of == "weights" and statistics.kind != "per_parameter":
            base = self.subject.read(training[[0]])[0]
        known = task.of == "weights" and task.inputs == "weights" and start is not None and len(start) == 1
        for model in (self.model, self.averaged):
            model.sampler.mean.copy_(statistics.mean)
            model.sampler.std.copy_(statistics.std)
            model.sampler.start.copy_(base)
            model.sampler.init.copy_(torch.from_numpy(start[0]) if known and start is not None else base)
            if model.encoder is not None:
                model.encoder.set_statistics(model.sampler.mean, model.sampler.std)


def _examples(subject: Subject, training: WeightDataset, column: str) -> tuple[Tensor, Tensor]:
    """Values (N, K, C) and classes (N,) of the training split: its signals, or what its INRs say without these.

    Of large splits INRs are taken that lie evenly in it.
    """
    store = training.stores[0]
    count = min(len(training), MAX_EXAMPLE_BYTES // (4 * math.prod(store.info.grid) * store.channels))
    training = evenly(training, max(count, 1))
    signal_L = signals_of(training)
    label = torch.from_numpy(store.labels[column][signal_L])
    if store.has_signals:
        signals, place_L = np.unique(signal_L, return_inverse=True)
        return torch.from_numpy(store.targets(signals).values_BKC)[place_L], label
    with torch.no_grad():
        parts = [subject.values(subject.read(batch)) for batch in in_order(training, ROWS_AT_ONCE)]
    return torch.cat(parts), label
