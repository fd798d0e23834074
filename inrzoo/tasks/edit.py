"""Training of decoders that edit signals by changing the weights of INRs, and their measurement in signal space.

Zhou et al. 2023 ("Permutation equivariant neural functionals", Sec. 3.4) made the task: a network maps weights to a
change of them, after which the INR says the dilated image. Commands, results and what differs: docs/editing.md.

Shape letters: B INRs of a batch, P parameters, K points of the grid, C channels, N signals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from inrzoo import registry
from inrzoo.checkpoint import read
from inrzoo.decoders import Decoder
from inrzoo.errors import InrzooError
from inrzoo.loaders import WeightBatch, WeightDataset, load
from inrzoo.loaders.compatibility import weight_conventions
from inrzoo.loaders.normalise import normaliser
from inrzoo.operations import Operation
from inrzoo.store import Store
from inrzoo.tasks.contract import Data, Device, Learner, Task
from inrzoo.tasks.evaluation import require_same_conventions
from inrzoo.tasks.inputs import domain_of
from inrzoo.tasks.measurements import Measurement, measured_mean
from inrzoo.tasks.signal_space import SignalSpace, load_with_signals
from inrzoo.tasks.training.batches import TrainingBatches, in_order
from inrzoo.tasks.training.loop import chosen_device
from inrzoo.tasks.training.state import load_module, task_table
from inrzoo.tasks.weight_tasks import notes_of

INRS_AT_ONCE = 64
"""INRs that are edited and measured at once."""


@dataclass(frozen=True, kw_only=True)
class Edit(Task):
    """A network that changes the weights of an INR so that it says an edited signal.

    The loss is the mean squared error of the changed INR against the edited signal, on the grid, of values in [0, 1].
    What is edited is the signal if the store holds it, else what the INR says on its grid.

    Attributes:
        operation: name of an operation on signals, and its arguments.
        decoder: name of a decoder, and its arguments.
        batch_size: INRs of a step.
        validation_inrs: number of INRs that decide which checkpoint is the best, spread evenly over the split.
        test_inrs: number of INRs that are measured, spread evenly over the split; all by default.
    """

    casts: ClassVar[bool] = True

    steps: int = 2500
    lr: float = 5e-3
    warmup: int = 50
    validate_every: int = 500
    operation: dict[str, Any] = field(default_factory=lambda: {"name": "dilation"})
    decoder: dict[str, Any] = field(default_factory=lambda: {"name": "learned_descent"})
    batch_size: int = 32
    validation_inrs: int = 512
    test_inrs: int | None = None

    def __post_init__(self) -> None:
        """See `Task.__post_init__`."""
        super().__post_init__()
        self.require_at_least(1, "batch_size", "validation_inrs")
        self.require("test_inrs", self.test_inrs is None or self.test_inrs >= 1, "at least 1")

    def conventions(self, path: str | Path) -> dict[str, Any]:
        """See `Task.conventions`: those of the weights, and the grid on which signals are edited."""
        store = load(path, normalise="none").stores[0]
        return {**weight_conventions(store), "grid": list(store.info.grid)}

    def begin(self, path: str | Path, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def evaluate(
        self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device
    ) -> Sequence[Measurement]:
        """Mean squared error of edited INRs and of unchanged ones, of values in [0, 1], over the signals of a split."""
        editor = self.editor(path, split, state, device)
        parts = [(editor.errors(batch), batch.signal) for batch in editor.batches(self.test_inrs)]
        errors, signal = (torch.cat([part[i] for part in parts]) for i in range(2))
        return [
            measured_mean(name, mean_of_each(column, signal))
            for name, column in zip(("MSE", "MSE without a change"), errors.unbind(1), strict=True)
        ]

    def editor(self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device) -> Editor:
        """The trained decoder on the INRs of a split, from the state of the module in a checkpoint."""
        dataset = load_with_signals(path, split)
        return Editor(self, dataset, self.trained(dataset.stores[0], state, device), device)

    def trained(self, store: Store, state: Mapping[str, Tensor], device: Device) -> Decoder:
        """The trained decoder for the INRs of a store, from the state of the module in a checkpoint."""
        decoder = self.network(store).to(device).eval()
        load_module(decoder, state)
        return decoder

    def network(self, store: Store) -> Decoder:
        """An untrained decoder for the INRs of a store."""
        given = {"layout": store.layout, "inr": store.inr, "domain": domain_of(store)}
        decoder: Decoder = registry.make("decoders", self.decoder, **given)
        return decoder


class Editor:
    """A decoder, the INRs of a split that it changes, and the edited signals that these should say.

    Attributes:
        dataset: as `load_with_signals` returns it.
        space: where INRs are compared with signals.
    """

    def __init__(self, task: Edit, dataset: WeightDataset, decoder: Decoder, device: Device) -> None:
        self.dataset, self.space = dataset, SignalSpace(dataset, device)
        self._task, self._decoder, self._device = task, decoder, device
        self._operation: Operation = registry.make("operations", task.operation, sizes=self.space.grid)

    def batches(self, count: int | None = None) -> Iterator[WeightBatch]:
        """Iterate over INRs, `count` of them spread evenly over the split, or all."""
        chosen = self.dataset if count is None else self.dataset.evenly(count)
        return (batch.to(self._device) for batch in in_order(chosen, INRS_AT_ONCE))

    def edited(self, weights: Tensor) -> Tensor:
        """Return the weights after the edit, (B, P) both, as they are fitted."""
        with self._task.autocast(self._decoder, weights.device):
            change: Tensor = self._decoder(weights)
        return weights + change.float()

    def targets(self, batch: WeightBatch) -> Tensor:
        """Return the edited signals on the value scale, (B, K, C)."""
        return self.space.edited(batch, self._operation)

    def loss(self, batch: WeightBatch) -> Tensor:
        """Return the mean squared error of the edited INRs of a batch, of values in [0, 1]."""
        return self.space.squared_errors(self.edited(batch.weights), self.targets(batch)).mean()

    @torch.no_grad()
    def errors(self, batch: WeightBatch) -> Tensor:
        """Return the mean squared errors of edited and of unchanged INRs, of values in [0, 1]: (B, 2), on the CPU."""
        targets = self.targets(batch)
        after = self.space.squared_errors(self.edited(batch.weights), targets)
        return torch.stack([after, self.space.squared_errors(batch.weights, targets)], 1).cpu()


def load_editor(checkpoint: Path, path: Data, *, split: str = "test", device: Device = "auto") -> Editor:
    """Load a trained editor.

    Args:
        checkpoint: a file, or the folder of a run for its best checkpoint.
        path: folder or URL of a store with the conventions of the training data.
        split: name of the split whose INRs it edits.
        device: `cpu`, `cuda`, or `auto`.

    Raises:
        InrzooError: there is no such checkpoint, it is of another task, or the store has other conventions.
    """
    trained = read(checkpoint)
    task = registry.make("tasks", task_table(trained))
    if not isinstance(task, Edit):
        raise InrzooError(f"{checkpoint} is a checkpoint of the task {trained.task['name']}, not of edit")
    require_same_conventions(trained, task, path)
    return task.editor(str(path), split, trained.module, chosen_device(device))


def mean_of_each(values: Tensor, signal: Tensor) -> Tensor:
    """Return the mean over the INRs of each signal: (n,) both to (N,). INRs of one signal are no independent trials.

    Example:
        >>> mean_of_each(torch.tensor([1.0, 5.0, 3.0]), torch.tensor([7, 2, 7]))
        tensor([5., 2.])
    """
    _, which = signal.unique(return_inverse=True)
    means: Tensor = values.new_zeros(int(which.max()) + 1).index_add(0, which, values) / which.bincount()
    return means


class _Learner(Learner):
    def __init__(self, task: Edit, path: str | Path, device: Device) -> None:
        self._task, self._device = task, device
        training = load_with_signals(path, "train")
        store = training.stores[0]
        decoder = task.network(store)
        statistics = normaliser(training.stores, training.rows.views, "per_tensor")
        decoder.set_statistics(statistics.mean, statistics.std)
        self.module = decoder.to(device)
        self._training = Editor(task, training, decoder, device)
        self._validation = Editor(task, load_with_signals(path, "validation"), decoder, device)
        self._batches = TrainingBatches(training, task.batch_size, seed=task.seed)
        self.identity = {"fingerprint": store.info.fingerprint, "inrs": len(training)}
        self.notes = {**notes_of(store), "edited": self._training.space.reference}

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean squared error of a batch; see `Learner.loss`."""
        return self._training.loss(self._batches(step).to(self._device)), {}

    def validate(self) -> dict[str, float]:
        """Mean squared error of the same validation INRs every time."""
        errors = [self._validation.errors(batch) for batch in self._validation.batches(self._task.validation_inrs)]
        mse = float(torch.cat(errors)[:, 0].double().mean())
        return {"score": -mse, "validation_mse": mse}
