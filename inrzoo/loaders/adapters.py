"""The same INRs for people who have `datasets` or Ray Data already.

Shape letters: P parameters, T snapshots, B INRs of a batch.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError

if TYPE_CHECKING:
    import datasets
    import ray.data

    from inrzoo.loaders.dataset import WeightDataset


def to_datasets(dataset: WeightDataset) -> datasets.Dataset:
    """A Hugging Face `Dataset` over the mapped shards themselves: nothing is copied, nothing is written.

    Columns: `weights` (P float32, *not* normalised: `dataset.normaliser` does that), the label columns, `signal`,
    `seed`, `step`. Shards of a remote store are fetched first, all that are needed; a cache limit does not hold here.

    Raises:
        InrzooError: a store with compressed shards or unpublished seeds; its shards are no plain matrices.
    """
    import datasets
    import pyarrow as pa
    from datasets.table import InMemoryTable

    num_params = dataset.layout.num_params
    places = dataset.rows.places(np.arange(len(dataset)))
    rows = np.array([store.partition.shard_rows for store in dataset.stores])[places.store]
    numbers = np.stack([places.store, places.seed, places.signal // rows])
    bounds = np.flatnonzero(np.append(True, (np.diff(numbers) != 0).any(axis=0)))
    weights, chosen, begin = [], [], 0
    for start, end in zip(bounds.tolist(), [*bounds[1:].tolist(), len(dataset)], strict=True):
        store_number, seed, shard = numbers[:, start].tolist()
        store = dataset.stores[store_number]
        mapped = store.weights.shard(seed, shard) if seed in store.info.published_seeds else None
        if mapped is None:
            raise InrzooError(f"shard {shard} of seed {seed} in {store.location} is not there as a plain matrix")
        matrix = mapped.reshape(-1, num_params)
        weights.append(
            pa.FixedSizeListArray.from_arrays(
                pa.Array.from_buffers(pa.float32(), matrix.size, [None, pa.py_buffer(matrix)]), num_params
            )
        )
        within = places.signal[start:end] - shard * store.partition.shard_rows
        chosen.append(begin + within * len(store.snapshots) + places.step[start:end])
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
    # Named, for otherwise the table is pickled to be hashed: as much memory again as there are weights.
    made = datasets.Dataset(InMemoryTable(table), fingerprint=_fingerprint(dataset))
    return made if len(index) == begin else made.select(index)


def to_ray(dataset: WeightDataset, batch_size: int = 256, **read_options: Any) -> ray.data.Dataset:
    """A Ray Data `Dataset`: rows are read by Ray's workers where they are needed, normalised and transformed.

    Columns: `weights` (P float32), the label columns, `signal`, `seed`, `step`, and `values` if the dataset has them.
    Workers open the stores themselves, so these must lie where all machines reach them.

    Args:
        batch_size: INRs that a task reads at once.
        read_options: of `ray.data.range`: `override_num_blocks`, `concurrency`.
    """
    import ray.data

    def read(batch: dict[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        positions = batch["id"]
        found = dataset.read(positions, epoch=dataset.epoch, key=int(positions[0]))
        columns = {"weights": found.weights.numpy(), **_columns(dataset, positions)}
        return columns if found.values is None else {**columns, "values": found.values.numpy()}

    return ray.data.range(len(dataset), **read_options).map_batches(read, batch_size=batch_size)


def _columns(dataset: WeightDataset, positions_B: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    places = dataset.rows.places(positions_B)
    signal = dataset.rows.signals(places)
    labels = {name: codes[signal] for name, codes in dataset.labels.items()}
    return {**labels, "signal": signal, "seed": places.seed, "step": dataset.rows.step_counts(places)}


def _are_names(dataset: WeightDataset, column: str) -> bool:
    names, codes = dataset.label_names.get(column, []), dataset.labels[column]
    return len(set(names)) == len(names) > 0 and codes.min() >= 0 and codes.max() < len(names)


def _fingerprint(dataset: WeightDataset) -> str:
    total = hashlib.sha256(dataset.rows.items.tobytes())
    for store in dataset.stores:
        total.update(f"{store.location} {store.info.fingerprint}".encode())
        total.update("".join(sorted(store.info.checksums.values())).encode())
    return total.hexdigest()[:16]
