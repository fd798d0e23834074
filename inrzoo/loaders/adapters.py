"""Adapts a `WeightDataset` to Hugging Face `datasets` and to Ray Data.

Shape letters: P parameters, T snapshots, B INRs of a batch.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.extras import needed

if TYPE_CHECKING:
    import datasets
    import ray.data

    from inrzoo.loaders.dataset import WeightDataset


def to_datasets(dataset: WeightDataset) -> datasets.Dataset:
    """Return a Hugging Face `Dataset` over the memory-mapped shards, without a copy.

    Columns: `weights` (P float32, *not* normalised: `dataset.normaliser` does that), the label columns, `signal`,
    `seed`, `step`. All needed shards of a remote store are fetched first, regardless of a cache limit.

    Raises:
        InrzooError: a store has compressed shards or unpublished seeds, which cannot be mapped.
    """
    with needed("hub", "to_datasets"):
        import datasets
        import pyarrow as pa
        from datasets.table import InMemoryTable

    num_params = dataset.layout.num_params
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
            raise InrzooError(f"shard {shard} of seed {seed} in {store.location} is unpublished or compressed")
        matrix = mapped.reshape(-1, num_params)
        weights.append(
            pa.FixedSizeListArray.from_arrays(
                pa.Array.from_buffers(pa.float32(), matrix.size, [None, pa.py_buffer(matrix)]), num_params
            )
        )
        within = locations.signal[start:end] - shard * store.partition.shard_rows
        chosen.append(begin + within * len(store.snapshots) + locations.step[start:end])
        begin += len(matrix)
    features = datasets.Features(
        {
            "weights": datasets.List(datasets.Value("float32"), length=num_params),
            **{
                name: datasets.ClassLabel(names=dataset.label_names[name])
                if _are_names(dataset, name)
                else datasets.Value("int64")
                for name in dataset.labels
            },
            **{name: datasets.Value("int64") for name in ("signal", "seed", "step")},
        }
    )
    index = np.concatenate(chosen)
    small = {name: np.zeros(begin, dtype=np.int64) for name in features if name != "weights"}
    for name, column in _columns(dataset, np.arange(len(dataset))).items():
        small[name][index] = column
    table = pa.table(
        {"weights": pa.chunked_array(weights), **{name: pa.array(column) for name, column in small.items()}},
        schema=features.arrow_schema,
    )
    # Without a fingerprint the table is pickled to be hashed, which doubles the memory.
    adapted = datasets.Dataset(InMemoryTable(table), fingerprint=_fingerprint(dataset))
    return adapted if len(index) == begin else adapted.select(index)


def to_ray(dataset: WeightDataset, batch_size: int = 256, **read_options: Any) -> ray.data.Dataset:
    """Return a Ray Data `Dataset`, whose rows Ray's workers read, normalise and transform.

    Columns: `weights` (P float32), the label columns, `signal`, `seed`, `step`, and `values` if the dataset has them.
    Workers open the stores, so all machines must reach them.

    Args:
        dataset: the INRs.
        batch_size: number of INRs that a task reads at once.
        read_options: options of `ray.data.range`: `override_num_blocks`, `concurrency`.
    """
    with needed("build", "to_ray"):
        import ray.data

    def read(batch: dict[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        positions = batch["id"]
        inrs = dataset.read(positions, epoch=dataset.epoch, key=int(positions[0]))
        columns = {"weights": inrs.weights.numpy(), **_columns(dataset, positions)}
        return columns if inrs.values is None else {**columns, "values": inrs.values.numpy()}

    return ray.data.range(len(dataset), **read_options).map_batches(read, batch_size=batch_size)


def _columns(dataset: WeightDataset, positions_B: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    locations = dataset.rows.locations(positions_B)
    signal = dataset.rows.signals(locations)
    labels = {name: codes[signal] for name, codes in dataset.labels.items()}
    return {**labels, "signal": signal, "seed": locations.seed, "step": dataset.rows.step_counts(locations)}


def _are_names(dataset: WeightDataset, column: str) -> bool:
    names, codes = dataset.label_names.get(column, []), dataset.labels[column]
    return len(set(names)) == len(names) > 0 and codes.min() >= 0 and codes.max() < len(names)


def _fingerprint(dataset: WeightDataset) -> str:
    total = hashlib.sha256(dataset.rows.items.tobytes())
    for store in dataset.stores:
        total.update(f"{store.location} {store.info.fingerprint}".encode())
        total.update("".join(sorted(store.info.checksums.values())).encode())
    return total.hexdigest()[:16]
