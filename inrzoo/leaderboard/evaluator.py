"""The evaluator of a benchmark task: weights without labels go out, answers come in, a score goes out.

Shape letters: N INRs of a split, P parameters, F features.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.leaderboard.definition import BenchmarkTask, find
from inrzoo.loaders import Episodes, WeightDataset, load
from inrzoo.tasks import Measurement
from inrzoo.tasks.losses import accuracy, log_probabilities
from inrzoo.tasks.measurements import measured_mean, measured_share
from inrzoo.tasks.probes import Features, linear_probe

SPLITS = ("train", "validation")
"""Splits whose labels everyone may use."""
EPISODES, QUERIES, SCALE = 1000, 15, 10.0
"""Number of episodes, queries of a class in each, and factor of the cosines in the softmax over supports."""


class Evaluator:
    """Scores answers to a benchmark task; it alone reads the labels of the split that is measured.

    Args:
        task: name of a task, its .toml file, or the task.
        store: the folder or URL of its store.

    Attributes:
        task: the task.
        splits: splits whose weights are asked about: the measured one, and all three for a linear probe.
        num_inrs: number of INRs of the measured split.

    Raises:
        InrzooError: there is no such task, or the store is not the one that it pins.

    Example:
        >>> from inrzoo.leaderboard import BenchmarkTask, Evaluator, content_sha256
        >>> store = inrzoo.open_store("digits.zarr")
        >>> build = {"dataset": "digits"}
        >>> pinned = {"build": build, "content_sha256": content_sha256(store), "measure": "accuracy"}
        >>> task = BenchmarkTask(name="mine", title="", train="classify", rule="", **pinned)
        >>> evaluator = Evaluator(task, "digits.zarr")
        >>> weights = evaluator.questions()["test"]
        >>> evaluator.score({"test": [0] * len(weights)}).name
        'accuracy'
    """

    def __init__(self, task: str | Path | BenchmarkTask, store: str | Path) -> None:
        self.task = task if isinstance(task, BenchmarkTask) else find(task)
        self.splits = (*SPLITS, self.task.split) if self.task.measure == "linear probe" else (self.task.split,)
        self._datasets = {split: load(store, split=split, normalise="none") for split in {*SPLITS, *self.splits}}
        opened = next(iter(self._datasets.values())).stores[0]
        self.task.require_store(opened)
        self.store = opened
        generator = np.random.default_rng()  # nobody knows the order, so that an answer cannot depend on it
        self._order = {split: generator.permutation(len(self._datasets[split])) for split in self.splits}
        self.num_inrs = len(self._order[self.task.split])

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; an answer is the number of one."""
        return tuple(self.store.info.label_names[self.column])

    @property
    def column(self) -> str:
        """Name of the label column that is asked about."""
        return self.store.info.label_columns[0]

    def training(self, split: str = "train") -> WeightDataset:
        """Return the INRs of a split whose labels may be used, not normalised.

        Raises:
            InrzooError: another split than train and validation.
        """
        if split not in SPLITS:
            raise InrzooError(f"the labels of {split} are not for training; expected {' or '.join(SPLITS)}")
        return self._datasets[split]

    def questions(self) -> dict[str, Tensor]:
        """Return the weights of each split that is asked about, (N, P), as they were fitted, in an order of its own."""
        return {
            split: self._datasets[split][:].weights[torch.from_numpy(order)] for split, order in self._order.items()
        }

    def score(self, answers: Mapping[str, Tensor | Sequence[int]]) -> Measurement:
        """Measure answers, in percent.

        Args:
            answers: of each split in `questions`, row by row: classes (N,), integers, for the measure `accuracy`;
                features (N, F) for others.

        Raises:
            InrzooError: answers of a split are missing, or have another shape, type or range.
        """
        given = {split: self._checked(split, answers) for split in self.splits}
        if self.task.measure == "accuracy":
            return measured_share("accuracy", given[self.task.split] == self._labels(self.task.split))
        if self.task.measure != "linear probe":
            return self._episodes(given[self.task.split].float())
        none = torch.zeros(0)
        train, validation, test = (
            Features(given[split].float(), self._labels(split), none, none) for split in self.splits
        )
        return linear_probe(train, validation, test)

    def _episodes(self, features: Tensor) -> Measurement:
        """Measure features on episodes that are the same for everyone."""
        ways, shots = map(int, re.findall(r"\d+", self.task.measure))
        dataset = self._datasets[self.task.split]
        in_order = torch.empty_like(features)
        in_order[torch.from_numpy(self._order[self.task.split])] = features
        episodes = Episodes(dataset, ways=ways, shots=shots, queries=QUERIES, label=self.column, num_episodes=EPISODES)
        percent = []
        for number in range(EPISODES):
            items = episodes.items(number)
            support, query = in_order[items.support], in_order[items.query]
            target = torch.from_numpy(items.support_target)
            scores = log_probabilities(support, query, target, ways, SCALE, "matching")
            percent.append(100 * accuracy(scores, torch.from_numpy(items.query_target)))
        return measured_mean(self.task.measure, torch.tensor(percent, dtype=torch.float64))

    def _checked(self, split: str, answers: Mapping[str, Tensor | Sequence[int]]) -> Tensor:
        if split not in answers:
            raise InrzooError(f"answers of the split {split} are missing; expected {', '.join(self.splits)}")
        given, count = torch.as_tensor(answers[split]), len(self._order[split])
        if self.task.measure == "accuracy":
            if given.shape != (count,) or given.is_floating_point():
                raise InrzooError(f"answers of {split} are {_kind(given)}; expected {count} integers, classes")
            if count and not 0 <= int(given.min()) <= int(given.max()) < len(self.classes):
                raise InrzooError(f"an answer of {split} is no class; expected 0 to {len(self.classes) - 1}")
        elif given.ndim != 2 or len(given) != count or not given.isfinite().all():
            raise InrzooError(f"answers of {split} are {_kind(given)}; expected ({count}, F) finite features")
        return given.cpu()

    def _labels(self, split: str) -> Tensor:
        dataset = self._datasets[split]
        signals = dataset.rows.signals(dataset.rows.locations(self._order[split]))
        return torch.from_numpy(dataset.labels[self.column][signals])


def _kind(values: Tensor) -> str:
    return f"{values.dtype} of shape {tuple(values.shape)}".replace("torch.", "")
