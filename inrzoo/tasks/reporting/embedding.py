"""Features of the INRs in a store: a checkpoint and a store come in, a Parquet table or tensors go out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from inrzoo import registry
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.loaders import WeightDataset
from inrzoo.tasks.contract import Device
from inrzoo.tasks.evaluation import require_same_conventions, restored
from inrzoo.tasks.probes import Features
from inrzoo.tasks.trained_encoders import TrainedEncoder
from inrzoo.tasks.training.batches import in_order
from inrzoo.tasks.training.loop import chosen_device
from inrzoo.tasks.training.state import load_module
from inrzoo.tasks.weight_tasks import ENCODING_TASKS, ROWS_AT_ONCE, WeightNetwork, WeightTask


def embed(
    checkpoint: Path | TrainedEncoder,
    path: str | Path,
    out: Path,
    *,
    split: str | None = None,
    device: Device = "auto",
    force: bool = False,
) -> tuple[int, int]:
    """Write a Parquet file: `signal_id`, `split`, `seed`, `step`, the label columns, `features` (list of float32).

    Rows are written batch by batch into a file beside `out`, which is renamed when it is whole.

    Args:
        checkpoint: a file, or the folder of a run for its best checkpoint; the task must train an encoder of weights.
            Or a trained encoder.
        path: the folder or URL of the store.
        out: the file; an older one is replaced.
        split: name of a split; None for all signals.
        device: `cpu`, `cuda`, or `auto`.
        force: whether to go on, with a warning, if the INRs were fitted with other settings than those of the training.

    Returns:
        Number of rows, and length of a feature vector.

    Raises:
        InrzooError: there is no such checkpoint, it is of another task, or the store has other conventions or fits.
    """
    with needed("train", "writing features"):
        import pyarrow as pa
        import pyarrow.parquet as pq

    _, dataset, network, torch_device = _opened(checkpoint, path, split, device, force)
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
            for batch in in_order(network.prepared(dataset), ROWS_AT_ONCE):
                signal = batch.signal.numpy()
                features = network(batch.to(torch_device)).cpu().numpy().astype(np.float32)
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


def features(
    checkpoint: Path | TrainedEncoder,
    path: str | Path,
    *,
    split: str | None = None,
    device: Device = "auto",
    force: bool = False,
) -> Features:
    """Features in memory, with labels, signals and seeds; arguments and errors as of `embed`."""
    task, dataset, network, torch_device = _opened(checkpoint, path, split, device, force)
    return network.features_of(dataset, task.label_column(dataset), torch_device)


def _opened(
    checkpoint: Path | TrainedEncoder, path: str | Path, split: str | None, device: Device, force: bool
) -> tuple[WeightTask, WeightDataset, WeightNetwork, torch.device]:
    if isinstance(checkpoint, TrainedEncoder):
        return _opened_encoder(checkpoint, path, split, device, force)
    trained = read(checkpoint)
    task = restored(trained, {})
    if not isinstance(task, WeightTask):
        name = trained.task["name"]
        raise InrzooError(f"{checkpoint} is a checkpoint of {name}; embed takes those of {ENCODING_TASKS}")
    require_same_conventions(trained, task, path, force=force)
    torch_device = chosen_device(device)
    dataset = task.dataset(path, split)
    return task, dataset, task.trained(dataset, trained.module, torch_device), torch_device


def _opened_encoder(
    encoder: TrainedEncoder, path: str | Path, split: str | None, device: Device, force: bool
) -> tuple[WeightTask, WeightDataset, WeightNetwork, torch.device]:
    task = registry.make("tasks", encoder.config.task)
    if not isinstance(task, WeightTask):
        raise InrzooError(f"{encoder.where} is an encoder of another task; embed takes those of {ENCODING_TASKS}")
    dataset, torch_device = task.dataset(path, split), chosen_device(device)
    encoder.check(dataset.stores[0], force=force)
    network = WeightNetwork(task, dataset).to(torch_device).eval()
    load_module(network, encoder.state_dict())
    return task, dataset, network, torch_device
