"""The weights of a store as one array, read from memory-mapped shards and blocks.

Shape letters: N signals, S seeds, T snapshots, P parameters.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.store.blocks import Block, Partition, is_committed, read_weights
from inrzoo.store.finalise import block_in_shard, shard_path
from inrzoo.store.shards import map_shard


class WeightsArray:
    """`weights[signal, seed, step]`: float32 of shape (..., P), always a fresh copy.

    Each index is an integer, a slice, a list or an integer or boolean array, applied to its own axis (as zarr's
    `oindex`); integers drop their axis; missing ones mean all. Pending INRs read as NaN, as zarr reads them.
    """

    def __init__(self, path: Path, array: Any, partition: Partition, published: list[int]) -> None:
        self._path, self._array, self._partition, self._published = path, array, partition, frozenset(published)
        self._maps = lru_cache(maxsize=256)(self._map)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, S, T, P)."""
        num_signals, num_seeds, num_steps, num_params = self._array.shape
        return num_signals, num_seeds, num_steps, num_params

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """Read INRs; see the class."""
        given = index if isinstance(index, tuple) else (index,)
        if len(given) > 3:
            raise InrzooError(f"weights take [signal, seed, step], {len(given)} indices were given")
        axes = [*given, *[slice(None)] * (3 - len(given))]
        signals, seeds, steps = (
            _positions(axis, size, name)
            for axis, size, name in zip(axes, self.shape, ("signal", "seed", "step"), strict=False)
        )
        out = np.full((len(signals), len(seeds), len(steps), self.shape[3]), np.nan, dtype=np.float32)
        for column, seed in enumerate(seeds):
            self._read(out[:, column], signals, int(seed), steps)
        drop = tuple(0 if isinstance(axis, int | np.integer) else slice(None) for axis in axes)
        return out[drop]

    def block(self, block: Block) -> NDArray[np.float32] | None:
        """A finished block's weights as they lie on disk, (B, T, P), mapped; None where they are not all there."""
        if block.seed in self._published:
            return block_in_shard(self._path, self._partition, block, self.shape[2:])
        return self._map(block.seed, block.index)

    def _read(self, out: NDArray[np.float32], signals: NDArray[np.int64], seed: int, steps: NDArray[np.int64]) -> None:
        published = seed in self._published
        region_rows = self._partition.shard_rows if published else self._partition.block_rows
        for region in np.unique(signals // region_rows):
            here = np.flatnonzero(signals // region_rows == region)
            rows = self._maps(seed, int(region))
            if rows is not None:
                out[here] = rows[(signals[here] - region * region_rows)[:, None], steps[None, :]]
            elif published:
                out[here] = self._array.oindex[signals[here], [seed], steps][:, 0]

    def _map(self, seed: int, region: int) -> NDArray[np.float32] | None:
        """Rows of a shard (published) or a block (committed), shape (rows, T, P); None where neither can be mapped."""
        if seed in self._published:
            path = shard_path(self._path, region, seed)
            num_chunks = self._partition.shard_rows // self._partition.chunk_rows
            mapped = map_shard(path, num_chunks, self._array.chunks) if path.exists() else None
            return None if mapped is None else mapped[:, 0]
        block = Block(seed, region)
        if not is_committed(self._path, block):
            return None
        rows = self._partition.rows(region)
        try:
            return read_weights(self._path, block, rows.stop - rows.start, self.shape[2])
        except FileNotFoundError:  # a seed under repair leaves its good shards where they are
            return block_in_shard(self._path, self._partition, block, self.shape[2:])


def _positions(index: Any, size: int, name: str) -> NDArray[np.int64]:
    positions = np.atleast_1d(np.arange(size)[index]) if not isinstance(index, int | np.integer) else None
    if positions is None:
        if not -size <= index < size:
            raise IndexError(f"{name} {index} is out of range; there are {size}")
        return np.array([index % size])
    return positions
