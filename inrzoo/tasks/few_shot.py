"""Few-shot classification of INRs from their weights.

Hu et al. 2023, "On the few-shot generalization of learning on implicit neural representations": an encoder is trained
on episodes so that cosines of its features separate classes, and is measured on classes that it has never seen.

Shape letters: B INRs of a batch, L INRs of a dataset, P numbers of one INR, F features, N classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.loaders import Episodes, WeightDataset, load
from inrzoo.loaders.batch import Episode
from inrzoo.loaders.compatibility import weight_conventions
from inrzoo.loaders.normalise import Normalise
from inrzoo.loaders.transforms import generator_for
from inrzoo.tasks.contract import Device, Learner, Task
from inrzoo.tasks.inputs import ROWS_AT_ONCE, EncoderInputs, Freezable, Kind, make_encoder, normalisation
from inrzoo.tasks.losses import Head, accuracy, log_probabilities, negative_log_likelihood
from inrzoo.tasks.measurements import Measurement, measured_mean
from inrzoo.tasks.pretrained import begin_encoder
from inrzoo.tasks.training.batches import in_order
from inrzoo.tasks.training.state import load_module

LEARNED_START = 10.0
"""Initial factor of the cosines if the temperature is learned."""


@dataclass(frozen=True, kw_only=True)
class FewShot(Task):
    """N-way K-shot learning on the weights of INRs. The split of a store decides which classes are seen in training.

    The paper has 5 ways and 5 shots, a temperature of 1, and Adam with learning rate 1e-5. Its loss cannot fall below
    0.764 (5-way), and 1e-5 is slow on so flat a softmax. The defaults here did best on the validation alphabets of
    Omniglot; see docs/few_shot.md.

    Attributes:
        way: classes of an episode.
        shot: support INRs per class.
        query: query INRs per class.
        label: name of the label column with the classes; the first column by default.
        view: step count of the snapshot that represents a signal; the last one by default.
        views: step counts of the further snapshots that `view_use` uses; all by default.
        view_use: further views serve as `training` samples, in the `support` of every episode, `both`, or `none`.
        inputs: the encoder reads `weights`, `canonical` weights, or `signals`, the pixels, for comparison.
        layers: `all`, or `first-k` for the first k layers of the INR.
        normalise: `per_parameter`, `per_tensor`, `none`, or `auto`; see `inputs.normalisation`.
        encoder: name of an encoder, and its arguments.
        pretrained: run or checkpoint whose trained encoder, with the statistics of its inputs, this one begins with;
            `encoder` and `inputs` are then those of it.
        frozen: whether the pretrained encoder stays as it is, so that its features are compared.
        head: `matching` (a softmax over the support) or `prototype` (over class means).
        temperature: factor of the cosines: a number, or `learned`, which starts at 10.
        episodes_per_step: episodes per optimiser step; the step minimises their mean loss.
        rotations: turn each class of a training episode by 0, 90, 180 or 270 degrees, which makes more classes.
        mixtures: share of training episodes whose classes are mixtures of two: INRs of the one and of the other are
            averaged, with the same shares for the whole mixed class.
        noise: standard deviation of Gaussian noise on normalised inputs, in training.
        input_dropout: share of normalised inputs that are set to 0, in training.
        validation_episodes: number of episodes that decide which checkpoint is the best.
        test_ways: numbers of ways that are measured.
        test_shots: numbers of shots that are measured.
        test_query: query INRs per class where the network is measured; `query` by default.
        test_episodes: number of episodes for each way and shot.
    """

    casts: ClassVar[bool] = True

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
    pretrained: str | None = None
    frozen: bool = False
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
        """See `Task.__post_init__`."""
        super().__post_init__()
        self.require("way", self.way >= 2, "at least 2")
        self.require_at_least(1, "shot", "query", "episodes_per_step", "validation_episodes", "test_episodes")
        self.require("temperature", self.temperature == "learned" or self.temperature > 0, "above 0, or learned")
        self.require("frozen", not self.frozen or self.pretrained is not None, "no without pretrained")
        self.require("layers", self.layers == "all" or self.pretrained is None, "all with pretrained")
        self.require("mixtures", 0 <= self.mixtures <= 1, "from 0 to 1")
        self.require("noise", 0 <= self.noise < math.inf, "at least 0 and finite")
        self.require("input_dropout", 0 <= self.input_dropout < 1, "at least 0 and below 1")
        self.require("test_ways", bool(self.test_ways) and min(self.test_ways) >= 2, "one or more numbers above 1")
        self.require("test_shots", bool(self.test_shots) and min(self.test_shots) >= 1, "one or more numbers above 0")

    # --- data --------------------------------------------------------------------------------------------------

    def conventions(self, path: str | Path) -> dict[str, Any]:
        """See `Task.conventions`."""
        return weight_conventions(load(path, normalise="none").stores[0])

    def dataset(self, path: str | Path, split: str | None, all_views: bool) -> WeightDataset:
        """INRs of a split, not normalised."""
        views: Any = self.view
        if all_views:
            snapshots = load(path, normalise="none").stores[0].snapshots
            views = sorted({*(self.views or snapshots), *([] if self.view is None else [self.view])})
        return load(path, split=split, views=views, normalise="none", signals=self.inputs == "signals")

    def episodes(self, dataset: WeightDataset, way: int, shot: int, count: int | None, training: bool) -> Episodes:
        """Episodes of a dataset; queries are of the snapshot `view`, unless further views serve as training samples."""
        query = self.query if count is None or self.test_query is None else self.test_query
        query_step = None if training and self.view_use in ("training", "both") else self._view(dataset)
        return Episodes(
            dataset,
            ways=way,
            shots=shot,
            queries=query,
            label=self.label,
            num_episodes=count,
            seed=self.seed if training else 0,
            all_in_support=self.view_use in ("support", "both"),
            query_step=query_step,
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
        network = self.trained(dataset, state, device)
        lists = {
            f"{way}-way {shot}-shot": self.episodes(dataset, way, shot, self.test_episodes, training=False)
            for way in self.test_ways
            for shot in self.test_shots
        }
        features_LF = network.features_of(dataset, device)
        measurements = []
        for name, episodes in lists.items():
            percent = [100 * accuracy(*scored) for scored in network.scores(features_LF, episodes)]
            measurements.append(measured_mean(name, torch.tensor(percent, dtype=torch.float64)))
        return measurements

    def trained(self, dataset: WeightDataset, state: Mapping[str, Tensor], device: Device) -> Network:
        """The trained network, from the state of the module in a checkpoint."""
        network = Network(self, dataset).to(device).eval()
        load_module(network, state)
        return network


class Network(Freezable):
    """Normalises, encodes and compares: inputs of support and query come in, log probabilities go out."""

    def __init__(self, task: FewShot, dataset: WeightDataset) -> None:
        super().__init__(task.frozen)
        self._task = task
        self.inputs = EncoderInputs(dataset, task.inputs, task.layers)
        reads = registry.find("encoders", task.encoder.get("name", "")).reads
        if reads == "signals" and task.inputs != "signals":
            raise InrzooError(f'{task.encoder["name"]} reads pixels; it needs inputs = "signals"')
        if reads == "function":
            _require_functions(task)
        self.encoder = make_encoder(task.encoder, self.inputs.layout, dataset.stores[0])
        self.log_scale = nn.Parameter(torch.tensor(math.log(LEARNED_START))) if task.temperature == "learned" else None

    @property
    def scale(self) -> Tensor | float:
        """Factor of the cosines."""
        return float(self._task.temperature) if self.log_scale is None else self.log_scale.exp()

    def forward(self, numbers: Tensor) -> Tensor:
        """Features (B, F) of inputs (B, P) that are not normalised."""
        with self._task.autocast(self, numbers.device):
            features: Tensor = self.encoder(self.inputs(numbers))
        return features.float()

    def of_weights(self, weights: Tensor) -> Tensor:
        """Features (B, F) of weights (B, P) as they were fitted."""
        features: Tensor = self(self.inputs.of_weights(weights))
        return features

    def log_probabilities(self, support: Tensor, query: Tensor, target: Tensor, num_classes: int) -> Tensor:
        """See `losses.log_probabilities`."""
        return log_probabilities(support, query, target, num_classes, self.scale, self._task.head)

    def features_of(self, dataset: WeightDataset, device: Device) -> Tensor:
        """Features of every INR of a dataset, (L, F)."""
        return torch.cat([self(self.inputs.read(batch.to(device))) for batch in in_order(dataset, ROWS_AT_ONCE)])

    def scores(self, features_LF: Tensor, episodes: Episodes) -> Iterator[tuple[Tensor, Tensor]]:
        """Log probabilities of the queries of each episode, and their classes."""
        assert episodes.num_episodes is not None, "only a finite list is measured"
        for number in range(episodes.num_episodes):
            items = episodes.items(number)
            target = torch.from_numpy(items.support_target).to(features_LF.device)
            support, query = features_LF[items.support], features_LF[items.query]
            yield (
                self.log_probabilities(support, query, target, episodes.ways),
                torch.from_numpy(items.query_target).to(features_LF.device),
            )


class _Learner(Learner):
    def __init__(self, task: FewShot, path: str | Path, device: Device) -> None:
        self._task, self._device = task, device
        training = task.dataset(path, "train", task.view_use != "none")
        self._validation = task.dataset(path, "validation", task.view_use in ("support", "both"))
        self._episodes = task.episodes(training, task.way, task.shot, None, training=True)
        self._validation_episodes = task.episodes(
            self._validation, task.way, task.shot, task.validation_episodes, training=False
        )
        self.module = self._network = Network(task, training).to(device)
        network = self._network

        def fit_inputs() -> None:
            network.inputs.fit(training, normalisation(task.normalise, network.encoder))
            network.encoder.set_statistics(network.inputs.mean, network.inputs.std)

        begun = begin_encoder(task, network.encoder, network.inputs, training.stores[0], fit_inputs)
        if task.mixtures and task.view_use in ("support", "both"):
            _require_as_many(training)
        self.identity = {"fingerprint": training.stores[0].info.fingerprint, "inrs": len(training), **begun}

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
            log_probability = self._network.log_probabilities(support, query, episode.support_target, self._task.way)
            losses.append(negative_log_likelihood(log_probability, episode.query_target))
            right += accuracy(log_probability.detach(), episode.query_target)
        return torch.stack(losses).mean(), {"accuracy": right / count}

    def validate(self) -> dict[str, float]:
        """Accuracy and loss on the same validation episodes every time."""
        features_LF = self._network.features_of(self._validation, self._device)
        losses, right = [], []
        for log_probability, target in self._network.scores(features_LF, self._validation_episodes):
            losses.append(float(negative_log_likelihood(log_probability, target)))
            right.append(accuracy(log_probability, target))
        score = sum(right) / len(right)
        return {"score": score, "validation_accuracy": score, "validation_loss": sum(losses) / len(losses)}

    def _inputs(self, episode: Episode, number: int) -> Tensor:
        """Augmented inputs of support, then query, (B, P), not normalised; odd episodes are partners in mixtures."""
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
        """Inputs of support, then query; with `rotations` each class is turned as a whole."""
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


def _require_functions(task: FewShot) -> None:
    """Raise InrzooError unless whole weights, as they were fitted, reach an encoder that evaluates INRs."""
    for key, needed in {
        "inputs": "weights",
        "layers": "all",
        "mixtures": 0.0,
        "noise": 0.0,
        "input_dropout": 0.0,
    }.items():
        if (value := getattr(task, key)) != needed:
            name = task.encoder["name"]
            raise InrzooError(f"{key} = {value!r} is not allowed: {name} evaluates INRs; use {key} = {needed!r}")


def _require_as_many(dataset: WeightDataset) -> None:
    """Raise InrzooError unless every signal has equally many INRs: only such supports can be mixed in pairs."""
    signals = dataset.rows.signals(dataset.rows.locations(np.arange(len(dataset))))
    counts = np.unique(signals, return_counts=True)[1]
    if counts.min() < counts.max():
        raise InrzooError(
            f"mixtures of supports need as many INRs of every signal; there are {counts.min()} to {counts.max()} "
            "(some fits diverged): use mixtures = 0, or views as training samples alone"
        )


def _parts(episode: Episode) -> tuple[Any, Any]:
    return episode.support, episode.query
