"""Figure of edits: what INRs say before and after a change of their weights, and the edited signals."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.tasks.contract import Data, Device
from inrzoo.tasks.edit import load_editor
from inrzoo.tasks.reporting.figures import draw_signals


def draw_edits(
    checkpoint: Path, path: Data, out: Path, *, split: str = "test", count: int = 4, device: Device = "auto"
) -> Path:
    """Draw INRs before and after an edit, with the error of each, and the edited signals.

    Args:
        checkpoint: of the task `edit`: a file, or the folder of a run for its best checkpoint.
        path: a store as in training.
        out: path of the PNG file.
        split: name of the split.
        count: number of INRs, spread evenly over the split.
        device: `cpu`, `cuda`, or `auto`.

    Returns:
        `out`.

    Raises:
        InrzooError: the signals are neither curves nor images of one or three channels.
    """
    editor = load_editor(checkpoint, path, split=split, device=device)
    space = editor.space
    if len(space.grid) > 2 or (len(space.grid) == 2 and space.inr.out_features not in (1, 3)):
        raise InrzooError(f"signals of grid {space.grid} and {space.inr.out_features} channels cannot be drawn")
    rows: list[list[tuple[str, Tensor]]] = [[], [], []]
    with torch.no_grad():
        for batch in editor.batches(count):
            after_B, before_B = editor.errors(batch).unbind(1)
            columns = (
                [f"INR, MSE {error:.4f}" for error in before_B],
                [f"edited, MSE {error:.4f}" for error in after_B],
                ["edited signal"] * len(batch),
            )
            values = (space.render(batch.weights), space.render(editor.edited(batch.weights)), editor.targets(batch))
            for row, titles, signals in zip(rows, columns, values, strict=True):
                row += zip(titles, signals, strict=True)
    return draw_signals(rows, space.grid, space.value_range, out)
