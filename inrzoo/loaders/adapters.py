"""Adapts a `WeightDataset` to Hugging Face `datasets`, Ray Data and pandas; the columns are those of `store.row`.

Shape letters: P parameters, L INRs of the dataset, B INRs of a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.loaders.normalise import Normalise, Normaliser, normaliser
from inrzoo.store import row

if TYPE_CHECKING:
    import datasets
    import pandas
    import pyarrow as pa
    import ray.data

    from inrzoo.loaders.dataset import WeightDataset

ROWS_AT_ONCE = 4096
"""Number of INRs that are normalised together."""
COLUMNS_VERSION = 2
"""Part of the fingerprint of a `datasets.Dataset`, which names the columns: cached results of others are not reused."""


def to_datasets(dataset: WeightDataset, *, normalise: Normalise = "none") -> datasets.Dataset:
    """Return a Hugging Face `Dataset`, with `normalise="none"` over the memory-mapped shards, without a copy.

    Weights of stores that are rounded or compressed are unpacked into memory.

    The columns are those of the Hub's Parquet files without `image`: see `inrzoo.store.row`. `signal` counts the
    signals of all stores; transforms of the dataset are left out. All needed shards of a remote store are fetched
    first, regardless of a cache limit.

    Args:
        normalise: `none` for weights as they were fitted; `auto`, `per_parameter` or `per_tensor` as in `inrzoo.load`,
            which copies them into memory.

    Raises:
        InrzooError: a store has unpublished seeds, which cannot be mapped; or no statistics.

    Example:
        >>> rows = inrzoo.load("digits.zarr", split="train").to_datasets()
        >>> rows.column_names
        ['signal', 'signal_id', 'label', 'split', 'seed', 'step', 'psnr', 'steps', 'status', 'weights']
    """
    with needed("hub", "to_datasets"):
        import datasets
        import pyarrow as pa
        from datasets.table import InMemoryTable

    chosen = normaliser(dataset.stores, dataset.rows.views, normalise)
    shown = row.columns(dataset.stores)
    features = datasets.Features.from_dict(row.features(shown))
    small = _small_columns(dataset, shown, np.arange(len(dataset)))
    if chosen.kind == "none" and all(store.weights.mappable for store in dataset.stores):
        weights, index_L = _mapped_weights(dataset)
    else:
        weights, index_L = _normalised_weights(dataset, chosen), np.arange(len(dataset))
    # Rows of the shards that the dataset does not have are left empty, and not selected below.
    positions = np.full(len(weights), -1)
    positions[index_L] = np.arange(len(dataset))
    take = pa.array(positions, mask=positions < 0)
    arrays = {**{name: column.take(take) for name, column in small.items()}, "weights": weights}
    schema = features.arrow_schema
    table = pa.table({field.name: arrays[field.name].cast(field.type) for field in schema}, schema=schema)
    # Without a fingerprint the table is pickled to be hashed, which doubles the memory.
    adapted = datasets.Dataset(InMemoryTable(table), fingerprint=_fingerprint(dataset, chosen))
    return adapted if len(index_L) == len(table) else adapted.select(index_L)


def to_ray(
    dataset: WeightDataset, batch_size: int = 256, *, normalise: Normalise = "none", **read_options: Any
) -> ray.data.Dataset:
    """Return a Ray Data `Dataset`, whose rows Ray's workers read, transform and, if asked to, normalise.

    The columns are those of `to_datasets`; `values` stand before the weights if the dataset has them. Workers open the
    stores, so all machines must reach them.

    Args:
        batch_size: number of INRs that a task reads at once.
        normalise: as in `to_datasets`.
        read_options: options of `ray.data.range`: `override_num_blocks`, `concurrency`.

    Raises:
        InrzooError: the dataset has a `transform_normalised`, and `normalise` is `none`; or a store has no statistics.
    """
    with needed("build", "to_ray"):
        import ray.data

    chosen = normaliser(dataset.stores, dataset.rows.views, normalise)
    if chosen.kind == "none" and dataset.transform_normalised is not None:
        raise InrzooError(
            "transform_normalised acts on normalised weights: say to_ray(normalise='auto'), or load without it"
        )
    prepared = dataset.prepared(chosen, dataset.transform, dataset.transform_normalised)
    shown = row.columns(dataset.stores)

    def read(batch: dict[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        positions = batch["id"]
        inrs = prepared.read(positions, epoch=prepared.epoch, key=int(positions[0]))
        small, types = _small_columns(prepared, shown, positions), row.schema(shown)
        columns = {
            name: column.cast(types.field(name).type).to_numpy(zero_copy_only=False) for name, column in small.items()
        }
        if inrs.targets is not None:
            columns["values"] = inrs.targets.numpy()
        return {**columns, "weights": inrs.weights.numpy()}

    return ray.data.range(len(dataset), **read_options).map_batches(read, batch_size=batch_size)


def to_pandas(dataset: WeightDataset, *, normalise: Normalise = "none") -> pandas.DataFrame:
    """Return a data frame of the INRs, with the columns of `inrzoo.store.row.to_pandas`; transforms are left out.

    Args:
        normalise: as in `to_datasets`.

    Raises:
        InrzooError: a store has no statistics.
    """
    positions_L, shown = np.arange(len(dataset)), row.columns(dataset.stores)
    chosen = normaliser(dataset.stores, dataset.rows.views, normalise)
    weights_LP = _read_weights(dataset, chosen, positions_L)
    return row.frame(shown, _small_columns(dataset, shown, positions_L), weights_LP)


def _mapped_weights(dataset: WeightDataset) -> tuple[pa.ChunkedArray, NDArray[np.int64]]:
    """All shards that hold INRs of a dataset, mapped, and the rows of these INRs in them."""
    import pyarrow as pa

    locations = dataset.rows.locations(np.arange(len(dataset)))
    rows = np.array([store.partition.shard_rows for store in dataset.stores])[locations.store]
    numbers = np.stack([locations.store, locations.seed, locations.signal // rows])
    bounds = np.flatnonzero(np.append(True, (np.diff(numbers) != 0).any(axis=0)))
    weights, chosen, begin = [], [], 0
    for start, end in zip(bounds.tolist(), [*bounds[1:].tolist(), len(dataset)], strict=True):
        store_number, seed, shard = numbers[:, start].tolist()
        store = dataset.stores[store_number]
        mapped = store.weights.shard(seed, shard) if seed in store.info.published_seeds else None
        if mapped is None:
            raise InrzooError(f"shard {shard} of seed {seed} in {store.location} is unpublished")
        matrix = mapped.reshape(-1, dataset.layout.num_params)
        weights.append(row.vectors(matrix))
        within = locations.signal[start:end] - shard * store.partition.shard_rows
        chosen.append(begin + within * len(store.snapshots) + locations.step[start:end])
        begin += len(matrix)
    return pa.chunked_array(weights), np.concatenate(chosen)


def _normalised_weights(dataset: WeightDataset, chosen: Normaliser) -> pa.ChunkedArray:
    """Normalised weights of all INRs of a dataset, in memory."""
    import pyarrow as pa

    parts = np.array_split(np.arange(len(dataset)), -(-len(dataset) // ROWS_AT_ONCE))
    return pa.chunked_array([row.vectors(_read_weights(dataset, chosen, positions)) for positions in parts])


def _read_weights(dataset: WeightDataset, chosen: Normaliser, positions_B: NDArray[np.int64]) -> NDArray[np.float32]:
    """Weights of INRs of a dataset without its transforms and signals, (B, P)."""
    prepared = dataset.prepared(chosen, None, None)
    prepared.with_signals = False
    weights: NDArray[np.float32] = prepared.read(positions_B, epoch=0, key=0).weights.numpy()
    return weights


def _small_columns(
    dataset: WeightDataset, shown: Sequence[row.Column], positions_B: NDArray[np.int64]
) -> dict[str, pa.Array]:
    """`row.small_columns` of INRs of a dataset, whose signals are counted through all stores."""
    import pyarrow as pa

    locations = dataset.rows.locations(positions_B)
    order, parts = [], []
    for number in np.unique(locations.store).tolist():
        of_store = np.flatnonzero(locations.store == number)
        where = (locations.signal[of_store], locations.seed[of_store], locations.step[of_store])
        parts.append(row.small_columns(dataset.stores[number], shown, *where))
        order.append(of_store)
    columns = parts[0]
    if len(parts) > 1:
        back = pa.array(np.argsort(np.concatenate(order)))
        joined = {name: pa.chunked_array([part[name] for part in parts]).combine_chunks() for name in columns}
        columns = {name: column.take(back) for name, column in joined.items()}
    return {**columns, "signal": pa.array(dataset.rows.signals(locations))}


def _fingerprint(dataset: WeightDataset, chosen: Normaliser) -> str:
    total = hashlib.sha256(dataset.rows.items.tobytes())
    total.update(f"columns of {COLUMNS_VERSION} {chosen.kind}".encode())
    for store in dataset.stores:
        total.update(f"{store.location} {store.info.fingerprint}".encode())
        total.update("".join(sorted(store.info.checksums.values())).encode())
    return total.hexdigest()[:16]
