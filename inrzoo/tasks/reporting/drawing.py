"""Draws what a trained network makes of signals or INRs: the figures of its task."""

from __future__ import annotations

from pathlib import Path

from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.tasks.autoencode import Autoencode
from inrzoo.tasks.contract import Data, Device, UnfittedDataset
from inrzoo.tasks.edit import Edit
from inrzoo.tasks.end_to_end import EndToEnd
from inrzoo.tasks.evaluation import restored
from inrzoo.tasks.generate import Generate
from inrzoo.tasks.hypernetwork import Hypernetwork
from inrzoo.tasks.novel_views import NovelViews
from inrzoo.tasks.reporting.autoencoder_figure import draw_autoencoder
from inrzoo.tasks.reporting.edit_figure import draw_edits
from inrzoo.tasks.reporting.generation_figure import draw_samples
from inrzoo.tasks.reporting.inner_steps_figure import draw_inner_steps
from inrzoo.tasks.reporting.reconstruction_figure import draw_reconstructions
from inrzoo.tasks.reporting.views_figure import draw_views


def draw(
    checkpoint: Path, path: Data, out: Path, *, split: str = "test", count: int = 4, device: Device = "auto"
) -> list[Path]:
    """Draw what a checkpoint makes of signals or INRs spread evenly over a split, or samples of a generator.

    Args:
        checkpoint: of the task `hypernetwork`, `end_to_end`, `novel_views`, `autoencode`, `edit` or `generate`: a file,
            or the folder of a run for its best checkpoint.
        path: a store or, for a task that learns from signals, a dataset, as in training.
        out: folder of the figures, made here.
        split: name of the split.
        count: number of signals or INRs; of a generator, of samples of each class.
        device: `cpu`, `cuda`, or `auto`.

    Returns:
        Paths of the figures; see `draw_reconstructions`, `draw_inner_steps`, `draw_views`, `draw_autoencoder`,
        `draw_edits`, `draw_samples`.

    Raises:
        InrzooError: the count is below 1, the checkpoint is of another task, or its figures cannot show such signals.
    """
    if count < 1:
        raise InrzooError(f"--count {count} is not allowed; it must be at least 1")
    trained = read(checkpoint)
    task = restored(trained, {})
    if isinstance(task, Hypernetwork):
        return draw_reconstructions(checkpoint, path, out, split=split, count=count, device=device)
    if isinstance(task, EndToEnd):
        return [
            draw_inner_steps(task, checkpoint, path, out / "inner_steps.png", split=split, count=count, device=device)
        ]
    if isinstance(task, NovelViews):
        return [draw_views(task, checkpoint, path, out / "views.png", split=split, count=count, device=device)]
    if not isinstance(task, Autoencode | Edit | Generate):
        raise InrzooError(
            f"{checkpoint} is a checkpoint of the task {trained.task['name']}; hypernetwork, end_to_end, novel_views, "
            "autoencode, edit and generate can be drawn"
        )
    task.require_readable(path)
    assert not isinstance(path, UnfittedDataset), "the line before refuses it"
    if isinstance(task, Generate):
        return draw_samples(task, checkpoint, path, out, count=count, device=device)
    if isinstance(task, Autoencode):
        return draw_autoencoder(checkpoint, path, out, split=split, count=count, device=device)
    return [draw_edits(checkpoint, path, out / "edits.png", split=split, count=count, device=device)]
