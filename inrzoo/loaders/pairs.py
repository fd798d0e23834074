"""Two INRs of one signal, for contrastive training.

Shape letters: B pairs of a batch, L INRs of the dataset, U signals of which there are pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from inrzoo.errors import InrzooError
from inrzoo.loaders.batch import PairBatch
from inrzoo.loaders.dataset import WeightDataset
from inrzoo.loaders.members import Members
from inrzoo.seeding import Stream
from inrzoo.store.normalize_index import normalize_index
from inrzoo.weights import WeightLayout

Between = Literal["seeds", "views", "any"]


class Pairs(Dataset[PairBatch]):
    """Pairs of INRs, one for each signal and epoch, map-style; `WeightStream(pairs)` streams them.

    Which two INRs a signal gives is a function of (seed, epoch, signal): batches, workers and ranks do not matter.

    Args:
        dataset: where the INRs are drawn from; its transforms act on both with draws of their own.
        between: in what the two differ. `seeds`: two fits from different starts, each at a snapshot of its own
            (contrastive paper, Sec. 4.2). `views`: two snapshots of one fit. `any`: two different INRs.
        seed: of the draws.

    Attributes:
        num_left_out: signals that do not have two such INRs.

    Raises:
        InrzooError: no signal has two such INRs.
    """

    def __init__(self, dataset: WeightDataset, *, between: Between = "seeds", seed: int = 0) -> None:
        if between not in get_args(Between):
            raise InrzooError(f"between = {between!r} is not known; there are: {', '.join(get_args(Between))}")
        self.dataset, self.between, self.seed, self.epoch = dataset, between, seed, 0
        places = dataset.rows.places(np.arange(len(dataset)))
        signal = dataset.rows.signals(places)
        # Of one signal in one store, a seed is one fit; in another store it is another one.
        fit = (places.store * (1 + int(places.seed.max())) + places.seed) * (1 + int(signal.max())) + signal
        self._views = Members.of(fit)
        signal_of_fit = signal[self._views.flat[self._views.starts]]
        if between == "any":
            self._sets = Members.of(signal)
        elif between == "seeds":
            self._sets = Members.of(signal_of_fit)
        else:
            several = np.flatnonzero(self._views.counts > 1)
            of_several = Members.of(signal_of_fit[several])
            self._sets = Members(of_several.keys, several[of_several.flat], of_several.starts, of_several.counts)
        enough = self._sets.counts > (0 if between == "views" else 1)
        self._units = np.flatnonzero(enough)
        self.num_left_out = len(np.unique(signal)) - len(self._units)
        if not len(self._units):
            there = {"seeds": "two seeds", "views": "two views of one seed", "any": "two INRs"}[between]
            raise InrzooError(
                f"no signal has {there} in what was loaded, so there are no pairs; load more seeds= or views="
            )

    @property
    def layout(self) -> WeightLayout:
        """What the P numbers of a weight vector are."""
        return self.dataset.layout

    def set_epoch(self, epoch: int) -> None:
        """Draw other pairs. Persistent workers of a DataLoader are copies and do not hear of it."""
        self.epoch = epoch

    def __len__(self) -> int:
        """U."""
        return len(self._units)

    def __getitem__(self, index: int | slice | Sequence[int] | NDArray[np.int64]) -> PairBatch:
        """Pairs by number of their signal among those that have one."""
        rows = normalize_index(index, len(self), "pair")
        return self.read(rows, epoch=self.epoch, key=int(rows[0]) if len(rows) else 0)

    def __getitems__(self, indices: list[int]) -> list[PairBatch]:
        """What a DataLoader calls: one read for the whole batch, as a list of one."""
        return [self[indices]]

    def read(self, positions_B: NDArray[np.int64], *, epoch: int, key: int) -> PairBatch:
        """Pairs of some signals; see `WeightDataset.read`."""
        first, second = self.draw(positions_B, epoch)
        return PairBatch(
            self.dataset.read(first, epoch=epoch, key=key, view=0),
            self.dataset.read(second, epoch=epoch, key=key, view=1),
        )

    def draw(self, positions_B: NDArray[np.int64], epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the two INRs of each pair in the dataset. (B,) each."""
        uniform, sets = _uniform(self.seed, epoch, len(self))[:, positions_B], self._units[positions_B]
        if self.between == "any":
            return self._sets.pick_two(sets, uniform)
        if self.between == "views":
            return self._views.pick_two(self._sets.pick(sets, uniform[2]), uniform)
        first, second = self._sets.pick_two(sets, uniform)
        return self._views.pick(first, uniform[2]), self._views.pick(second, uniform[3])

    # --- for streams -------------------------------------------------------------------------------------------

    def chunks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where chunks of the shards start among the signals. A shard here is the same signals of all seeds."""
        some_fit = self._sets.flat[self._sets.starts[self._units]]
        item = some_fit if self.between == "any" else self._views.flat[self._views.starts[some_fit]]
        places = self.dataset.rows.places(item)
        cuts = [store.partition for store in self.dataset.stores]
        shard = places.signal // np.array([cut.shard_rows for cut in cuts])[places.store]
        chunk = places.signal // np.array([cut.chunk_rows for cut in cuts])[places.store]
        new_shard = np.diff(shard, prepend=-1).astype(bool) | np.diff(places.store, prepend=-1).astype(bool)
        starts = np.flatnonzero(new_shard | np.diff(chunk, prepend=-1).astype(bool))
        return np.append(starts, len(self)), (np.cumsum(new_shard) - 1)[starts]

    def prefetch(self, positions_B: NDArray[np.int64]) -> None:
        """See `WeightDataset.prefetch`; of all seeds and views of these signals."""
        self.dataset.prefetch(self._all_of(positions_B))

    def read_ahead(self, positions_B: NDArray[np.int64]) -> None:
        """See `WeightDataset.read_ahead`; of all seeds and views of these signals."""
        self.dataset.read_ahead(self._all_of(positions_B))

    def in_use(self, positions_B: NDArray[np.int64]) -> AbstractContextManager[None]:
        """See `WeightDataset.in_use`; of all seeds and views of these signals."""
        return self.dataset.in_use(self._all_of(positions_B))

    def release(self) -> None:
        """See `WeightDataset.release`."""
        self.dataset.release()

    def _all_of(self, positions_B: NDArray[np.int64]) -> NDArray[np.int64]:
        members = [self._sets.flat[_run(self._sets, number)] for number in self._units[positions_B].tolist()]
        flat = np.concatenate(members)
        if self.between == "any":
            return flat
        return np.concatenate([self._views.flat[_run(self._views, fit)] for fit in flat.tolist()])


def _run(members: Members, number: int) -> slice:
    return slice(int(members.starts[number]), int(members.starts[number] + members.counts[number]))


@lru_cache(maxsize=2)
def _uniform(seed: int, epoch: int, count: int) -> NDArray[np.float64]:
    """Four numbers from [0, 1) for every signal of an epoch, shape (4, U): a batch takes those of its signals."""
    return Stream("pairs", "", seed, str(epoch)).uniform(0, 1, 4 * count).reshape(4, count)
