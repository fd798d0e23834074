"""Map-style access to the INRs of stores.

Shape letters: B INRs of a batch, L INRs of the dataset, P parameters, K coordinates, C channels.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from inrzoo.display import Shown, listed
from inrzoo.errors import InrzooError
from inrzoo.loaders.batch import Items, WeightBatch
from inrzoo.loaders.compatibility import require_alike
from inrzoo.loaders.normalise import Normalise, Normaliser, no_normaliser, normaliser
from inrzoo.loaders.order import evenly
from inrzoo.loaders.rows import InrLocations, Rows
from inrzoo.loaders.transforms import Transform, generator_for
from inrzoo.store import Store
from inrzoo.store.description import described_inr
from inrzoo.store.normalize_index import is_one, normalize_index
from inrzoo.targets import to_values
from inrzoo.weights import WeightLayout

if TYPE_CHECKING:
    import datasets
    import pandas
    import ray.data

    from inrzoo.inrs import INR
    from inrzoo.loaders.graphs import GraphDataset
    from inrzoo.weight_graph import Construction

SIGNALS_AT_ONCE = 1024
"""Number of signals that are read together."""
CACHED_SIGNAL_BYTES = 256 * 2**20
"""Maximum size of cached signals in bytes."""


class WeightDataset(Shown, Dataset[WeightBatch]):
    """INRs of one or several stores, map-style. A DataLoader of it needs no `collate_fn`.

    Args:
        stores: stores that are loaded as one; their conventions and layouts must be the same.
        split: name of a split; None for all signals.
        seeds: one or several numbers of the fits of each signal; None for all.
        views: one or several step counts of the snapshots; None for the last.
        normalise: `auto`, `per_parameter`, `per_tensor` or `none`; see `inrzoo.loaders.normalise`.
        signals: whether batches contain the values that the INRs were fitted to.
        transform: applied before normalisation: the motions of `inrzoo.loaders.transforms`.
        transform_normalised: applied after normalisation: noise and dropout.
        seed: seed of the transforms, together with the epoch and the batch's first INR.
        conditions: `min_psnr`, `max_loss`, `status`, … of `Store.select`, for each INR at its snapshot.

    Attributes:
        layout: layout of the weights; `layout.split(batch.weights)` returns named tensors.
        normaliser: the normalisation and its inverse.
        epoch: see `set_epoch`.

    Raises:
        InrzooError: a setting is absent in a store, or the stores differ; one line says which.

    Example:
        >>> dataset = inrzoo.load("digits.zarr", split="train", seeds=[0, 1])
        >>> dataset[[5, 17, 4]].weights.shape, dataset[5].weights.shape
        (torch.Size([3, 105]), torch.Size([105]))
        >>> loader = torch.utils.data.DataLoader(dataset, batch_size=16, shuffle=True)
        >>> next(iter(loader)).weights.shape
        torch.Size([16, 105])
    """

    def __init__(
        self,
        stores: Sequence[Store],
        *,
        split: str | None = None,
        seeds: int | Sequence[int] | None = None,
        views: int | Sequence[int] | None = None,
        normalise: Normalise = "auto",
        signals: bool = False,
        transform: Transform | None = None,
        transform_normalised: Transform | None = None,
        seed: int = 0,
        conditions: Mapping[str, Any] | None = None,
    ) -> None:
        self.stores = list(stores)
        require_alike(self.stores)
        self.rows = Rows(self.stores, split=split, seeds=seeds, views=views, conditions=conditions or {})
        self.normaliser: Normaliser = normaliser(self.stores, self.rows.views, normalise)
        self.transform, self.transform_normalised = transform, transform_normalised
        self.seed, self.epoch, self.split = seed, 0, split
        self.with_signals = signals
        self.labels = self._label_table()
        if signals:
            self._require_signals()

    @property
    def layout(self) -> WeightLayout:
        """Names, shapes and axes of the tensors in a weight vector."""
        return self.stores[0].layout

    @property
    def inr(self) -> INR:
        """The function family: `values = dataset.inr(weights, coords)`, for weights that are not normalised."""
        return self.stores[0].inr

    @property
    def label_names(self) -> dict[str, list[str]]:
        """Names of the codes of each label column."""
        return {column: list(names) for column, names in self.stores[0].info.label_names.items()}

    def subset(self, positions_L: NDArray[np.int64]) -> WeightDataset:
        """Return a dataset of the INRs at some positions, in ascending order, without reading."""
        part = copy.copy(self)
        part.rows = self.rows.subset(positions_L)
        return part

    def evenly(self, count: int) -> WeightDataset:
        """Return at most `count` INRs, at least 1, spread evenly over this dataset, which may be sorted by class."""
        return self if count >= len(self) else self.subset(evenly(len(self), count))

    def prepared(
        self, normaliser: Normaliser | None, transform: Transform | None, transform_normalised: Transform | None
    ) -> WeightDataset:
        """Return the same INRs with other transforms and another normaliser, or without one, without reading."""
        other = copy.copy(self)
        other.normaliser = normaliser or no_normaliser(self.layout)
        other.transform, other.transform_normalised = transform, transform_normalised
        return other

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which changes the transforms' draws. It does not reach persistent workers of a DataLoader."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return L, the number of INRs."""
        return len(self.rows)

    def __getitem__(self, index: int | slice | Sequence[int] | NDArray[np.int64] | Tensor) -> WeightBatch:
        """Return one INR by its number, or a batch by a list, an array or a slice; negative numbers count from the end.

        Raises:
            IndexError: a number is out of range.
        """
        index = np.asarray(index) if isinstance(index, Tensor) else index
        rows = normalize_index(index, len(self), "INR")
        batch = self.read(rows, epoch=self.epoch, key=int(rows[0]) if len(rows) else 0)
        return Items(batch)[0] if is_one(index) else batch

    def __getitems__(self, indices: list[int]) -> Items[WeightBatch]:
        """Read a whole batch for a DataLoader."""
        return Items(self[indices])

    def read(self, positions_B: NDArray[np.int64], *, epoch: int, key: int, view: int = 0) -> WeightBatch:
        """Read the INRs at some positions.

        Args:
            positions_B: positions from 0 to L − 1.
            epoch, key, view: key of the transforms' random draws, with the dataset's seed.
        """
        locations = self.rows.locations(positions_B)
        weights = torch.from_numpy(self._weights(locations))
        if self.transform or self.transform_normalised:
            generator = generator_for(self.seed, epoch, key, view)
        if self.transform:
            weights = self.transform(weights, generator)
        weights = self.normaliser.in_place(weights)
        if self.transform_normalised:
            weights = self.transform_normalised(weights, generator)
        signal = self.rows.signals(locations)
        return WeightBatch(
            weights=weights,
            labels={name: torch.from_numpy(codes[signal]) for name, codes in self.labels.items()},
            signal=torch.from_numpy(signal),
            seed=torch.from_numpy(locations.seed),
            step=torch.from_numpy(self.rows.step_counts(locations)),
            targets=self._values(locations) if self.with_signals else None,
        )

    def _shown(self) -> tuple[str, dict[str, str]]:
        """Return the rows of the repr; no weights are read."""
        steps = sorted(
            {int(steps[view]) for steps, views in zip(self.rows.steps, self.rows.views, strict=True) for view in views}
        )
        chosen = "all splits" if self.split is None else f"split {self.split}"
        rows = {
            "INRs": f"{len(self):,}, {chosen}, steps {listed(map(str, steps))}",
            "network": described_inr(self.stores[0]),
            "normalised": self.normaliser.kind.replace("_", " "),
            "labels": listed(f"{column} ({len(names):,} classes)" for column, names in self.label_names.items()),
            "stores": listed(store.location for store in self.stores),
        }
        return type(self).__name__, rows

    def to_datasets(self, *, normalise: Normalise = "none") -> datasets.Dataset:
        """Return a Hugging Face `Dataset`, without a copy; see `inrzoo.loaders.adapters.to_datasets`."""
        from inrzoo.loaders.adapters import to_datasets

        return to_datasets(self, normalise=normalise)

    def to_ray(self, batch_size: int = 256, *, normalise: Normalise = "none", **read_options: Any) -> ray.data.Dataset:
        """Return a Ray Data `Dataset`; see `inrzoo.loaders.adapters.to_ray`."""
        from inrzoo.loaders.adapters import to_ray

        return to_ray(self, batch_size, normalise=normalise, **read_options)

    def to_pandas(self, *, normalise: Normalise = "none") -> pandas.DataFrame:
        """Return a data frame with one row an INR; see `inrzoo.loaders.adapters.to_pandas`."""
        from inrzoo.loaders.adapters import to_pandas

        return to_pandas(self, normalise=normalise)

    def to_pyg(self, graph: Construction = "merged") -> GraphDataset:
        """Return the INRs as graphs, map-style; see `inrzoo.loaders.graphs.to_pyg`."""
        from inrzoo.loaders.graphs import GraphDataset

        return GraphDataset(self, graph)

    # --- for streams -------------------------------------------------------------------------------------------

    def chunks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the start of each chunk of the shards among the INRs; see `Rows.chunks`."""
        return self.rows.chunks()

    def prefetch(self, positions_B: NDArray[np.int64]) -> None:
        """Fetch the shards of these INRs in the background, if stores are remote."""
        for store, signal, seed in self._by_store(positions_B):
            store.weights.prefetch(signal, seed)

    def read_ahead(self, positions_B: NDArray[np.int64]) -> None:
        """Read the chunks of these INRs from disk in the background."""
        for store, signal, seed in self._by_store(positions_B):
            store.weights.read_ahead(signal, seed)

    def in_use(self, positions_B: NDArray[np.int64]) -> AbstractContextManager[None]:
        """Return a context in which the shards of these INRs stay in the cache."""
        return self._in_use(positions_B)

    def release(self) -> None:
        """Unmap all shards, which frees this process's memory but keeps the page cache."""
        for store in self.stores:
            store.weights.release()

    # --- the parts of a batch ----------------------------------------------------------------------------------

    def _weights(self, locations: InrLocations) -> NDArray[np.float32]:
        if len(self.stores) == 1:
            return self.stores[0].weights.gather(locations.signal, locations.seed, locations.step)
        weights_BP = np.empty((len(locations.store), self.layout.num_params), dtype=np.float32)
        for number in np.unique(locations.store).tolist():
            mask_B = locations.store == number
            read = self.stores[number].weights.gather
            weights_BP[mask_B] = read(locations.signal[mask_B], locations.seed[mask_B], locations.step[mask_B])
        return weights_BP

    def _values(self, locations: InrLocations) -> Tensor:
        """Return the target values, (B, K, C) float32."""
        values_BKC: NDArray[np.float32] | None = None
        for number in np.unique(locations.store).tolist():
            mask_B, store = locations.store == number, self.stores[number]
            signals = locations.signal[mask_B]
            numbers = np.stack([self._signal(number, signal) for signal in signals.tolist()])
            limits = None if store.limits is None else store.limits[signals]
            values = to_values(numbers, store.info.manifest.values, limits)
            if len(values) == len(mask_B):
                return torch.from_numpy(values)
            if values_BKC is None:
                values_BKC = np.empty((len(mask_B), *values.shape[1:]), dtype=np.float32)
            values_BKC[mask_B] = values
        return torch.from_numpy(values_BKC)

    def _signal(self, store: int, signal: int) -> NDArray[Any]:
        part, row = divmod(signal, SIGNALS_AT_ONCE)
        numbers: NDArray[Any] = self._signal_parts(store, part)[row]
        return numbers

    @cached_property
    def _signal_parts(self) -> Any:
        """A cached reader of many signals at once, as decoding a compressed chunk for every row would be slow."""
        num_bytes = SIGNALS_AT_ONCE * self.stores[0].signals(slice(0, 1)).nbytes

        @lru_cache(maxsize=max(2, CACHED_SIGNAL_BYTES // num_bytes))
        def read(store: int, part: int) -> NDArray[Any]:
            return self.stores[store].signals(slice(part * SIGNALS_AT_ONCE, (part + 1) * SIGNALS_AT_ONCE))

        return read

    def _label_table(self) -> dict[str, NDArray[np.int64]]:
        """Return the codes of each label column by number of the signal."""
        if len(self.stores) == 1:
            return self.stores[0].labels
        table: dict[str, NDArray[np.int64]] = {}
        total = max(
            int(first) + store.num_signals for first, store in zip(self.rows.first_signal, self.stores, strict=True)
        )
        for first, store in zip(self.rows.first_signal, self.stores, strict=True):
            for name, codes in store.labels.items():
                table.setdefault(name, np.zeros(total, dtype=np.int64))[first : first + store.num_signals] = codes
        return table

    def _require_signals(self) -> None:
        shapes = {}
        for store in self.stores:
            if not store.has_signals:
                raise InrzooError(f"{store.location} does not hold its signals; its licence does not allow it")
            shapes[store.location] = store.signals(slice(0, 1)).shape[1:]
        if len(set(shapes.values())) > 1:
            sizes = ", ".join(f"{location} has {shape}" for location, shape in shapes.items())
            raise InrzooError(f"signals of different sizes cannot be batched: {sizes} (coordinates, channels)")

    def _by_store(self, positions_B: NDArray[np.int64]) -> Iterator[tuple[Store, NDArray[np.int64], NDArray[np.int64]]]:
        locations = self.rows.locations(positions_B)
        for number in np.unique(locations.store).tolist():
            mask_B = locations.store == number
            yield self.stores[number], locations.signal[mask_B], locations.seed[mask_B]

    @contextmanager
    def _in_use(self, positions_B: NDArray[np.int64]) -> Iterator[None]:
        with ExitStack() as stack:
            for store, signal, seed in self._by_store(positions_B):
                stack.enter_context(store.weights.in_use(signal, seed))
            yield

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without cached signals."""
        return {name: value for name, value in vars(self).items() if name != "_signal_parts"}
