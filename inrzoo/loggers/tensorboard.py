"""TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from inrzoo.extras import needed, require
from inrzoo.loggers import Logger, RunSettings, Status

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

WHAT = "the logger tensorboard"
"""The work that needs the extra, for its error."""


class Tensorboard(Logger):
    """Event files for TensorBoard, in the run's folder: `tensorboard --logdir RUN` shows them.

    Args:
        folder: name of a folder inside of the run's.

    Raises:
        MissingPackageError: the extra `tensorboard` is not installed.
    """

    def __init__(self, folder: str = "tensorboard") -> None:
        require("tensorboard", WHAT, "tensorboard")
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def begin(self, run: RunSettings) -> None:
        """Open an event file; a new run removes those of another."""
        with needed("tensorboard", WHAT):
            from torch.utils.tensorboard import SummaryWriter
        folder = run.folder / self._folder
        if not run.step:
            for file in folder.glob("events.out.tfevents.*"):
                file.unlink()
        self._writer = SummaryWriter(str(folder))
        if not run.step:
            settings = json.dumps({"data": run.data, **run.task}, indent=2)
            self._writer.add_text("settings", "".join(f"    {line}\n" for line in settings.splitlines()))

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write one scalar for each number: `train_loss` under `train/loss`."""
        assert self._writer is not None
        for name, number in numbers.items():
            split, _, rest = name.partition("_")
            self._writer.add_scalar(f"{split}/{rest}" if split in ("train", "validation") else name, number, step)
        self._writer.flush()

    def picture(self, step: int, name: str, file: Path) -> None:
        """Write the picture as an image."""
        assert self._writer is not None
        self._writer.add_image(
            name, np.asarray(Image.open(file, formats=["PNG"]).convert("RGB")), step, dataformats="HWC"
        )

    def end(self, status: Status) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
