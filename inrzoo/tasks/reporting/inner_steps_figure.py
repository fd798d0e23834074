"""The figure of a run of `end_to_end`: what the INR of a signal says before the first inner step, and after each.

Shape letters: B signals shown, K points of a signal, J pixels of a slice, C channels, I numbers that are adapted.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from inrzoo.checkpoint import read
from inrzoo.coords import grid
from inrzoo.errors import InrzooError
from inrzoo.tasks.contract import Data, Device
from inrzoo.tasks.end_to_end import EndToEnd
from inrzoo.tasks.reporting.figures import draw_signals
from inrzoo.tasks.signal_tasks import label_column, measured
from inrzoo.tasks.signals import SignalPart, SignalSet
from inrzoo.tasks.training.loop import chosen_device

SLICE = (48, 48)
"""Pixels of the slice through the middle of a shape."""


def draw_inner_steps(
    task: EndToEnd, checkpoint: Path, path: Data, out: Path, *, split: str, count: int, device: Device
) -> Path:
    """Draw the INRs that a checkpoint of `end_to_end` makes of signals spread evenly over a split, one row each.

    A row shows the signal with its class, then the INR before the first inner step and after each, with its quality and
    the class that the network would choose. Of values at points in space a slice is shown, where the last coordinate is
    0; the signal there is the value of the nearest of its points.

    Args:
        task: of the checkpoint.
        checkpoint: a file, or the folder of a run for its best checkpoint.
        path: a store or a dataset, as in training.
        out: path of the PNG file.
        split: name of the split.
        count: number of signals.
        device: `cpu`, `cuda`, or `auto`.

    Returns:
        `out`.

    Raises:
        InrzooError: signals are views, or have more axes or channels than a picture.
    """
    chosen = chosen_device(device)
    signals, network = task.tested(path, split, read(checkpoint).module, chosen)
    column = label_column(signals, task.label)
    names = signals.label_names[column]
    part = next(signals.parts(chosen, count))
    where, originals, sizes = shown_places(part, signals)
    rows = [[(names[code], values)] for code, values in zip(part.labels[column].tolist(), originals, strict=True)]
    for step, instances_BI in enumerate(network.inner_loop(part.where, part.values)):
        with torch.no_grad():
            weights_BP = network.weights(instances_BI)
            classes = network.classify(instances_BI).argmax(dim=1).tolist()
            rendered = network.inr(weights_BP, where).cpu()
        name, quality = next(iter(measured(network, weights_BP.detach(), part, signals).items()))
        for number, row in enumerate(rows):
            says = f"{quality[number]:.1f} dB" if name == "PSNR" else f"{name} {quality[number]:.3f}"
            row.append((f"{step} step{'' if step == 1 else 's'}, {says}: {names[classes[number]]}", rendered[number]))
    return draw_signals(rows, sizes, signals.value_range, out)


def shown_places(part: SignalPart, signals: SignalSet) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """Where INRs are shown.

    Returns:
        Coordinates, (K, D) or (J, D); the signals' values there, (B, K, C) or (B, J, C); the sizes of the picture.

    Raises:
        InrzooError: signals are views, or have more axes or channels than a picture.
    """
    channels = part.values.shape[2]
    drawable = channels in (1, 3)
    if signals.coords is not None and (len(signals.grid) == 1 or (len(signals.grid) == 2 and drawable)):
        return part.where, part.values.cpu(), signals.grid
    if signals.coords is None and not signals.observation.on_grid and part.where.shape[2] == 3 and drawable:
        plane_J2 = torch.from_numpy(grid(SLICE, extent=signals.extent)).to(part.where)
        slice_J3 = torch.cat([plane_J2, plane_J2.new_zeros(len(plane_J2), 1)], dim=1)
        nearest_BJ = torch.stack([torch.cdist(slice_J3, points).argmin(dim=1) for points in part.where])
        values = part.values.gather(1, nearest_BJ[..., None].expand(-1, -1, channels))
        return slice_J3, values.cpu(), SLICE
    what = (
        "have views of their own"
        if signals.observation.on_grid and signals.coords is None
        else (f"have {part.where.shape[-1]} coordinates and {channels} channels")
    )
    raise InrzooError(f"inner steps are drawn of pictures, sounds and values in space; these signals {what}")
