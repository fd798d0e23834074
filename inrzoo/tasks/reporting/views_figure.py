"""The figure of a hypernetwork on posed views: support views, and held-out views beside what it predicts of them.

Shape letters: B objects shown, P numbers of one INR, W held-out views, K pixels of a view, C channels.
"""

from __future__ import annotations

from pathlib import Path

import torch

from inrzoo.checkpoint import read
from inrzoo.tasks.contract import Data, Device
from inrzoo.tasks.novel_views import HELD_OUT, NovelViews
from inrzoo.tasks.reporting.figures import draw_signals
from inrzoo.tasks.signal_tasks import measured
from inrzoo.tasks.training.loop import chosen_device
from inrzoo.tasks.views import ViewSet

SHOWN = 2
"""Maximum number of held-out views of an object."""


def draw_views(
    task: NovelViews, checkpoint: Path, path: Data, out: Path, *, split: str, count: int, device: Device
) -> Path:
    """Draw what a checkpoint of `novel_views` predicts of objects spread evenly over a split, one row each.

    A row shows the support views, as many as the smallest number in training; then held-out views, each beside its
    prediction before and after test-time optimisation, with the mean PSNR of the held-out views of that object.

    Args:
        task: of the checkpoint.
        checkpoint: a file, or the folder of a run for its best checkpoint.
        path: a store or a dataset, as in training.
        out: path of the PNG file.
        split: name of the split.
        count: number of objects.
        device: `cpu`, `cuda`, or `auto`.

    Returns:
        `out`.
    """
    chosen = chosen_device(device)
    signals, network = task.restored(path, split, read(checkpoint).module, chosen)
    size = signals.grid[1:]
    pixels = size[0] * size[1]
    rows = []
    for part in ViewSet(signals=signals).parts(count):
        given = part.given(min(task.support_views), chosen)
        assert given.targets.held_out is not None, "posed views have held-out ones"
        rays, truths = (torch.from_numpy(each[:, : SHOWN * pixels]) for each in given.targets.held_out)
        support = given.values.unflatten(1, (-1, pixels)).cpu()
        columns = [[("support view", view) for view in views] for views in support]
        stages = {("optimised" if name else "predicted"): each for name, each in task.stages(network, given).items()}
        decibels = {name: measured(network, each, given, signals)[HELD_OUT] for name, each in stages.items()}
        with torch.no_grad():
            shown = {name: network.predict(each, rays.to(chosen)).cpu() for name, each in stages.items()}
        for number, row in enumerate(columns):
            for view in range(rays.shape[1] // pixels):
                part_of = slice(view * pixels, (view + 1) * pixels)
                row.append(("held-out view", truths[number, part_of]))
                row += [
                    (f"{name}, {float(decibels[name][number]):.1f} dB", each[number, part_of])
                    for name, each in shown.items()
                ]
        rows += columns
    return draw_signals(rows, size, signals.value_range, out)
