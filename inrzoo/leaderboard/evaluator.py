"""The evaluator of a benchmark task: weights without labels and signals go out, answers come in, a score goes out.

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
from inrzoo.keywords import unknown
from inrzoo.leaderboard.definition import BenchmarkTask, find
from inrzoo.leaderboard.editing import EditedSignals
from inrzoo.leaderboard.transfer import beside, require_comparable
from inrzoo.loaders import Episodes, WeightDataset, load
from inrzoo.tasks import Measurement
from inrzoo.tasks.losses import accuracy, log_probabilities
from inrzoo.tasks.measurements import measured_mean, measured_r2, measured_share
from inrzoo.tasks.probes import Features, identity, linear_probe
from inrzoo.tasks.regress import targets

SPLITS = ("train", "validation")
"""Splits whose labels everyone may use."""
EPISODES, QUERIES, SCALE = 1000, 15, 10.0
"""Number of episodes, queries of a class in each, and factor of the cosines in the softmax over supports."""


class Evaluator:
    """Scores answers to a benchmark task; it alone reads labels, or signals, of the split that is measured.

    Args:
        task: name of a task, its .toml file, or the task.
        store: the folder or URL of its store.
        test_store: the folder or URL of its second store, if it has one; beside the first by default.

    Attributes:
        task: the task.
        store: its store.
        splits: splits whose weights are asked about: the measured one, and all three for a linear probe.
        num_inrs: number of INRs of the measured split.
        folders: folders of the stores that are on this machine.

    Raises:
        InrzooError: there is no such task, or a store is not the one that it pins.

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

    def __init__(
        self, task: str | Path | BenchmarkTask, store: str | Path, test_store: str | Path | None = None
    ) -> None:
        self.task = task if isinstance(task, BenchmarkTask) else find(task)
        self.splits = (*SPLITS, self.task.split) if self.task.measure == "linear probe" else (self.task.split,)
        self.store = load(store, normalise="none").stores[0]
        self.task.require_store(self.store)
        edits = self.task.measure == "error removed"
        if not edits and self._label not in self.store.info.label_columns:
            raise unknown(self.store.location, self._label, self.store.info.label_columns, kind="label column")
        places: dict[str, str | Path] = dict.fromkeys((*SPLITS, *self.splits), store)
        if self.task.test_build:
            places[self.task.split] = self._second(store, test_store)
        views = self.store.snapshots if self.task.measure == "r2" else None
        self._datasets = {
            split: load(place, split=split, views=views, normalise="none", signals=edits)
            for split, place in places.items()
        }
        self.folders = [Path(place) for place in {*places.values()} if "://" not in str(place)]
        generator = np.random.default_rng()  # nobody knows the order, so that an answer cannot depend on it
        self._order = {split: generator.permutation(len(self._datasets[split])) for split in self.splits}
        self.num_inrs = len(self._order[self.task.split])
        self._edited = EditedSignals(self._datasets[self.task.split], self.task.operation) if edits else None

    def _second(self, store: str | Path, test_store: str | Path | None) -> str | Path:
        """Return the place of the second store, after it was checked."""
        place = beside(store, self.task.test_store_name) if test_store is None else test_store
        if isinstance(place, Path) and not place.exists():
            raise InrzooError(
                f"no store {place}, which {self.task.name} measures; make it by: {self.task.test_build_command}, "
                "or name it with --test-store (test_store=…)"
            )
        second = load(place, normalise="none").stores[0]
        self.task.require_test_store(second)
        require_comparable(self.store, second, self.task.split)
        return place

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; an answer is the number of one."""
        return tuple(self.store.info.label_names[self._label])

    @property
    def column(self) -> str:
        """Name of the column that is asked about: of labels, or for `r2` of numbers."""
        return self.task.column or self.store.info.label_columns[0]

    @property
    def _label(self) -> str:
        return self.store.info.label_columns[0] if self.task.measure == "r2" else self.column

    def training(self, split: str = "train") -> WeightDataset:
        """Return the INRs of a split whose labels, and signals for `error removed`, may be used; not normalised.

        Raises:
            InrzooError: another split than train and validation.
        """
        if split not in SPLITS:
            raise InrzooError(f"the labels of {split} are not for training; expected {' or '.join(SPLITS)}")
        return self._datasets[split]

    def dataset(self, split: str) -> WeightDataset:
        """Return the INRs of a split, whose layout and INR a network is made for; not normalised."""
        return self._datasets[split]

    def questions(self) -> dict[str, Tensor]:
        """Return the weights of each split that is asked about, (N, P), as they were fitted, in an order of its own."""
        return {
            split: self._datasets[split][:].weights[torch.from_numpy(order)] for split, order in self._order.items()
        }

    def score(self, answers: Mapping[str, Tensor | Sequence[float]]) -> Measurement:
        """Measure answers, in percent.

        Args:
            answers: of each split in `questions`, row by row: classes (N,), integers, for the measure `accuracy`;
                numbers (N,) for `r2`; weights after the edit (N, P) for `error removed`; features (N, F) for others.

        Raises:
            InrzooError: answers of a split are missing, or have another shape, type or range.
        """
        given = {split: self._checked(split, answers) for split in self.splits}
        measure, asked = self.task.measure, given[self.task.split]
        if measure == "accuracy":
            return measured_share("accuracy", asked == self._labels(self.task.split))
        if measure == "r2":
            truth = targets(self._datasets[self.task.split], self.column, self._order[self.task.split])
            return measured_r2("r2", asked, truth)
        if self._edited is not None:
            return self._edited.measure(self._in_order(asked.float()))
        if measure == "identity":
            return identity(self._features(self.task.split, asked))
        if measure == "linear probe":
            train, validation, test = (self._features(split, given[split]) for split in self.splits)
            return linear_probe(train, validation, test)
        return self._episodes(asked.float())

    def mse(self, percent: float) -> float | None:
        """Return the mean squared error, of values in [0, 1], that a score of `error removed` means; None of others."""
        return None if self._edited is None else self._edited.mse(percent)

    def _features(self, split: str, features: Tensor) -> Features:
        where = self._datasets[split].rows.locations(self._order[split])
        signal, seed = torch.from_numpy(where.signal), torch.from_numpy(where.seed)
        return Features(features.float(), self._labels(split), signal, seed)

    def _episodes(self, features: Tensor) -> Measurement:
        """Measure features on episodes that are the same for everyone."""
        ways, shots = map(int, re.findall(r"\d+", self.task.measure))
        dataset = self._datasets[self.task.split]
        in_order = self._in_order(features)
        episodes = Episodes(dataset, ways=ways, shots=shots, queries=QUERIES, label=self._label, num_episodes=EPISODES)
        percent = []
        for number in range(EPISODES):
            items = episodes.items(number)
            support, query = in_order[items.support], in_order[items.query]
            target = torch.from_numpy(items.support_target)
            scores = log_probabilities(support, query, target, ways, SCALE, "matching")
            percent.append(100 * accuracy(scores, torch.from_numpy(items.query_target)))
        return measured_mean(self.task.measure, torch.tensor(percent, dtype=torch.float64))

    def _in_order(self, answers: Tensor) -> Tensor:
        """Return answers of the measured split in the order of its dataset."""
        in_order = torch.empty_like(answers)
        in_order[torch.from_numpy(self._order[self.task.split])] = answers
        return in_order

    def _checked(self, split: str, answers: Mapping[str, Tensor | Sequence[float]]) -> Tensor:
        if split not in answers:
            raise InrzooError(f"answers of the split {split} are missing; expected {', '.join(self.splits)}")
        given, count = torch.as_tensor(answers[split]).cpu(), len(self._order[split])
        if self.task.measure == "accuracy":
            if given.shape != (count,) or given.is_floating_point():
                raise InrzooError(f"answers of {split} are {_kind(given)}; expected {count} integers, classes")
            if count and not 0 <= int(given.min()) <= int(given.max()) < len(self.classes):
                raise InrzooError(f"an answer of {split} is no class; expected 0 to {len(self.classes) - 1}")
        elif self.task.measure == "r2":
            if given.shape != (count,) or not given.isfinite().all():
                raise InrzooError(f"answers of {split} are {_kind(given)}; expected {count} finite numbers")
        elif self.task.measure == "error removed":
            shape = (count, self._datasets[split].layout.num_params)
            if given.shape != shape or not given.is_floating_point() or not given.isfinite().all():
                raise InrzooError(f"answers of {split} are {_kind(given)}; expected {shape} finite weights")
        elif given.ndim != 2 or len(given) != count or not given.isfinite().all():
            raise InrzooError(f"answers of {split} are {_kind(given)}; expected ({count}, F) finite features")
        return given

    def _labels(self, split: str) -> Tensor:
        dataset = self._datasets[split]
        signals = dataset.rows.signals(dataset.rows.locations(self._order[split]))
        return torch.from_numpy(dataset.labels[self._label][signals])


def _kind(values: Tensor) -> str:
    return f"{values.dtype} of shape {tuple(values.shape)}".replace("torch.", "")
