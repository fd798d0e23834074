"""Reading a store back, at every stage of its life.

Shape letters: N signals, S seeds, T snapshots, P parameters, K coordinates, D in_features, C out_features.
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo import coords
from inrzoo.errors import InrzooError
from inrzoo.store.blocks import BUILD_FOLDER, COLUMNS, Block, is_committed, read_record
from inrzoo.store.checks import Arrays, Recorded, check_attributes, check_weights, inr_of, layout_of, opened
from inrzoo.store.create import FORMAT, label_arrays
from inrzoo.store.finalise import partition_of
from inrzoo.store.parts import shards_of_splits
from inrzoo.store.remote import Mirror, MirrorStore, is_url
from inrzoo.store.selection import select
from inrzoo.store.weights_array import WeightsArray
from inrzoo.weights import WeightLayout

if TYPE_CHECKING:
    import torch
    import xarray

    from inrzoo.inrs import INR


def open_store(path: str | Path, **remote_options: Any) -> Store:
    """Open a store, complete or half-built; one elsewhere (`https://…`, `s3://…`, `hf://…`) must be complete.

    Args:
        path: folder or URL.
        remote_options: `cache_limit`, `retries`, `backoff`, `storage_options`; see `inrzoo.store.remote.Mirror`.

    Raises:
        InrzooError: there is no store at `path`, it cannot be reached, or it has a format that this version does not
            read.
    """
    if is_url(path):
        mirror = Mirror(str(path), **remote_options)
        return Store(mirror.folder, mirror)
    return Store(Path(path))


class Store:
    """A dataset of INRs on disk.

    Attributes:
        path: the folder; of a remote store the one in the cache, where files are as they have been touched.
        location: where it was opened: the folder, or the URL.
        mirror: what fetches the files of a remote store; None for a local one.
        attributes: everything recorded about the dataset.

    Example:
        >>> store = inrzoo.open_store("digits.zarr")       # doctest: +SKIP
        >>> store.weights[0, 0, -1].shape, store.psnr[0]    # doctest: +SKIP
        >>> store.render(signal=0, seed=0)                  # doctest: +SKIP
    """

    def __init__(self, path: Path, mirror: Mirror | None = None) -> None:
        self.path, self.mirror = path, mirror
        self.location = str(path) if mirror is None else mirror.url
        # Gathered metadata are stale while a store is built; a remote one is complete, and they save requests.
        self._group, found = opened(path if mirror is None else MirrorStore(mirror), path, mirror is not None)
        if found.get("format") != FORMAT:
            raise InrzooError(
                f"{self.location} has store format {found.get('format')}; this version of inrzoo reads {FORMAT}"
            )
        self.attributes: Recorded = check_attributes(found, self.location)
        self._arrays = Arrays(self._group, self.location)
        check_weights(self._arrays.array("weights"), self.attributes, self.location)
        self.partition = partition_of(self._group)

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
        return list(self.attributes["snapshots"])

    @property
    def complete(self) -> bool:
        """Whether every INR is there and the statistics are written."""
        return bool(self.attributes["complete"])

    @cached_property
    def layout(self) -> WeightLayout:
        """What the P numbers of a weight vector are."""
        return layout_of(self.attributes, self.weights.shape[3], self.location)

    @cached_property
    def inr(self) -> INR:
        """The function family: `values = store.inr(weights, coords)`."""
        made: INR = inr_of(self.attributes, self.weights.shape[3], self.location)
        return made

    @property
    def value_range(self) -> tuple[float, float]:
        """What a signal's smallest and largest possible value were mapped to before fitting."""
        low, high = self.attributes["manifest"]["values"]["range"]
        return low, high

    def coords(self, finer: int = 1) -> NDArray[np.float32]:
        """The fitting grid, or one `finer` times as fine over the same extent. Shape (K, D)."""
        convention = self.attributes["manifest"]["coords"]
        return coords.grid(tuple(self.attributes["grid"]), **convention, finer=finer)

    # --- the INRs ----------------------------------------------------------------------------------------------

    @cached_property
    def weights(self) -> WeightsArray:
        """The INRs, indexed `[signal, seed, step]`; see `WeightsArray`."""
        published = self.attributes["published_seeds"]
        return WeightsArray(self.path, self._arrays.array("weights"), self.partition, published, self.mirror)

    @cached_property
    def psnr(self) -> NDArray[np.float32]:
        """dB, shape (N, S, T); NaN where pending."""
        return self._quality["psnr"]

    @cached_property
    def loss(self) -> NDArray[np.float32]:
        """Mean squared error on the value scale, shape (N, S, T); NaN where pending."""
        return self._quality["loss"]

    @cached_property
    def steps(self) -> NDArray[np.int32]:
        """Optimiser steps really taken, shape (N, S, T)."""
        return self._quality["steps"]

    @cached_property
    def status(self) -> NDArray[np.uint8]:
        """Index into `attributes["status_names"]`, shape (N, S); 0 is pending."""
        return self._quality["status"]

    @cached_property
    def out_of_band(self) -> NDArray[np.float32]:
        """Share of spectral energy outside the grid's Nyquist box, shape (N, S, T); see `inrzoo.fit.spectrum`."""
        return self._quality["out_of_band"]

    @cached_property
    def max_frequency(self) -> NDArray[np.float32]:
        """Frequency bound per coordinate axis in radians per unit, shape (N, S, T, D); NaN for INRs without a bound."""
        return self._quality["max_frequency"]

    @cached_property
    def init(self) -> NDArray[np.float32] | None:
        """Where all signals of a seed start, shape (S, P); None where each has a start of its own."""
        return self._arrays.read("init", self.weights.shape[1::2]) if self._arrays.has("init") else None

    select = select

    @cached_property
    def block_sha256(self) -> NDArray[np.uint8]:
        """sha256 of each published block's weights, shape (blocks, S, 32)."""
        return self._arrays.read("block_sha256", (self.partition.num_blocks, self.num_seeds, 32))

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
        columns = self.attributes["label_columns"]
        return {
            column: self._arrays.read(name, (self.num_signals,))
            for column, name in zip(columns, label_arrays(columns), strict=True)
        }

    @cached_property
    def split(self) -> NDArray[np.uint8]:
        """Index into `attributes["split_names"]`, shape (N,)."""
        return self._arrays.read("split", (self.num_signals,), below=len(self.attributes["split_names"]))

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
        if self._signals_home is None:
            raise InrzooError(f"{self.location} does not hold its signals; name them with --source PATH")
        shape = (self.num_signals, math.prod(self.attributes["grid"]), self.inr.out_features)
        return self._arrays.signals(self._signals_home, shape, rows)

    # --- statistics and other readers --------------------------------------------------------------------------

    @cached_property
    def stats(self) -> dict[str, NDArray[Any]]:
        """Normalisation statistics over the training split: `mean`, `std`, `count` of shape (T, P), and
        `tensor_mean`, `tensor_std`, `tensor_count` of shape (T, number of tensors). Empty until the build is complete.
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

        dataset: xarray.Dataset = xarray.open_zarr(self._group.store, consolidated=self.complete)
        return dataset

    def is_done(self, block: Block) -> bool:
        """Whether a block's INRs are safe: published or committed."""
        return block.seed in self.attributes["published_seeds"] or is_committed(self.path, block)

    @property
    def partial(self) -> list[str]:
        """The splits that were pulled, where others were left out; their INRs are pending. Empty for a whole store."""
        return list(self.attributes.get("partial", {}).get("splits", []))

    def num_rows(self, block: Block) -> int:
        """Signals of a block."""
        rows = self.partition.rows(block.index)
        return int(rows.stop - rows.start)

    def blocks(self) -> list[Block]:
        """Every block of the store, seed by seed."""
        return [Block(seed, index) for seed in range(self.num_seeds) for index in range(self.partition.num_blocks)]

    def wanted_blocks(self) -> list[Block]:
        """The blocks that have to be there: every one, or those of the shards that were pulled."""
        if not self.partial:
            return self.blocks()
        shards = shards_of_splits(self.partition, self.split, self.attributes["split_names"], self.partial)
        within = {index for shard in shards for index in self.partition.shard_blocks(shard)}
        return [block for block in self.blocks() if block.index in within]

    @property
    def _signals_home(self) -> str | None:
        return next((name for name in ("signals", f"{BUILD_FOLDER}/signals") if self._arrays.has(name)), None)

    @cached_property
    def _quality(self) -> dict[str, NDArray[Any]]:
        sizes = {"step": len(self.snapshots), "axis": len(self.attributes["grid"])}
        columns = {
            name: self._arrays.read(name, (self.num_signals, self.num_seeds, *(sizes[axis] for axis in column.axes)))
            for name, column in COLUMNS.items()
        }
        for seed in set(range(self.num_seeds)) - set(self.attributes["published_seeds"]):
            for name, column in columns.items():
                column[:, seed] = COLUMNS[name].fill  # it may have been published once, and hold more than is there
        for block in self.blocks():
            if block.seed not in self.attributes["published_seeds"] and is_committed(self.path, block):
                record, rows = read_record(self.path, block), self.partition.rows(block.index)
                for name, column in columns.items():
                    column[rows, block.seed] = getattr(record, name)
        return columns
