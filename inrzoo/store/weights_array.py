"""The weights of a store as one array, read from memory-mapped shards and blocks.

Shape letters: N signals, S seeds, T snapshots, P parameters, B INRs of a batch, W numbers of a stored row.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.store.blocks import Block, Partition, is_committed, read_weights
from inrzoo.store.checks import guarded
from inrzoo.store.files import is_local
from inrzoo.store.finalise import block_in_shard, shard_key, shard_path
from inrzoo.store.normalize_index import normalize_index
from inrzoo.store.objects import Location
from inrzoo.store.shards import map_shard, read_ahead
from inrzoo.store.store_cache import StoreCache
from inrzoo.store.weight_codec import WeightCodec

MAX_SHARDS_IN_MEMORY, MAX_SHARDS_MAPPED = 4, 256
"""Maximum number of shards that stay open: those of a bucket are in memory, those of a folder are mapped files."""
MAX_UNPACKED_BYTES = 2**29
"""Size of the shards of a compressed store that stay in memory, unpacked; more if four are larger."""
MAX_FETCHES = 3
"""Maximum number of times that a shard is fetched which another process removes before it is mapped."""


class WeightsArray:
    """`weights[signal, seed, step]`: float32 of shape (..., P), always a fresh copy, whatever the store keeps.

    Each index is an integer, a slice, a list or an integer or boolean array, applied to its own axis (as zarr's
    `oindex`); integers drop their axis; missing ones mean all. Pending INRs read as NaN, as zarr reads them.
    """

    def __init__(
        self,
        path: Location,
        array: Any,
        partition: Partition,
        published: Sequence[int],
        codec: WeightCodec,
        cache: StoreCache | None = None,
    ) -> None:
        self._path, self._array, self._partition, self._published = path, array, partition, frozenset(published)
        self._codec, self._cache = codec, cache
        self._row_bytes = codec.row_bytes * array.shape[2]
        self._compressed = bool(array.compressors)
        max_shards = MAX_SHARDS_MAPPED if is_local(path) else MAX_SHARDS_IN_MEMORY
        if self._compressed:
            max_shards = max(MAX_SHARDS_IN_MEMORY, MAX_UNPACKED_BYTES // (partition.shard_rows * self._row_bytes))
        self._maps = lru_cache(maxsize=max_shards)(self._map)
        if cache is not None:
            cache.on_remove = self.release  # a mapped file keeps its place on the disk although it has no name

    @cached_property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, S, T, P)."""
        num_signals, num_seeds, num_steps, _ = self._array.shape
        return num_signals, num_seeds, num_steps, self._codec.layout.num_params

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """Read INRs; see the class."""
        indices = index if isinstance(index, tuple) else (index,)
        if len(indices) > 3:
            raise InrzooError(f"weights take [signal, seed, step], {len(indices)} indices were given")
        axes = [*indices, *[slice(None)] * (3 - len(indices))]
        signals, seeds, steps = (
            normalize_index(axis, size, name)
            for axis, size, name in zip(axes, self.shape, ("signal", "seed", "step"), strict=False)
        )
        out = np.full((len(signals), len(seeds), len(steps), self.shape[3]), np.nan, dtype=np.float32)
        for column, seed in enumerate(seeds):
            self._read(out[:, column], signals, int(seed), steps)
        drop = tuple(0 if isinstance(axis, int | np.integer) else slice(None) for axis in axes)
        return out[drop]

    def gather(
        self, signals_B: NDArray[np.int64], seeds_B: NDArray[np.int64], steps_B: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """One INR for each triple of positions, in their order. Shape (B, P); as fast as memory where they are mapped.

        Args:
            signals_B, seeds_B, steps_B: positions on the three axes, from 0.
        """
        out = np.empty((len(signals_B), self.shape[3]), dtype=np.float32)
        for seed, region, selected in self._regions(signals_B, seeds_B):
            rows = self._maps(seed, region)
            signals, steps = signals_B[selected], steps_B[selected]
            if rows is None:
                out[selected] = self._gather_unmapped(signals, seed, steps)
                continue
            flat = (signals - region * self._region_rows(seed)) * self.shape[2] + steps
            matrix = rows.reshape(-1, self._codec.width)
            if self._codec.dtype != "float32":
                if isinstance(selected, slice):
                    self._codec.decode(matrix.take(flat, axis=0), out)
                else:
                    out[selected] = self._codec.decode(matrix.take(flat, axis=0))
            elif isinstance(selected, slice) and len(flat) and (np.diff(flat) == 1).all():
                out[:] = matrix[flat[0] : flat[0] + len(flat)]
            elif isinstance(selected, slice):
                np.take(matrix, flat, axis=0, out=out, mode="clip")  # the default mode would copy twice
            else:
                out[selected] = matrix[flat]
        return out

    def prefetch(self, signals_B: NDArray[np.int64], seeds_B: NDArray[np.int64]) -> None:
        """Fetch the shards of these INRs in the background, if the store is remote."""
        if self._cache is not None:
            self._cache.prefetch(self._names(signals_B, seeds_B))

    def read_ahead(self, signals_B: NDArray[np.int64], seeds_B: NDArray[np.int64]) -> None:
        """Read the chunks of these INRs into the page cache in the background, if their shards are on this disk."""
        rows = self._partition.chunk_rows
        for seed, region, selected in self._regions(signals_B, seeds_B):
            if seed in self._published and not self._compressed:
                chunks = np.unique((signals_B[selected] - region * self._partition.shard_rows) // rows)
                read_ahead(shard_path(self._path, region, seed), chunks, rows * self._row_bytes)

    def in_use(self, signals_B: NDArray[np.int64], seeds_B: NDArray[np.int64]) -> AbstractContextManager[None]:
        """A context in which the shards of these INRs stay in the cache."""
        if self._cache is None:
            return nullcontext()
        return self._cache.in_use(self._names(signals_B, seeds_B))

    def release(self) -> None:
        """Unmap everything: what was read stays in the page cache, and no longer counts as this process's memory.

        Unpacked shards stay, up to `MAX_UNPACKED_BYTES`.
        """
        if not self._compressed:
            self._maps.cache_clear()

    @property
    def mappable(self) -> bool:
        """Whether shards are plain matrices of float32, so that `shard` gives them without a copy."""
        return self._codec.dtype == "float32" and not self._compressed

    def shard(self, seed: int, shard: int) -> NDArray[np.float32] | None:
        """A published shard of a `mappable` store, (rows, T, P), mapped; None where it is no plain matrix."""
        return self._maps(seed, shard)

    def block(self, block: Block) -> NDArray[np.float32] | None:
        """A finished block's weights, (B, T, P), mapped if they can be; None where they are not all there."""
        stored = self.stored_block(block)
        return None if stored is None else self._codec.decode(stored)

    def stored_block(self, block: Block) -> NDArray[Any] | None:
        """A finished block's weights as the store keeps them, (B, T, W); None where they are not all there."""
        if block.seed in self._published:
            region = self._partition.rows(block.index).start // self._partition.shard_rows
            self._shard_path(block.seed, region)
            return block_in_shard(self._path, self._partition, block, self._array)
        try:
            return self._map(block.seed, block.index)
        except InrzooError:
            return None

    def _read(self, out: NDArray[np.float32], signals: NDArray[np.int64], seed: int, steps: NDArray[np.int64]) -> None:
        region_rows = self._region_rows(seed)
        for region in np.unique(signals // region_rows):
            selected = np.flatnonzero(signals // region_rows == region)
            rows = self._maps(seed, int(region))
            if rows is not None:
                chosen = rows[(signals[selected] - region * region_rows)[:, None], steps[None, :]]
                out[selected] = self._codec.decode(chosen)
            elif seed in self._published:
                out[selected] = self._codec.decode(self._through_zarr(signals[selected], seed)[:, steps])

    def _map(self, seed: int, region: int) -> NDArray[Any] | None:
        """Rows of a shard (published) or a block (committed), shape (rows, T, W), as the store keeps them.

        None where neither can be mapped. A compressed shard is unpacked whole: a random batch would touch most chunks.
        """
        if seed in self._published:
            if self._compressed:
                num_rows = self._partition.shard_rows
                part = slice(region * num_rows, (region + 1) * num_rows)
                unpacked: NDArray[Any] = guarded(str(self._path), "weights", lambda: self._array[part, seed])
                return unpacked
            mapped = self._mapped_shard(seed, region)
            # A plain array: indexing one costs a third of indexing numpy's memmap.
            return None if mapped is None else np.asarray(mapped)[:, 0]
        block = Block(seed, region)
        if not is_committed(self._path, block):
            return None
        rows = self._partition.rows(region)
        try:
            return read_weights(self._path, block, rows.stop - rows.start, self.shape[2], self._array.dtype)
        except FileNotFoundError:  # a seed under repair leaves its good shards where they are
            return block_in_shard(self._path, self._partition, block, self._array)

    def _gather_unmapped(self, signals: NDArray[np.int64], seed: int, steps: NDArray[np.int64]) -> NDArray[np.float32]:
        """Shape (B, P): through zarr where a shard is no plain matrix, NaN where a block is pending."""
        if seed not in self._published:
            return np.full((len(signals), self.shape[3]), np.nan, dtype=np.float32)
        distinct, which = np.unique(signals, return_inverse=True)
        return self._codec.decode(self._through_zarr(distinct, seed)[which, steps])

    def _through_zarr(self, signals: NDArray[np.int64], seed: int) -> NDArray[Any]:
        """Shape (signals, T, W), of a shard that is no plain matrix."""
        weights: NDArray[Any] = guarded(
            str(self._path), "weights", lambda: np.asarray(self._array.oindex[signals, [seed]])
        )
        return weights[:, 0]

    def _regions(
        self, signals_B: NDArray[np.int64], seeds_B: NDArray[np.int64]
    ) -> Iterator[tuple[int, int, slice | NDArray[np.int64]]]:
        """(seed, region, which of the batch) of each shard and block that a batch touches; a slice if it is but one."""
        one_seed = len(seeds_B) > 0 and bool((seeds_B == seeds_B[0]).all())
        for seed in [int(seeds_B[0])] if one_seed else np.unique(seeds_B).tolist():
            of_seed = slice(None) if one_seed else np.flatnonzero(seeds_B == seed)
            regions = signals_B[of_seed] // self._region_rows(seed)
            if (regions == regions[0]).all():
                yield seed, int(regions[0]), of_seed
                continue
            for region in np.unique(regions).tolist():
                selected = np.flatnonzero(regions == region)
                yield seed, region, selected if isinstance(of_seed, slice) else of_seed[selected]

    def _region_rows(self, seed: int) -> int:
        return self._partition.shard_rows if seed in self._published else self._partition.block_rows

    def _names(self, signals_B: NDArray[np.int64], seeds_B: NDArray[np.int64]) -> list[str]:
        regions = self._regions(signals_B, seeds_B)
        return [f"weights/{shard_key(region, seed)}" for seed, region, _ in regions]

    def _shard_path(self, seed: int, region: int) -> Location:
        """The file of a shard, fetched if the store is mirrored."""
        path = shard_path(self._path, region, seed)
        return path if self._cache is None else self._cache.fetch(f"weights/{shard_key(region, seed)}")

    def _mapped_shard(self, seed: int, region: int) -> NDArray[Any] | None:
        num_chunks = self._partition.shard_rows // self._partition.chunk_rows
        for _ in range(MAX_FETCHES):
            try:
                return map_shard(self._shard_path(seed, region), num_chunks, self._array.chunks, self._array.dtype)
            except FileNotFoundError:  # absent; or removed by another process to make room, then it is fetched again
                if self._cache is None:
                    return None
        return None
