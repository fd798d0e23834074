"""The functions `train` and `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inrzoo import manifest
from inrzoo.addresses import HUB, is_hub_name, located, short_name
from inrzoo.errors import InrzooError
from inrzoo.keywords import keywords_checked
from inrzoo.manifest import Manifest

if TYPE_CHECKING:
    from inrzoo.loggers import Logger
    from inrzoo.tasks import Data, Measurement, Task, Trained


def train(
    task: str | Task,
    store: str | Path | Manifest,
    *,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    source: str | Path | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    loggers: Sequence[str | Logger] | None = None,
    **fields: Any,
) -> Trained:
    """Train a network on the weights in a store, as `inrzoo train` does. Repeat the call to continue a run.

    Args:
        task: a name that `inrzoo train --help` shows, or a task with its fields set.
        store: a folder, a URL, or `USER/NAME` on the Hub, of which the run records the commit and keeps to it; a task
            that learns from signals also takes a dataset: its name, a path to a .toml file, or a `Manifest`.
        out: folder of the run; STORE.TASK in the current folder if None.
        settings: fields of tables: `{"encoder.dropout": 0.1}`.
        device: `cpu`, `cuda` or `auto`.
        source: local files of a dataset's signals.
        overwrite: whether to replace the run at `out`.
        quiet: whether to hide progress.
        loggers: where the numbers of validations go beside `metrics.jsonl`: `tensorboard`, `wandb=PROJECT`,
            `package.module:Class`, or objects.
        fields: fields of a named task, the options that `inrzoo train TASK --help` shows: `steps=500`, `devices=2`.

    Returns:
        The folder of the run and the score of its best checkpoint.

    Raises:
        InrzooError: the task, a field or a logger is unknown, the store does not suit the task, `out` has another run,
            or one of several processes ended.

    Example:
        >>> fields = {"encoder": "flat_mlp", "batch_size": 8, "steps": 4, "validate_every": 2}
        >>> run = inrzoo.train("classify", "digits.zarr", out="run", quiet=True, **fields)
        >>> run.step
        4
    """
    from inrzoo import tasks
    from inrzoo.tasks.training.options import make_loggers, make_task

    if isinstance(task, str):
        task = make_task(task, fields, settings or {})
    elif fields or settings:
        raise InrzooError(f"{', '.join([*fields, *(settings or {})])}: the task is already made; set its fields there")
    made = make_loggers(loggers or ())
    name = task.to_json()["name"]
    stem = store.name if isinstance(store, Manifest) else short_name(store)
    folder = Path(f"{stem}.{name.rpartition(':')[2]}") if out is None else Path(out)
    may_be_on_hub = isinstance(store, str) and (store.startswith(HUB) or is_hub_name(store))
    begun = tasks.recorded_store(folder, str(store)) if may_be_on_hub and not overwrite else None
    data = signals(begun or store, source)
    on_hub = isinstance(data, str) and data.startswith(HUB)
    named = str(store) if on_hub else None
    return tasks.train(task, data, folder, device=device, overwrite=overwrite, quiet=quiet, named=named, loggers=made)


@keywords_checked
def evaluate(
    checkpoint: str | Path,
    store: str | Path | Manifest,
    *,
    split: str = "test",
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    source: str | Path | None = None,
    force: bool = False,
) -> Sequence[Measurement]:
    """Measure a checkpoint, or the best one of a run, as `inrzoo evaluate` does.

    Args:
        checkpoint: a file, or the folder of a run.
        store: as in `train`, with the conventions of the store of the training.
        split: name of the split.
        settings: fields of the task that change for the measurement: `{"test_ways": (5, 20)}`.
        device: `cpu`, `cuda` or `auto`.
        source: local files of a dataset's signals.
        force: whether to go on, with a warning, if the INRs were fitted with other settings than those of the training.

    Raises:
        InrzooError: there is no checkpoint, the store has other conventions or, without `force`, other fits, or a field
            cannot be changed.

    Example:
        >>> fields = {"encoder": "flat_mlp", "batch_size": 8, "steps": 4, "validate_every": 2}
        >>> run = inrzoo.train("classify", "digits.zarr", out="run", quiet=True, **fields)
        >>> [measurement.name for measurement in inrzoo.evaluate("run", "digits.zarr")]
        ['accuracy']
    """
    from inrzoo import tasks

    changes = dict(settings or {})
    return tasks.evaluate(Path(checkpoint), signals(store, source), split=split, device=device, force=force, **changes)


def signals(store: str | Path | Manifest, source: str | Path | None) -> Data:
    """Return the folder or URL of a store, or a dataset with its files.

    Raises:
        InrzooError: `source` is passed with a store, the dataset is unknown, or the Hub has no store of that name.
    """
    from inrzoo.tasks import UnfittedDataset

    files = None if source is None else Path(source)
    if isinstance(store, Manifest):
        return UnfittedDataset(store, files)
    if files is None:
        return located(store) if isinstance(store, str) else store
    if Path(store).is_dir() or "://" in str(store):
        raise InrzooError(f"--source {source} needs a dataset; {store} is a store")
    return UnfittedDataset(manifest.load(store, trusted=True), files)
