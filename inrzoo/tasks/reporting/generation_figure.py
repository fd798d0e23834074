"""Figures of a generative model: samples of each class, and the training INRs that are nearest to some.

Shape letters: B samples, K coordinates, C channels, J neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.tasks.contract import Device
from inrzoo.tasks.evaluation import require_same_conventions
from inrzoo.tasks.generate import Generate
from inrzoo.tasks.generative.nearest import nearest_distances
from inrzoo.tasks.reporting.figures import new_figure, save_figure
from inrzoo.tasks.training.loop import chosen_device

NEIGHBOURS = 4
"""J, training INRs that are shown beside a sample."""
MAX_CLASSES = 20
"""Maximum number of classes that are shown."""


def draw_samples(
    task: Generate, checkpoint: Path, path: str | Path, out: Path, *, count: int, device: Device
) -> list[Path]:
    """Draw samples of a checkpoint of the task `generate`.

    Args:
        task: that of the checkpoint.
        checkpoint: a file, or the folder of a run for its best checkpoint.
        path: the store of the training.
        out: folder of the figures, made here.
        count: number of samples of each class.
        device: `cpu`, `cuda`, or `auto`.

    Returns:
        Paths of `samples.png`, with a row for each class, and of `neighbours.png`: the first sample of each class, and
        the training INRs whose functions are nearest, with their root-mean-square difference.

    Raises:
        InrzooError: the store has other conventions, or its signals are no images.
    """
    trained = read(checkpoint)
    require_same_conventions(trained, task, path)
    training = task.items(path, "train")
    store = training.stores[0]
    if len(store.info.grid) != 2 or store.channels not in (1, 3):
        raise InrzooError(f"signals of grid {list(store.info.grid)} and {store.channels} channels cannot be drawn")
    column = task.label_column(training)
    examiner = task.networks(training, trained.module, chosen_device(device)).examiner(training, column)
    names = training.label_names[column][:MAX_CLASSES]
    label = torch.arange(len(names)).repeat_interleave(count)
    vectors = examiner.samples(label, task.test_steps, task.test_guidance, seed=1)
    values_BKC = torch.cat([part.cpu() for part in examiner.values(vectors)])
    grid = [values_BKC[row * count : (row + 1) * count] for row in range(len(names))]
    grey = _Greys(store.info.grid, store.value_range)
    out.mkdir(parents=True, exist_ok=True)
    samples, neighbours = out / "samples.png", out / "neighbours.png"
    _draw(grid, [[""] * count for _ in names], list(names), grey, samples)
    firsts_BKC = values_BKC[::count]
    parts = (part.flatten(1).cpu() for part in examiner.values_of(training))
    distance, number = nearest_distances(firsts_BKC.flatten(1), parts, NEIGHBOURS)
    found_BKC = torch.cat(
        [part.cpu() for part in examiner.values_of(training.subset(number.flatten().unique().numpy()))]
    )
    place = torch.searchsorted(number.flatten().unique(), number)
    rows = [torch.cat([first[None], found_BKC[at]]) for first, at in zip(firsts_BKC, place, strict=True)]
    titles = [["sample", *(f"{each:.3f}" for each in row)] for row in distance.tolist()]
    _draw(rows, titles, list(names), grey, neighbours)
    return [samples, neighbours]


class _Greys:
    """Values (K, C) as pictures from 0 to 1."""

    def __init__(self, sizes: Sequence[int], value_range: tuple[float, float]) -> None:
        self._sizes, (self._low, self._high) = sizes, value_range

    def __call__(self, values: Tensor) -> Any:
        shown = ((values - self._low) / (self._high - self._low)).clamp(0, 1)
        return shown.unflatten(0, tuple(self._sizes)).squeeze(-1).numpy()


def _draw(
    rows: Sequence[Tensor], titles: Sequence[Sequence[str]], names: Sequence[str], grey: _Greys, path: Path
) -> None:
    """Draw a row of pictures for each class."""
    columns = max(map(len, rows))
    figure = new_figure(0.75 * columns + 0.5, 0.8 * len(rows))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, line, name, panels in zip(rows, titles, names, axes, strict=True):
        panels[0].set_ylabel(name, fontsize=7, rotation=0, labelpad=10, parse_math=False)
        for values, title, panel in zip(row, line, panels, strict=True):
            panel.imshow(grey(values), cmap="gray", vmin=0, vmax=1)
            panel.set_title(title, fontsize=5, pad=1)
            panel.set_xticks([])
            panel.set_yticks([])
    save_figure(figure, path, dpi=80)
