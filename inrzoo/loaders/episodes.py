"""Few-shot episodes: N classes with K support INRs and Q query INRs each.
Formulas: docs/derivations/few_shot.md#episodes.

Shape letters: N ways, K shots, Q queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from inrzoo.errors import InrzooError
from inrzoo.loaders.batch import Episode, WeightBatch
from inrzoo.loaders.dataset import WeightDataset
from inrzoo.loaders.distributed import checked_rank, rank_and_world, reader_of_accelerate, worker_and_workers
from inrzoo.loaders.grouped_index import GroupedIndex
from inrzoo.nearest import among
from inrzoo.seeding import Stream


class EpisodeItems(NamedTuple):
    """Numbers of an episode's INRs in the dataset, class by class, and their classes from 0 to N − 1; int64."""

    support: NDArray[np.int64]
    query: NDArray[np.int64]
    support_target: NDArray[np.int64]
    query_target: NDArray[np.int64]


class Episodes(IterableDataset[Episode]):
    """Episodes of a dataset. Episode number i is a function of (seed, i) alone.

    An episode draws N of the dataset's classes, K + Q different signals of each class, and one INR of each signal from
    the loaded seeds and views. Support and query never share a signal, and the dataset's split decides the classes.

    Iteration yields `num_episodes` episodes, the same list in every pass, or endless ones. Ranks and workers divide
    them as a `WeightStream` divides batches, and `state_dict` continues them. Use it directly or as
    `DataLoader(episodes, batch_size=None)`.

    Args:
        dataset: the INRs.
        ways: N.
        shots: K.
        queries: Q of each class.
        label: the label column of the classes; the first one if None.
        num_episodes: number of episodes, for evaluation; None for endless training.
        seed: seed of the random draws.
        all_in_support: whether a support signal contributes all its loaded INRs, seed by seed and view by view, instead
            of one: N·K·(INRs of a signal) in all.
        query_step: step count of the query snapshots; None for all loaded ones.
        rank, world: rank of this process and their number; those of `torch.distributed` if None, else 0 of 1.

    Attributes:
        classes: codes of the classes that occur in the dataset.

    Raises:
        InrzooError: there are fewer than N classes, a class has fewer than K + Q signals, the column is absent, or a
            signal has no INR of `query_step` steps.
    """

    def __init__(
        self,
        dataset: WeightDataset,
        *,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        label: str | None = None,
        num_episodes: int | None = None,
        seed: int = 0,
        all_in_support: bool = False,
        query_step: int | None = None,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        for name, value in (("ways", ways), ("shots", shots), ("queries", queries), ("num_episodes", num_episodes)):
            if value is not None and value < 1:
                raise InrzooError(f"{name} = {value} is not allowed; it must be 1 or more")
        column = next(iter(dataset.labels)) if label is None else label
        if column not in dataset.labels:
            raise InrzooError(f"no label column {column!r}{among(column, dataset.labels)}")
        self.dataset, self.label, self.seed = dataset, column, seed
        self.ways, self.shots, self.queries, self.num_episodes = ways, shots, queries, num_episodes
        self._chosen_rank = checked_rank(rank, world)
        self.all_in_support, self.query_step = all_in_support, query_step
        locations = dataset.rows.locations(np.arange(len(dataset)))
        signal = dataset.rows.signals(locations)
        self._inrs = GroupedIndex.from_keys(signal)
        self._candidates = np.arange(len(dataset))
        if query_step is not None:
            self._candidates = np.flatnonzero(dataset.rows.step_counts(locations) == query_step)
        self._queries = GroupedIndex.from_keys(signal[self._candidates])
        if len(self._queries) < len(self._inrs):
            missing = len(self._inrs) - len(self._queries)
            raise InrzooError(f"queries of {query_step} steps: {missing} of {len(self._inrs)} signals have no such INR")
        self._signals = GroupedIndex.from_keys(dataset.labels[column][self._inrs.keys])
        self.classes = self._signals.keys
        self._require_enough()
        self._start = self._yielded = 0
        self._resumed = False

    def __getitem__(self, number: int) -> Episode:
        """Return an episode by its number from 0."""
        if number < 0 or (self.num_episodes is not None and number >= self.num_episodes):
            raise IndexError(f"episode {number} is out of range; there are {self.num_episodes or 'no negative ones'}")
        items = self.items(number)
        first = self._signal_of(items.query.reshape(self.ways, -1)[:, 0])
        return Episode(
            support=self._read(items.support, number, 0),
            query=self._read(items.query, number, 1),
            support_target=torch.from_numpy(items.support_target),
            query_target=torch.from_numpy(items.query_target),
            classes=torch.from_numpy(self.dataset.labels[self.label][first]),
        )

    def items(self, number: int) -> EpisodeItems:
        """Return the numbers of the INRs of an episode without reading them."""
        chosen = self.draw(number)
        support = chosen[:, : self.shots].ravel()
        counts = np.ones(len(support), dtype=np.int64)
        if self.all_in_support:
            sets = np.searchsorted(self._inrs.keys, self._signal_of(support))
            counts = self._inrs.counts[sets]
            starts = self._inrs.starts[sets]
            support = np.concatenate(
                [self._inrs.flat[start : start + count] for start, count in zip(starts, counts, strict=True)]
            )
        ways = np.arange(self.ways)
        return EpisodeItems(
            support=support,
            query=chosen[:, self.shots :].ravel(),
            support_target=ways.repeat(self.shots).repeat(counts),
            query_target=ways.repeat(self.queries),
        )

    def draw(self, number: int) -> NDArray[np.int64]:
        """Draw the number of an INR of each signal of an episode, (N, K + Q): support first, then queries."""
        stream = Stream("episodes", self.label, self.seed, str(number))
        ways = stream.shuffle(len(self.classes))[: self.ways]
        signals = []
        for way in ways.tolist():
            start, count = int(self._signals.starts[way]), int(self._signals.counts[way])
            signals.append(self._signals.flat[start + stream.shuffle(count)[: self.shots + self.queries]])
        chosen = np.stack(signals)
        uniform = stream.uniform(0, 1, chosen.size)
        drawn = self._inrs.pick(chosen.ravel(), uniform).reshape(chosen.shape)
        if self.query_step is not None:
            queries = self._candidates[self._queries.pick(chosen.ravel(), uniform)].reshape(chosen.shape)
            drawn[:, self.shots :] = queries[:, self.shots :]
        return drawn

    def __len__(self) -> int:
        """Return the number of episodes of this rank in a pass.

        Raises:
            TypeError: the episodes are endless.
        """
        if self.num_episodes is None:
            raise TypeError("endless episodes have no length")
        rank, world = self._rank()
        return max(0, -(-(self.num_episodes - rank) // world))

    def __iter__(self) -> Iterator[Episode]:
        """Yield the episodes from the first one, or from the loaded state.

        Raises:
            InrzooError: `accelerate` would slice them among several processes.
        """
        if hasattr(reader_of_accelerate(self), "slice_fn") and rank_and_world(None, None)[1] > 1:
            raise InrzooError(
                "accelerate would slice each episode among processes; leave their DataLoader out of "
                "accelerator.prepare(…): every process gets episodes of its own without it"
            )
        return self._episodes()

    def _episodes(self) -> Iterator[Episode]:
        if not self._resumed:
            self._start = 0
        self._yielded, self._resumed = 0, False
        (worker, workers), (rank, world) = worker_and_workers(), self._rank()
        number = self._start + worker * world + rank
        while self.num_episodes is None or number < self.num_episodes:
            episode = self[number]
            self._yielded += 1
            yield episode
            number += workers * world
        self._start = self._yielded = 0

    def state_dict(self, episodes: int | None = None) -> dict[str, Any]:
        """Return the position of the pass; `episodes` as `batches` in `WeightStream.state_dict`."""
        yielded = self._yielded * worker_and_workers()[1] if episodes is None else episodes
        return {"number": self._start + yielded * self._rank()[1], **self._settings}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a position.

        Raises:
            InrzooError: the state belongs to other episodes.
        """
        differing = [f"{key}: {state.get(key)} → {new}" for key, new in self._settings.items() if state.get(key) != new]
        if differing:
            raise InrzooError(f"the state belongs to other episodes ({'; '.join(differing)})")
        self._start, self._yielded, self._resumed = state["number"], 0, True

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """The settings that define the list of episodes."""
        names = ("seed", "label", "ways", "shots", "queries", "num_episodes", "all_in_support", "query_step")
        return {name: getattr(self, name) for name in names} | {"length": len(self.dataset)}

    def _rank(self) -> tuple[int, int]:
        return rank_and_world(self._chosen_rank, self)

    def _read(self, items: NDArray[np.int64], number: int, view: int) -> WeightBatch:
        return self.dataset.read(items, epoch=0, key=number, view=view)

    def _signal_of(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.dataset.rows.signals(self.dataset.rows.locations(items))

    def _require_enough(self) -> None:
        names = self.dataset.label_names.get(self.label, [])
        if len(self.classes) < self.ways:
            raise InrzooError(f"{self.ways} ways need as many classes; the loaded INRs have {len(self.classes)}")
        needed = self.shots + self.queries
        small = np.flatnonzero(self._signals.counts < needed)
        if len(small):
            code = int(self.classes[small[0]])
            name = names[code] if code < len(names) else str(code)
            least = int(self._signals.counts.min())
            rest = f"{least - self.shots} queries" if least > self.shots else f"{least} shots and queries together"
            raise InrzooError(
                f"{self.label} {name!r} has {self._signals.counts[small[0]]} signals; {self.shots} shots and "
                f"{self.queries} queries need {needed} (too few in {len(small)} of {len(self.classes)} classes); "
                f"there are enough for {rest}"
            )

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with the rank, as worker processes cannot ask `torch.distributed`."""
        return {**vars(self), "_chosen_rank": self._rank()}
