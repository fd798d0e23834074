"""`train` and `evaluate` as functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inrzoo import manifest
from inrzoo.errors import InrzooError
from inrzoo.keywords import keywords_checked
from inrzoo.manifest import Manifest

if TYPE_CHECKING:
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
    **fields: Any,
) -> Trained:
    """Train a network on the weights in a store, as `inrzoo train` does. The same call continues a run.

    Args:
        task: a name as `inrzoo train --help` shows them, or a task with its fields set.
        store: a folder or a URL; a task that learns from signals takes a dataset as well: its name, a path to a .toml
            file, or a `Manifest`.
        out: folder of the run; STORE.TASK here if None.
        settings: fields of tables: `{"encoder.dropout": 0.1}`.
        device: `cpu`, `cuda` or `auto`.
        source: local files to read a dataset's signals from.
        overwrite: begin anew where another run stands.
        quiet: show no progress.
        fields: of a task that is given by name: the options that `inrzoo train TASK --help` shows, `steps=500`.

    Returns:
        Where the run is, and how good its best checkpoint.

    Raises:
        InrzooError: an unknown task or field, a store that cannot be trained on, or another run at `out`.

    Example:
        >>> fields = {"encoder": "flat_mlp", "batch_size": 8, "steps": 4, "validate_every": 2}
        >>> run = inrzoo.train("classify", "digits.zarr", out="run", quiet=True, **fields)
        >>> run.step
        4
    """
    from inrzoo import tasks
    from inrzoo.tasks.training.options import make_task

    if isinstance(task, str):
        task = make_task(task, fields, settings or {})
    elif fields or settings:
        raise InrzooError(f"{', '.join([*fields, *(settings or {})])}: the task has its fields; change them there")
    name = task.to_json()["name"]
    stem = store.name if isinstance(store, Manifest) else Path(store).stem
    folder = Path(f"{stem}.{name.rpartition(':')[2]}") if out is None else Path(out)
    return tasks.train(task, signals(store, source), folder, device=device, overwrite=overwrite, quiet=quiet)


@keywords_checked
def evaluate(
    checkpoint: str | Path,
    store: str | Path | Manifest,
    *,
    split: str = "test",
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    source: str | Path | None = None,
) -> Sequence[Measurement]:
    """Measure a checkpoint, or the best one of a run, as `inrzoo evaluate` does.

    Args:
        checkpoint: a file, or the folder of a run.
        store: as of `train`; its conventions are those of the store that was trained on.
        split: what is measured on.
        settings: fields of the task to measure with: `{"test_ways": (5, 20)}`.
        device: `cpu`, `cuda` or `auto`.
        source: local files to read a dataset's signals from.

    Raises:
        InrzooError: no checkpoint, a store of other conventions, or a field that cannot be changed.

    Example:
        >>> fields = {"encoder": "flat_mlp", "batch_size": 8, "steps": 4, "validate_every": 2}
        >>> run = inrzoo.train("classify", "digits.zarr", out="run", quiet=True, **fields)
        >>> [measurement.name for measurement in inrzoo.evaluate("run", "digits.zarr")]
        ['accuracy']
    """
    from inrzoo import tasks

    return tasks.evaluate(Path(checkpoint), signals(store, source), split=split, device=device, **dict(settings or {}))


def signals(store: str | Path | Manifest, source: str | Path | None) -> Data:
    """A store as it was named, or a dataset with the files to read it from.

    Raises:
        InrzooError: `source` beside a store, or an unknown dataset.
    """
    from inrzoo.tasks import UnfittedDataset

    files = None if source is None else Path(source)
    if isinstance(store, Manifest):
        return UnfittedDataset(store, files)
    if files is None:
        return store
    if Path(store).is_dir() or "://" in str(store):
        raise InrzooError(f"--source {source} is for a dataset that is read; {store} is a store")
    return UnfittedDataset(manifest.load(store, trusted=True), files)
