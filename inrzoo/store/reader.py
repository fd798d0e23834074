"""Opens and reads a store, at every stage of its life.

Shape letters: N signals, S seeds, T snapshots, P parameters, K coordinates, D in_features, C out_features.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import USABLE_STATUS
from inrzoo.display import Shown
from inrzoo.errors import InrzooError
from inrzoo.formula import Formula
from inrzoo.manifest import FitSettings
from inrzoo.store.arrays import Arrays
from inrzoo.store.blocks import (
    ADDED_LATER,
    MEASURE_PREFIX,
    Block,
    Record,
    column_kind,
    committed_blocks,
    read_records,
)
from inrzoo.store.checks import check_weights, no_store, opened, recorded_inr
from inrzoo.store.description import description
from inrzoo.store.info import StoreInfo
from inrzoo.store.labelled import to_xarray
from inrzoo.store.names import BASE, label_arrays
from inrzoo.store.objects import Location, ObjectPath, is_object_url
from inrzoo.store.recorded import damaged
from inrzoo.store.row import to_pandas
from inrzoo.store.selection import select
from inrzoo.store.signal_reader import SignalReader
from inrzoo.store.store_cache import StoreCache, Unfinished, is_url
from inrzoo.store.subset import expected_blocks
from inrzoo.store.weights_array import WeightsArray
from inrzoo.weights import WeightLayout

if TYPE_CHECKING:
    import torch

    from inrzoo.inrs import INR


class Store(SignalReader, Shown):
    """A dataset of INRs on disk.

    Attributes:
        path: the folder of the store; for a remote store its folder in the local cache; or its place in a bucket.
        location: the folder or the URL that was opened.
        cache: the local cache of a remote store; None for a local store.
        info: what the store records of itself, read when it was opened.

    Example:
        >>> store = inrzoo.open_store("digits.zarr")
        >>> store.weights[0, :, -1].shape, store.psnr.shape
        ((2, 105), (48, 2, 1))
        >>> store.render(signal=0, seed=1).shape
        torch.Size([64, 1])
    """

    def __init__(self, path: Location, cache: StoreCache | None = None) -> None:
        self.path, self.cache = path, cache
        self.location = str(path) if cache is None else cache.url
        if isinstance(path, Path) and not os.path.exists(path):  # noqa: PTH110  # Path.exists raises for long names
            raise no_store(path)  # without the time that zarr takes to import
        from inrzoo.store.zarr_stores import BucketStore, signal_cache_folder, zarr_store_of

        # Gathered metadata are stale while a store is built; a remote one is complete, and they save requests.
        home = zarr_store_of(path, cache)
        self._group, attributes = opened(home, path, cache is not None)
        self.info = StoreInfo.from_attributes(attributes, self.location)
        if isinstance(home, BucketStore):
            home.signal_cache = signal_cache_folder(home.root, self.info.signals_sha256)
        self._arrays = Arrays(self._group, self.location)
        weights = self._arrays.array("weights")
        check_weights(weights, self.info, self.location)
        self.partition = self.info.partition.of(weights.shape[0])

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy in another process opens the store itself: nothing that was read travels with it."""
        return Store, (self.path, self.cache)

    # --- what is in it -----------------------------------------------------------------------------------------

    @property
    def num_signals(self) -> int:
        """N, the number of signals."""
        return self.weights.shape[0]

    @property
    def num_seeds(self) -> int:
        """S, the number of independent fits of each signal. Some may be unfinished."""
        return self.weights.shape[1]

    @property
    def snapshots(self) -> list[int]:
        """T numbers of optimiser steps after which weights were kept: the step axis."""
        return list(self.info.snapshots)

    @property
    def complete(self) -> bool:
        """Whether all INRs are fitted and the statistics are written."""
        return self.info.complete

    @property
    def layout(self) -> WeightLayout:
        """The tensors that the P numbers of a weight vector form."""
        return self.info.layout

    @cached_property
    def inr(self) -> INR:
        """The function family: `values = store.inr(weights, coords)`."""
        made: INR = recorded_inr(self.info, self.location, self.base)
        return made

    @cached_property
    def base(self) -> NDArray[np.float32] | None:
        """The numbers that all INRs share, shape (Q,), in the order of `info.base_layout`; None if they share none."""
        layout = self.info.base_layout
        if layout is None:
            return None
        base_Q = self._arrays.read(BASE, (layout.num_params,))
        if base_Q.dtype != np.float32 or not np.isfinite(base_Q).all():
            raise damaged(self.location, f"{BASE} is {base_Q.dtype}, or not finite; expected finite float32 numbers")
        return base_Q

    @cached_property
    def formula(self) -> Formula | None:
        """How weights and a coordinate become a value, as data that a reader without inrzoo can follow.

        It is the recorded one; that of the INR's class in stores of earlier versions. None if the class has none.

        Raises:
            InrzooError: nothing is recorded, and the INR's class is not known here.
        """
        return self.inr.formula() if self.info.formula is None else self.info.formula

    @property
    def settings(self) -> FitSettings:
        """The settings that its INRs were fitted with; nothing of the source is needed for it.

        Raises:
            InrzooError: they were imported, generated, or gathered from stores that no single build reproduces, or
                fitted with settings that this version does not know.
        """
        if self.info.imported is not None:
            raise InrzooError(f"the INRs of {self.location} were imported; how they were fitted is not recorded")
        if self.info.generated is not None:
            raise InrzooError(f"the INRs of {self.location} were generated by {self.info.generated}; none was fitted")
        if self.info.gathered is not None and not self.info.gathered.refits:
            raise InrzooError(
                f"the INRs of {self.location} were gathered from {self.info.gathered}; fit again those of the originals"
            )
        return self.info.manifest.settings

    @property
    def value_range(self) -> tuple[float, float]:
        """The values that the smallest and the largest possible value of a signal were mapped to before fitting."""
        return self.info.manifest.values.range

    def coords(self, finer: int = 1) -> NDArray[np.float32]:
        """The fitting grid, or one `finer` times as fine over the same extent. Shape (K, D).

        Raises:
            InrzooError: the signals have points or views of their own; `targets` gives them.
        """
        if self.info.arrays:
            raise InrzooError(f"the signals of {self.location} have points of their own and no grid")
        return self.info.manifest.coords.grid(self.info.grid, finer)

    # --- the INRs ----------------------------------------------------------------------------------------------

    @cached_property
    def weights(self) -> WeightsArray:
        """The INRs, indexed `[signal, seed, step]`; see `WeightsArray`."""
        published = self.info.published_seeds
        array, codec = self._arrays.array("weights"), self.info.codec
        return WeightsArray(self.path, array, self.partition, published, codec, self.cache)

    @cached_property
    def psnr(self) -> NDArray[np.float32]:
        """dB, shape (N, S, T); NaN where pending."""
        return self._column("psnr")

    @cached_property
    def loss(self) -> NDArray[np.float32]:
        """Mean squared error on the value scale, shape (N, S, T); NaN where pending."""
        return self._column("loss")

    @cached_property
    def steps(self) -> NDArray[np.int32]:
        """Optimiser steps taken, shape (N, S, T). INRs that stopped early have fewer."""
        return self._column("steps")

    @cached_property
    def status(self) -> NDArray[np.uint8]:
        """Index into `info.status_names`, shape (N, S); 0 is pending."""
        return self._column("status")

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Whether a fit ended without diverging, shape (N, S): the INRs that statistics are made of."""
        return np.isin(self.status, self.info.status_codes(*USABLE_STATUS))

    @cached_property
    def out_of_band(self) -> NDArray[np.float32]:
        """Share of spectral energy outside the grid's Nyquist box, shape (N, S, T); see `inrzoo.fit.spectrum`."""
        return self._column("out_of_band")

    @cached_property
    def max_frequency(self) -> NDArray[np.float32]:
        """Frequency bound per coordinate axis in radians per unit, shape (N, S, T, D); NaN for INRs without a bound."""
        return self._column("max_frequency")

    @cached_property
    def exact(self) -> NDArray[np.float32]:
        """Share of the signal's values that the INR gives back, shape (N, S, T); 1 if it is lossless.

        See `inrzoo.fit.metrics.exact_share`; NaN in stores of earlier versions and without the signals.
        """
        return self._column("exact")

    @cached_property
    def measures(self) -> dict[str, NDArray[np.float32]]:
        """Measures of quality beside loss and PSNR by name, (N, S, T) each: of a sound `snr`, in dB."""
        return {name: self._column(f"{MEASURE_PREFIX}{name}") for name in self.info.measures}

    @cached_property
    def init(self) -> NDArray[np.float32] | None:
        """The start that all signals of a seed share, shape (S, P); None if each has a start of its own."""
        return self._arrays.read("init", self.weights.shape[1::2], seed_axis=0) if self._arrays.has("init") else None

    @cached_property
    def fitter(self) -> bytes | None:
        """The hypernetwork that made the starts, as the bytes of a .safetensors file; None if there is none."""
        return self._arrays.content("fitter") if self._arrays.has("fitter") else None

    select = select
    to_pandas = to_pandas
    to_xarray = to_xarray
    expected_blocks = expected_blocks
    _shown = description

    @cached_property
    def block_sha256(self) -> NDArray[np.uint8]:
        """sha256 of each published block's weights, shape (blocks, S, 32)."""
        return self._arrays.read("block_sha256", (self.partition.num_blocks, self.num_seeds, 32), seed_axis=1)

    def render(self, signal: Any, seed: Any = 0, step: Any = -1, coords: Any = None) -> torch.Tensor:
        """Values of INRs on the value scale.

        Args:
            signal, seed, step: as in `weights[signal, seed, step]`.
            coords: (K, D) tensor or array; the fitting grid if None.

        Returns:
            (..., K, C), the leading dimensions those of the selection.
        """
        import torch

        where = torch.as_tensor(np.asarray(self.coords() if coords is None else coords, dtype=np.float32))
        with torch.inference_mode():
            return self.inr(torch.from_numpy(self.weights[signal, seed, step].copy()), where)

    # --- the signals -------------------------------------------------------------------------------------------

    @cached_property
    def labels(self) -> dict[str, NDArray[np.int64]]:
        """Label columns by name, N codes each; the first one is the class."""
        columns = self.info.label_columns
        return {
            column: self._arrays.read(name, (self.num_signals,))
            for column, name in zip(columns, label_arrays(columns), strict=True)
        }

    @cached_property
    def split(self) -> NDArray[np.uint8]:
        """Index into `info.split_names`, shape (N,)."""
        return self._arrays.read("split", (self.num_signals,), below=len(self.info.split_names))

    @cached_property
    def signal_ids(self) -> list[str]:
        """The origin of each signal, e.g. its file name."""
        return [str(name) for name in self._arrays.read("signal_id", (self.num_signals,))]

    @cached_property
    def stats(self) -> dict[str, NDArray[Any]]:
        """Statistics of the training split: `mean`, `std`, `count`, (T, P), and `tensor_mean`, `tensor_std`,
        `tensor_count`, (T, number of tensors). Empty until the build is complete.
        """
        if not self._arrays.has("stats"):
            return {}
        steps, tensors = len(self.snapshots), len(self.layout.tensors)
        sizes = {"": (steps, self.layout.num_params), "tensor_": (steps, tensors)}
        return {
            f"{prefix}{name}": self._arrays.read(f"stats/{prefix}{name}", sizes[prefix])
            for prefix in sizes
            for name in ("mean", "std", "count")
        }

    def is_done(self, block: Block) -> bool:
        """Whether a block is published or committed."""
        return block.seed in self.info.published_seeds or self._is_committed(block)

    @property
    def partial(self) -> list[str]:
        """The splits that were pulled, if the INRs of others were left out and are pending; else empty."""
        return list(self.info.partial)

    def num_rows(self, block: Block) -> int:
        """Number of signals of a block."""
        rows = self.partition.rows(block.index)
        return int(rows.stop - rows.start)

    def blocks(self) -> list[Block]:
        """Every block of the store, seed by seed."""
        return [Block(seed, index) for seed in range(self.num_seeds) for index in range(self.partition.num_blocks)]

    def _column(self, name: str) -> NDArray[Any]:
        sizes, kind = {"step": len(self.snapshots), "axis": self.info.num_axes}, column_kind(name)
        shape = (self.num_signals, self.num_seeds, *(sizes[axis] for axis in kind.axes))
        if name in ADDED_LATER and not self._arrays.has(name):
            return np.full(shape, kind.fill, kind.dtype)
        column = self._arrays.read(name, shape, seed_axis=1)
        unfinished = set(range(self.num_seeds)) - set(self.info.published_seeds)
        # The seed may have been published before: the column may hold values of INRs that are gone.
        column[:, sorted(unfinished)] = kind.fill
        for block, record in self._waiting.items():
            if name not in (columns := record.columns()):
                raise damaged(self.location, f"the record of a block lacks {name}")
            column[self.partition.rows(block.index), block.seed] = columns[name]
        return column

    @cached_property
    def _waiting(self) -> dict[Block, Record]:
        """Committed blocks that are not published yet."""
        published = self.info.published_seeds
        waiting = [block for block in self.blocks() if block.seed not in published and self._is_committed(block)]
        return dict(zip(waiting, read_records(self.path, waiting), strict=True))

    @cached_property
    def _is_committed(self) -> Callable[[Block], bool]:
        return committed_blocks(self.path)


def open_store(path: str | Location, cached: Callable[[str], StoreCache] = StoreCache) -> Store:
    """Open a store, complete or half-built, by its place; `inrzoo.open_store` takes all names of stores.

    Args:
        path: folder or URL: the files of a complete store come into the local cache as they are touched. An
            `ObjectPath`, or an unfinished store in a bucket, is read where it lies; elsewhere it is an error.
        cached: makes the local cache of a URL.

    Raises:
        InrzooError: there is no store at `path`, it cannot be reached, or it has a format that this version does not
            read.

    Example:
        >>> open_store("digits.zarr").num_signals
        48
    """
    if is_url(path):
        try:
            cache = cached(str(path))
        except Unfinished:
            if not is_object_url(path):
                raise
            return Store(ObjectPath.parse(str(path)))
        return Store(cache.folder, cache)
    return Store(Path(path) if isinstance(path, str) else path)
