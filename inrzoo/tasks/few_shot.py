"""Few-shot classification of INRs from their weights.

Hu et al. 2023, "On the few-shot generalization of learning on implicit neural representations": an encoder is trained
on episodes so that cosines of its features tell classes apart, and is measured on classes that it has never seen.

Shape letters: B INRs of a batch, L INRs of a dataset, P numbers of one INR, F features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.loaders import Episodes, WeightDataset, load
from inrzoo.loaders.batch import Episode
from inrzoo.loaders.normalise import Normalise
from inrzoo.loaders.transforms import generator_for
from inrzoo.tasks import Device, Learner, Measurement, Task
from inrzoo.tasks._checkpoint import load_module
from inrzoo.tasks._conventions import conventions_of
from inrzoo.tasks._inputs import Kind
from inrzoo.tasks._matching import Head, accuracy, mean_and_interval, negative_log_likelihood
from inrzoo.tasks._network import Network


@dataclass(frozen=True, kw_only=True)
class FewShot(Task):
    """N-way K-shot learning on the weights of INRs. The split of a store decides which classes are seen in training.

    The paper has 5 ways and 5 shots, a temperature of 1, Adam with 1e-5; with the cosines as they are the loss cannot
    fall below 0.764 (5-way), and 1e-5 is slow on so flat a softmax. The defaults here are those that did best on the
    validation alphabets of Omniglot; see docs/few_shot.md.

    Attributes:
        way: classes of an episode.
        shot: INRs of each class to learn from.
        query: INRs of each class that are asked for.
        label: the label column that holds the classes; the first one if none is named.
        view: step count of the snapshot that stands for a signal; the last one if none is named.
        views: step counts of the further snapshots that `view_use` uses; all if none are named.
        view_use: further views as `training` samples, in the `support` of every episode, `both`, or `none`.
        inputs: what the encoder reads: `weights`, `canonical` weights, or `signals`, the pixels, for comparison.
        layers: `all`, or `first-k` for the first k layers of the INR.
        normalise: `per_parameter`, `per_tensor`, `none`, or `auto`: per parameter if all INRs started alike.
        encoder: name of an encoder, and its arguments.
        head: `matching` (a softmax over the support) or `prototype` (over class means).
        temperature: what multiplies the cosines: a number, or `learned`, which begins at 10.
        episodes_per_step: whose mean loss is descended in one step.
        rotations: turn each class of a training episode by 0, 90, 180 or 270 degrees, in weight space: more classes.
        mixtures: share of training episodes whose classes are mixtures of two: INRs of the one and of the other are
            averaged, with shares that are the same for the whole mixed class.
        noise: standard deviation of Gaussian noise on normalised inputs, in training.
        input_dropout: share of normalised inputs that are set to 0, in training.
        validation_episodes: how many decide about the best checkpoint.
        test_ways: ways that a trained network is measured at.
        test_shots: shots that it is measured at.
        test_query: INRs of each class that are asked for when it is measured; `query` if no number is given.
        test_episodes: how many for each.
    """

    steps: int = 3000
    lr: float = 5e-4
    weight_decay: float = 0.1
    way: int = 5
    shot: int = 5
    query: int = 15
    label: str | None = None
    view: int | None = None
    views: tuple[int, ...] | None = None
    view_use: Literal["none", "training", "support", "both"] = "training"
    inputs: Kind = "weights"
    layers: str = "all"
    normalise: Normalise = "auto"
    encoder: dict[str, Any] = field(default_factory=lambda: {"name": "layer_transformer"})
    head: Head = "matching"
    temperature: float | Literal["learned"] = 10.0
    episodes_per_step: int = 1
    rotations: bool = False
    mixtures: float = 1.0
    noise: float = 0.0
    input_dropout: float = 0.3
    validation_episodes: int = 500
    test_ways: tuple[int, ...] = (5, 10)
    test_shots: tuple[int, ...] = (1, 5)
    test_query: int | None = None
    test_episodes: int = 1000

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a number out of its range.
        """
        super().__post_init__()
        self.require("way", self.way >= 2, "at least 2")
        for key in ("shot", "query", "episodes_per_step", "validation_episodes", "test_episodes"):
            self.require(key, getattr(self, key) >= 1, "at least 1")
        self.require("temperature", self.temperature == "learned" or self.temperature > 0, "above 0, or learned")
        self.require("mixtures", 0 <= self.mixtures <= 1, "from 0 to 1")
        self.require("noise", 0 <= self.noise < math.inf, "at least 0 and finite")
        self.require("input_dropout", 0 <= self.input_dropout < 1, "at least 0 and below 1")
        self.require("test_ways", bool(self.test_ways) and min(self.test_ways) >= 2, "one or more numbers above 1")
        self.require("test_shots", bool(self.test_shots) and min(self.test_shots) >= 1, "one or more numbers above 0")

    # --- what is read ------------------------------------------------------------------------------------------

    def conventions(self, path: str | Path) -> dict[str, Any]:
        """See `Task.conventions`; labels and splits may differ, where a fixed start began may not."""
        return conventions_of(path)

    def dataset(self, path: str | Path, split: str | None, all_views: bool) -> WeightDataset:
        """INRs of a split, not normalised."""
        wanted: Any = self.view
        if all_views:
            snapshots = load(path, normalise="none").stores[0].snapshots
            wanted = sorted({*(self.views or snapshots), *([] if self.view is None else [self.view])})
        return load(path, split=split, views=wanted, normalise="none", signals=self.inputs == "signals")

    def episodes(self, dataset: WeightDataset, way: int, shot: int, count: int | None, training: bool) -> Episodes:
        """Of a dataset; queries that are no training samples are of `view`."""
        query = self.query if count is None or self.test_query is None else self.test_query
        asked = None if training and self.view_use in ("training", "both") else self._view(dataset)
        return Episodes(
            dataset,
            ways=way,
            shots=shot,
            queries=query,
            label=self.label,
            num_episodes=count,
            seed=self.seed if training else 0,
            all_in_support=self.view_use in ("support", "both"),
            query_step=asked,
        )

    def _view(self, dataset: WeightDataset) -> int:
        return dataset.stores[0].snapshots[-1] if self.view is None else self.view

    # --- training and measuring --------------------------------------------------------------------------------

    def begin(self, path: str | Path, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def evaluate(
        self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device
    ) -> Sequence[Measurement]:
        """Accuracy in percent at each way and shot; episodes are the same for every network."""
        dataset = self.dataset(path, split, self.view_use in ("support", "both"))
        network = Network(self, dataset).to(device).eval()
        load_module(network, state)
        lists = {
            f"{way}-way {shot}-shot": self.episodes(dataset, way, shot, self.test_episodes, training=False)
            for way in self.test_ways
            for shot in self.test_shots
        }
        features_LF = network.features_of(dataset, device)
        found = []
        for name, episodes in lists.items():
            percent = [100 * accuracy(*scored) for scored in network.scores(features_LF, episodes)]
            mean, interval = mean_and_interval(torch.tensor(percent, dtype=torch.float64))
            found.append(Measurement(name, mean, interval, len(percent)))
        return found


class _Learner(Learner):
    def __init__(self, task: FewShot, path: str | Path, device: Device) -> None:
        self._task, self._device = task, device
        training = task.dataset(path, "train", task.view_use != "none")
        self._validation = task.dataset(path, "validation", task.view_use in ("support", "both"))
        self._episodes = task.episodes(training, task.way, task.shot, None, training=True)
        self._asked = task.episodes(self._validation, task.way, task.shot, task.validation_episodes, training=False)
        self.module = self._network = Network(task, training).to(device)
        self._network.inputs.fit(training, task.normalise)
        if task.mixtures and task.view_use in ("support", "both"):
            _require_as_many(training)
        self.identity = {"fingerprint": training.stores[0].info.fingerprint, "inrs": len(training)}

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean over the step's episodes; see `Learner.loss`."""
        count = self._task.episodes_per_step
        numbers = range(step * count, (step + 1) * count)
        episodes = [self._episodes[2 * number].to(self._device) for number in numbers]
        inputs = torch.cat([self._inputs(*each) for each in zip(episodes, numbers, strict=True)])
        features = iter(self._network(inputs).split([len(part) for each in episodes for part in _parts(each)]))
        losses, right = [], 0.0
        for episode in episodes:
            support, query = next(features), next(features)
            found = self._network.log_probabilities(support, query, episode.support_target, self._task.way)
            losses.append(negative_log_likelihood(found, episode.query_target))
            right += accuracy(found.detach(), episode.query_target)
        return torch.stack(losses).mean(), {"accuracy": right / count}

    def validate(self) -> dict[str, float]:
        """Accuracy and loss on the same validation episodes every time."""
        features_LF = self._network.features_of(self._validation, self._device)
        losses, right = [], []
        for found, target in self._network.scores(features_LF, self._asked):
            losses.append(float(negative_log_likelihood(found, target)))
            right.append(accuracy(found, target))
        score = sum(right) / len(right)
        return {"score": score, "validation_accuracy": score, "validation_loss": sum(losses) / len(losses)}

    def _inputs(self, episode: Episode, number: int) -> Tensor:
        """Support, then query, augmented; (B, P), not normalised. Every second episode is kept for mixtures."""
        task, inputs = self._task, self._network.inputs
        generator = generator_for(task.seed, 0, number)
        numbers = self._read(episode, generator)
        if float(torch.rand((), generator=generator)) < task.mixtures:
            other = self._episodes[2 * number + 1].to(self._device)
            share_N = 0.25 + 0.5 * torch.rand(task.way, generator=generator).to(self._device)
            share_B1 = share_N[torch.cat([episode.support_target, episode.query_target]), None]
            numbers = share_B1 * numbers + (1 - share_B1) * self._read(other, generator)
        if task.noise:
            normal = torch.randn(numbers.shape, generator=generator).to(self._device)
            numbers = numbers + task.noise * inputs.std * normal
        if task.input_dropout:
            dropped = torch.rand(numbers.shape, generator=generator).to(self._device) < task.input_dropout
            numbers = torch.where(dropped, inputs.mean, numbers)
        return numbers

    def _read(self, episode: Episode, generator: torch.Generator) -> Tensor:
        """Support, then query; every class turned as a whole if the task says so."""
        turns_N: Tensor | None = None
        if self._task.rotations:
            turns_N = torch.randint(4, (self._task.way,), generator=generator).to(self._device)
        targets = (episode.support_target, episode.query_target)
        return torch.cat(
            [
                self._network.inputs.read(part, None if turns_N is None else turns_N[target])
                for part, target in zip(_parts(episode), targets, strict=True)
            ]
        )


def _require_as_many(dataset: WeightDataset) -> None:
    """Raise InrzooError unless there are as many INRs of each signal: only such supports can be mixed in pairs."""
    signals = dataset.rows.signals(dataset.rows.locations(np.arange(len(dataset))))
    counts = np.unique(signals, return_counts=True)[1]
    if counts.min() < counts.max():
        raise InrzooError(
            f"mixtures of supports need as many INRs of every signal; there are {counts.min()} to {counts.max()} "
            "(some fits diverged): use mixtures = 0, or views as training samples alone"
        )


def _parts(episode: Episode) -> tuple[Any, Any]:
    return episode.support, episode.query
