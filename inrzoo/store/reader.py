"""Reading a store back, at every stage of its life.

Shape letters: N signals, S seeds, T snapshots, P parameters, K coordinates, D in_features, C out_features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo import coords
from inrzoo.display import Shown
from inrzoo.errors import InrzooError
from inrzoo.manifest import FitSettings
from inrzoo.store.arrays import Arrays
from inrzoo.store.blocks import BUILD_FOLDER, COLUMNS, Block, Record, commits, read_records
from inrzoo.store.checks import check_weights, opened, recorded_inr
from inrzoo.store.description import description
from inrzoo.store.info import USABLE_STATUS, StoreInfo
from inrzoo.store.names import label_arrays
from inrzoo.store.object_group import ObjectGroup, home_of, signals_nearby
from inrzoo.store.objects import Location
from inrzoo.store.parts import wanted_blocks
from inrzoo.store.remote import Mirror, cache_folder
from inrzoo.store.selection import select
from inrzoo.store.weights_array import WeightsArray
from inrzoo.weights import WeightLayout

if TYPE_CHECKING:
    import torch
    import xarray

    from inrzoo.inrs import INR


class Store(Shown):
    """A dataset of INRs on disk.

    Attributes:
        path: the folder; of a mirrored store the one in the cache; or the place in a bucket.
        location: where it was opened: the folder, or the URL.
        mirror: what fetches the files of a remote store; None for a local one.
        info: what it records of itself, read when it was opened.

    Example:
        >>> store = inrzoo.open_store("digits.zarr")
        >>> store.weights[0, :, -1].shape, store.psnr.shape
        ((2, 105), (48, 2, 1))
        >>> store.render(signal=0, seed=1).shape
        torch.Size([64, 1])
    """

    def __init__(self, path: Location, mirror: Mirror | None = None) -> None:
        self.path, self.mirror = path, mirror
        self.location = str(path) if mirror is None else mirror.url
        # Gathered metadata are stale while a store is built; a remote one is complete, and they save requests.
        home = home_of(path, mirror)
        self._group, attributes = opened(home, path, mirror is not None)
        self.info = StoreInfo.from_attributes(attributes, self.location)
        if isinstance(home, ObjectGroup):
            home.nearby = signals_nearby(cache_folder(), home.root, self.info.signals_sha256)
        self._arrays = Arrays(self._group, self.location)
        weights = self._arrays.array("weights")
        check_weights(weights, self.info, self.location)
        self.partition = self.info.partition.of(weights.shape[0])

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy in another process opens the store itself: nothing that was read travels with it."""
        return Store, (self.path, self.mirror)

    # --- what is in it -----------------------------------------------------------------------------------------

    @property
    def num_signals(self) -> int:
        """N."""
        return self.weights.shape[0]

    @property
    def num_seeds(self) -> int:
        """S, asked for; some may be unfinished."""
        return self.weights.shape[1]

    @property
    def snapshots(self) -> list[int]:
        """T step counts at which weights are kept; the step axis."""
        return list(self.info.snapshots)

    @property
    def complete(self) -> bool:
        """Whether every INR is there and the statistics are written."""
        return self.info.complete

    @property
    def layout(self) -> WeightLayout:
        """What the P numbers of a weight vector are."""
        return self.info.layout

    @cached_property
    def inr(self) -> INR:
        """The function family: `values = store.inr(weights, coords)`."""
        made: INR = recorded_inr(self.info, self.location)
        return made

    @property
    def settings(self) -> FitSettings:
        """How its INRs were fitted; nothing of the source is needed for it. InrzooError if they were imported."""
        return self.info.manifest.settings

    @property
    def value_range(self) -> tuple[float, float]:
        """What a signal's smallest and largest possible value were mapped to before fitting."""
        return self.info.manifest.values.range

    def coords(self, finer: int = 1) -> NDArray[np.float32]:
        """The fitting grid, or one `finer` times as fine over the same extent. Shape (K, D)."""
        convention = self.info.manifest.coords
        return coords.grid(self.info.grid, convention.spacing, convention.axis_order, finer=finer)

    # --- the INRs ----------------------------------------------------------------------------------------------

    @cached_property
    def weights(self) -> WeightsArray:
        """The INRs, indexed `[signal, seed, step]`; see `WeightsArray`."""
        published = self.info.published_seeds
        return WeightsArray(self.path, self._arrays.array("weights"), self.partition, published, self.mirror)

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
        """Optimiser steps really taken, shape (N, S, T)."""
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
    def init(self) -> NDArray[np.float32] | None:
        """Where all signals of a seed start, shape (S, P); None where each has a start of its own."""
        return self._arrays.read("init", self.weights.shape[1::2], seed_axis=0) if self._arrays.has("init") else None

    @cached_property
    def fitter(self) -> bytes | None:
        """The hypernetwork that made where the INRs start: a .safetensors file; None where none did."""
        return self._arrays.content("fitter") if self._arrays.has("fitter") else None

    select = select
    wanted_blocks = wanted_blocks
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
        """Where each signal came from."""
        return [str(name) for name in self._arrays.read("signal_id", (self.num_signals,))]

    @property
    def has_signals(self) -> bool:
        """Whether the signals stand in the store (or, while it is being built, beside it)."""
        return self._signals_home is not None

    def signals(self, rows: slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Signals as they were read, (rows, K, C), uint8; InrzooError where the licence kept them out of the store."""
        if (home := self._signals_home) is None:
            raise InrzooError(f"{self.location} does not hold its signals; name them with --source PATH")
        shape = (self.num_signals, math.prod(self.info.grid), self.inr.out_features)
        return self._arrays.signals(home, shape, rows)

    @cached_property
    def stats(self) -> dict[str, NDArray[Any]]:
        """Of the training split: `mean`, `std`, `count`, (T, P), and `tensor_mean`, `tensor_std`, `tensor_count`,
        (T, number of tensors). Empty until the build is complete.
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

    def to_xarray(self) -> xarray.Dataset:
        """The store as an xarray dataset (lazy, through dask), published seeds only; pending INRs are NaN."""
        import xarray

        return xarray.open_dataset(xarray.backends.ZarrStore(self._group), engine="store", chunks={})

    def is_done(self, block: Block) -> bool:
        """Whether a block's INRs are safe: published or committed."""
        return block.seed in self.info.published_seeds or self._is_committed(block)

    @property
    def partial(self) -> list[str]:
        """The splits that were pulled, where others were left out; their INRs are pending. Empty for a whole store."""
        return list(self.info.partial)

    def num_rows(self, block: Block) -> int:
        """Signals of a block."""
        rows = self.partition.rows(block.index)
        return int(rows.stop - rows.start)

    def blocks(self) -> list[Block]:
        """Every block of the store, seed by seed."""
        return [Block(seed, index) for seed in range(self.num_seeds) for index in range(self.partition.num_blocks)]

    @property
    def _signals_home(self) -> str | None:
        return next((name for name in ("signals", f"{BUILD_FOLDER}/signals") if self._arrays.has(name)), None)

    def _column(self, name: str) -> NDArray[Any]:
        sizes = {"step": len(self.snapshots), "axis": len(self.info.grid)}
        further = (sizes[axis] for axis in COLUMNS[name].axes)
        column = self._arrays.read(name, (self.num_signals, self.num_seeds, *further), seed_axis=1)
        unfinished = set(range(self.num_seeds)) - set(self.info.published_seeds)
        # It may have been published once, and hold more than is there.
        column[:, sorted(unfinished)] = COLUMNS[name].fill
        for block, record in self._waiting.items():
            column[self.partition.rows(block.index), block.seed] = getattr(record, name)
        return column

    @cached_property
    def _waiting(self) -> dict[Block, Record]:
        """Committed blocks that are not published yet."""
        published = self.info.published_seeds
        found = [block for block in self.blocks() if block.seed not in published and self._is_committed(block)]
        return dict(zip(found, read_records(self.path, found), strict=True))

    @cached_property
    def _is_committed(self) -> Callable[[Block], bool]:
        return commits(self.path)
