"""Pairs of INRs of one signal, for contrastive training.

Shape letters: B pairs of a batch, L INRs of the dataset, U signals with pairs.
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
from inrzoo.loaders.batch import Items, PairBatch
from inrzoo.loaders.dataset import WeightDataset
from inrzoo.loaders.grouped_index import GroupedIndex
from inrzoo.nearest import among
from inrzoo.seeding import Stream
from inrzoo.store.normalize_index import is_one, normalize_index
from inrzoo.weights import WeightLayout

Between = Literal["seeds", "views", "any"]


class Pairs(Dataset[PairBatch]):
    """Pairs of INRs, one for each signal and epoch, map-style; `WeightStream(pairs)` streams them.

    The pair of a signal is a function of (seed, epoch, signal), not of batches, workers or ranks.

    Args:
        dataset: the INRs; its transforms act on both with different random draws.
        between: difference of the two. `seeds`: two fits of different seeds, each at a random snapshot (contrastive
            paper, Sec. 4.2). `views`: two snapshots of one fit. `any`: two different INRs.
        seed: seed of the random draws.

    Attributes:
        num_left_out: number of signals without such a pair.

    Raises:
        InrzooError: no signal has such a pair.
    """

    def __init__(self, dataset: WeightDataset, *, between: Between = "seeds", seed: int = 0) -> None:
        if between not in get_args(Between):
            raise InrzooError(f"between = {between!r} is not known{among(between, get_args(Between))}")
        self.dataset, self.between, self.seed, self.epoch = dataset, between, seed, 0
        locations = dataset.rows.locations(np.arange(len(dataset)))
        signal = dataset.rows.signals(locations)
        # A seed of a signal is one fit in each store.
        fit = (locations.store * (1 + int(locations.seed.max())) + locations.seed) * (1 + int(signal.max())) + signal
        self._views = GroupedIndex.from_keys(fit)
        signal_of_fit = signal[self._views.flat[self._views.starts]]
        if between == "any":
            self._sets = GroupedIndex.from_keys(signal)
        elif between == "seeds":
            self._sets = GroupedIndex.from_keys(signal_of_fit)
        else:
            several = np.flatnonzero(self._views.counts > 1)
            index = GroupedIndex.from_keys(signal_of_fit[several])
            self._sets = GroupedIndex(index.keys, several[index.flat], index.starts, index.counts)
        enough = self._sets.counts > (0 if between == "views" else 1)
        self._units = np.flatnonzero(enough)
        self.num_left_out = len(np.unique(signal)) - len(self._units)
        if not len(self._units):
            pair = {"seeds": "two seeds", "views": "two views of one seed", "any": "two INRs"}[between]
            raise InrzooError(f"no loaded signal has {pair}, so there are no pairs; load more seeds= or views=")

    @property
    def layout(self) -> WeightLayout:
        """Names, shapes and axes of the tensors in a weight vector."""
        return self.dataset.layout

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which changes the pairs. It does not reach persistent workers of a DataLoader."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return U, the number of pairs."""
        return len(self._units)

    def __getitem__(self, index: int | slice | Sequence[int] | NDArray[np.int64]) -> PairBatch:
        """Return one pair by its number, or a batch by a list, an array or a slice."""
        rows = normalize_index(index, len(self), "pair")
        batch = self.read(rows, epoch=self.epoch, key=int(rows[0]) if len(rows) else 0)
        return Items(batch)[0] if is_one(index) else batch

    def __getitems__(self, indices: list[int]) -> Items[PairBatch]:
        """Read a whole batch for a DataLoader."""
        return Items(self[indices])

    def read(self, positions_B: NDArray[np.int64], *, epoch: int, key: int) -> PairBatch:
        """Read pairs; see `WeightDataset.read`."""
        first, second = self.draw(positions_B, epoch)
        return PairBatch(
            self.dataset.read(first, epoch=epoch, key=key, view=0),
            self.dataset.read(second, epoch=epoch, key=key, view=1),
        )

    def draw(self, positions_B: NDArray[np.int64], epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw the numbers of the two INRs of each pair in the dataset, (B,) each."""
        uniform, sets = _uniform(self.seed, epoch, len(self))[:, positions_B], self._units[positions_B]
        if self.between == "any":
            return self._sets.pick_two(sets, uniform)
        if self.between == "views":
            return self._views.pick_two(self._sets.pick(sets, uniform[2]), uniform)
        first, second = self._sets.pick_two(sets, uniform)
        return self._views.pick(first, uniform[2]), self._views.pick(second, uniform[3])

    # --- for streams -------------------------------------------------------------------------------------------

    def chunks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the start of each chunk among the pairs. A shard is here the same signals of all seeds."""
        some_fit = self._sets.flat[self._sets.starts[self._units]]
        item = some_fit if self.between == "any" else self._views.flat[self._views.starts[some_fit]]
        locations = self.dataset.rows.locations(item)
        cuts = [store.partition for store in self.dataset.stores]
        shard = locations.signal // np.array([cut.shard_rows for cut in cuts])[locations.store]
        chunk = locations.signal // np.array([cut.chunk_rows for cut in cuts])[locations.store]
        new_shard = np.diff(shard, prepend=-1).astype(bool) | np.diff(locations.store, prepend=-1).astype(bool)
        starts = np.flatnonzero(new_shard | np.diff(chunk, prepend=-1).astype(bool))
        return np.append(starts, len(self)), (np.cumsum(new_shard) - 1)[starts]

    def prefetch(self, positions_B: NDArray[np.int64]) -> None:
        """See `WeightDataset.prefetch`; covers all seeds and views of these signals."""
        self.dataset.prefetch(self._all_of(positions_B))

    def read_ahead(self, positions_B: NDArray[np.int64]) -> None:
        """See `WeightDataset.read_ahead`; covers all seeds and views of these signals."""
        self.dataset.read_ahead(self._all_of(positions_B))

    def in_use(self, positions_B: NDArray[np.int64]) -> AbstractContextManager[None]:
        """See `WeightDataset.in_use`; covers all seeds and views of these signals."""
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


def _run(index: GroupedIndex, number: int) -> slice:
    return slice(int(index.starts[number]), int(index.starts[number] + index.counts[number]))


@lru_cache(maxsize=2)
def _uniform(seed: int, epoch: int, count: int) -> NDArray[np.float64]:
    """Draw four uniform numbers for every signal of an epoch, (4, U); a batch takes those of its signals."""
    return Stream("pairs", "", seed, str(epoch)).uniform(0, 1, 4 * count).reshape(4, count)
