"""A task that begins with the encoder of another run: its fields `pretrained` and `frozen`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from inrzoo.checkpoint import read
from inrzoo.differences import differences
from inrzoo.encoders import Encoder
from inrzoo.errors import InrzooError
from inrzoo.loaders import WeightBatch, WeightDataset
from inrzoo.store import Store
from inrzoo.tasks.trained_encoders import CONFIG, TENSORS, TrainedEncoder, encoder_from_files, encoder_of
from inrzoo.tasks.training.batches import TrainingBatches
from inrzoo.tasks.weight_tasks import WeightNetwork, WeightTask


class Begins(Protocol):
    """Fields of a task that this room reads; see `WeightTask`."""

    @property
    def pretrained(self) -> str | None: ...  # noqa: D102 - fields
    @property
    def frozen(self) -> bool: ...  # noqa: D102
    @property
    def encoder(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def inputs(self) -> str: ...  # noqa: D102


class Normalising(Protocol):
    """A network that normalises the inputs of an encoder."""

    mean: Tensor
    std: Tensor


def pretrained_encoder(place: str | Path) -> TrainedEncoder:
    """Return the encoder of a run, of a checkpoint, or of a folder with the two files of a published encoder.

    Raises:
        InrzooError: there is none.
    """
    path = Path(place)
    if (path / CONFIG).is_file() and (path / TENSORS).is_file():
        return encoder_from_files((path / CONFIG).read_bytes(), (path / TENSORS).read_bytes(), str(path))
    return encoder_of(read(path), str(path))


def pretrained_fields(place: str) -> dict[str, Any]:
    """Return the fields of a task that an encoder decides: `encoder` and `inputs`."""
    config = pretrained_encoder(place).config
    return {"encoder": dict(config.encoder), "inputs": config.inputs}


def begin_network(network: WeightNetwork, task: WeightTask, dataset: WeightDataset) -> dict[str, str]:
    """Prepare a network for training on a dataset as `WeightTask.dataset` returns it; see `begin_encoder`."""
    return begin_encoder(task, network.encoder, network.inputs, dataset.stores[0], lambda: network.fit_inputs(dataset))


def begin_batches(
    network: WeightNetwork, task: WeightTask, dataset: WeightDataset, learned: WeightDataset | None = None
) -> tuple[TrainingBatches[WeightBatch], dict[str, Any]]:
    """Prepare a network as `begin_network` does, to be trained on a dataset, or on a part `learned` of it.

    Returns:
        The batches, and `Learner.identity`.
    """
    begun = begin_network(network, task, dataset)
    learned = dataset if learned is None else learned
    batches = TrainingBatches(network.prepared(learned, augmented=True), task.batch_size, seed=task.seed)
    return batches, {"fingerprint": dataset.stores[0].info.fingerprint, "inrs": len(learned), **begun}


def begin_encoder(
    task: Begins, encoder: Encoder, inputs: Normalising, store: Store, fit_inputs: Callable[[], None]
) -> dict[str, str]:
    """Give an encoder the parameters of `task.pretrained`, and its inputs the statistics that it was trained with.

    Args:
        task: names the encoder, and says whether it is frozen.
        encoder, inputs: of the network that is trained; changed in place.
        store: the INRs; they must mean what those of the encoder's training meant.
        fit_inputs: sets the statistics from the training split, for an encoder that begins anew.

    Returns:
        What identifies the encoder, for `Learner.identity`: empty without one.

    Raises:
        InrzooError: there is no such encoder, it is another one than that of the task, or it reads other INRs.
    """
    if task.pretrained is None:
        fit_inputs()
        return {}
    trained = pretrained_encoder(task.pretrained).check(store)
    ours = {"encoder": task.encoder, "inputs": task.inputs}
    if differing := differences({"encoder": trained.config.encoder, "inputs": trained.config.inputs}, ours):
        raise InrzooError(f"pretrained = {task.pretrained} has another encoder: {'; '.join(differing)}")
    encoder.load_state_dict(trained.encoder.state_dict())
    inputs.mean.copy_(trained.inputs.mean)
    inputs.std.copy_(trained.inputs.std)
    encoder.set_statistics(inputs.mean, inputs.std)
    if task.frozen:
        encoder.requires_grad_(False)
    return {"pretrained": hashlib.sha256(trained.files()[TENSORS]).hexdigest()}
