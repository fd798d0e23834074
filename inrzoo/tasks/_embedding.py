"""Features of all INRs of a store as a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from inrzoo.errors import InrzooError
from inrzoo.loaders import WeightDataset
from inrzoo.tasks import Device
from inrzoo.tasks._augmented import ROWS_AT_ONCE, AugmentedTask, WeightNetwork
from inrzoo.tasks._checkpoint import read
from inrzoo.tasks._evaluation import refuse_others, restored
from inrzoo.tasks._frozen import Features
from inrzoo.tasks._loop import chosen_device


def embed(
    checkpoint: Path, path: str | Path, out: Path, *, split: str | None = None, device: Device = "auto"
) -> tuple[int, int]:
    """Write a Parquet file: `signal_id`, `split`, `seed`, `step`, the label columns, `features` (list of float32).

    Rows are written batch by batch into a file beside `out` that takes its place when it is whole.

    Args:
        checkpoint: a file, or the folder of a run for its best one; of a task that trains an encoder of weights.
        path: of the store, a folder or a URL.
        out: the file; replaced if it is there.
        split: of these signals alone; all if None.

    Returns:
        Rows, and numbers of a feature.

    Raises:
        InrzooError: no such checkpoint, one of another task, or a store of other conventions.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _, dataset, network, where = _opened(checkpoint, path, split, device)
    store = dataset.stores[0]
    ids, splits = store.signal_ids, store.split
    split_names = store.info.split_names
    schema = pa.schema(
        [("signal_id", pa.string()), ("split", pa.string()), ("seed", pa.int64()), ("step", pa.int64())]
        + [(name, pa.int64()) for name in dataset.labels]
        + [("features", pa.list_(pa.float32(), network.out_features))]
    )
    partial = out.with_name(f".{out.name}.partial")
    try:
        with pq.ParquetWriter(partial, schema) as writer, torch.no_grad():
            for start in range(0, len(dataset), ROWS_AT_ONCE):
                batch = dataset[start : start + ROWS_AT_ONCE]
                signal = batch.signal.numpy()
                features = network(batch.to(where)).cpu().numpy().astype(np.float32)
                columns = [
                    pa.array([ids[i] for i in signal]),
                    pa.array([split_names[splits[i]] for i in signal]),
                    pa.array(batch.seed.numpy()),
                    pa.array(batch.step.numpy()),
                    *(pa.array(codes.numpy()) for codes in batch.labels.values()),
                    pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), network.out_features),
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return len(dataset), network.out_features


def features(checkpoint: Path, path: str | Path, *, split: str | None = None, device: Device = "auto") -> Features:
    """The same features in memory, with the classes; see `embed`."""
    task, dataset, network, where = _opened(checkpoint, path, split, device)
    return network.features_of(dataset, task.column(dataset), where)


def _opened(
    checkpoint: Path, path: str | Path, split: str | None, device: Device
) -> tuple[AugmentedTask, WeightDataset, WeightNetwork, torch.device]:
    found = read(checkpoint)
    task = restored(found, {})
    if not isinstance(task, AugmentedTask):
        name = found.task["name"]
        raise InrzooError(f"{checkpoint} is a checkpoint of {name}; embed takes those of contrastive and classify")
    refuse_others(found, task, path)
    where = chosen_device(device)
    dataset = task.dataset(path, split)
    return task, dataset, task.trained(dataset, found.module, where), where
