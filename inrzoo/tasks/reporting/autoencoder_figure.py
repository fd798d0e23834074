"""Figures of a trained autoencoder: what it makes of INRs, and what lies between their codes.

Shape letters: B INRs shown, F numbers of a code.
"""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.rendering.thumbnails import has_thumbnails, thumbnails
from inrzoo.tasks.autoencode import Autoencode, Autoencoder
from inrzoo.tasks.contract import Device
from inrzoo.tasks.evaluation import require_same_conventions, restored
from inrzoo.tasks.reporting.figures import new_figure, save_figure
from inrzoo.tasks.signal_targets import AGAINST_INR, SignalTargets
from inrzoo.tasks.training.loop import chosen_device

BETWEEN = 8
"""Number of codes on the line from one INR's to another's, both included."""


def draw_autoencoder(
    checkpoint: Path, path: str | Path, out: Path, *, split: str = "test", count: int = 6, device: Device = "auto"
) -> list[Path]:
    """Draw what the checkpoint of an autoencoder makes of INRs spread evenly over a split.

    Args:
        checkpoint: a file, or the folder of a run for its best checkpoint.
        path: folder or URL of a store, as in training.
        out: folder of the figures, made here.
        split: name of the split.
        count: number of INRs.
        device: `cpu`, `cuda`, or `auto`.

    Returns:
        Paths of the figures. `reconstructions.png` shows INRs, and below each what is decoded from its code, with the
        PSNR of the one against the other in dB. `interpolations.png` has a row for each two INRs in turn: what is
        decoded on the straight line from the one's code to the other's.

    Raises:
        InrzooError: the count is below 2, the split has one INR, the checkpoint is of another task, the store has other
            conventions, or there are no pictures of its signals.
    """
    if count < 2:
        raise InrzooError(f"--count {count} is not allowed; it must be at least 2, as codes lie between two INRs")
    trained = read(checkpoint)
    task = restored(trained, {})
    if not isinstance(task, Autoencode):
        raise InrzooError(f"{checkpoint} is a checkpoint of the task {trained.task['name']}, not of autoencode")
    require_same_conventions(trained, task, path)
    torch_device = chosen_device(device)
    dataset = task.dataset(path, split)
    store = dataset.stores[0]
    if not has_thumbnails(store):
        raise InrzooError(f"there are no pictures of the signals of {path}: they are values at points")
    if len(dataset) < 2:
        raise InrzooError(f"split {split} of {path} has one INR; codes lie between two")
    dataset = dataset.evenly(count)
    network = task.restored(dataset, trained.module, torch_device)
    batch = network.weights.prepared(dataset)[:].to(torch_device)
    with torch.no_grad():
        codes_BF = network.codes(batch)
    measured = SignalTargets(store, task.against).measured(batch, network.decoder, codes_BF).get(AGAINST_INR)
    names = ["decoded"] * len(codes_BF) if measured is None else [f"decoded, {db:.1f} dB" for db in measured.tolist()]
    signals_B = batch.signal.cpu().numpy()
    originals = thumbnails(store, signals_B, SignalTargets(store, task.against).weights(batch).numpy())
    rows = [
        [("INR", picture) for picture in originals],
        list(zip(names, _decoded(network, store, signals_B, codes_BF), strict=True)),
    ]
    shares = torch.linspace(0, 1, BETWEEN)[:, None].to(torch_device)
    titles = [f"{share:.2f}" for share in shares[:, 0].tolist()]
    between = []
    for signal, (first, second) in zip(signals_B, pairwise(codes_BF), strict=False):
        pictures = _decoded(network, store, np.full(BETWEEN, signal), torch.lerp(first, second, shares))
        between.append(list(zip(titles, pictures, strict=True)))
    return [_figure(rows, out / "reconstructions.png"), _figure(between, out / "interpolations.png")]


def _decoded(network: Autoencoder, store: Any, signals_B: np.ndarray, codes_BF: Tensor) -> list[bytes | None]:
    """Pictures of codes, drawn on the CPU."""
    decoder = network.decoder.cpu()
    return thumbnails(store, signals_B, codes_BF.cpu().numpy(), lambda inr, codes, where: decoder(codes, where))


def _figure(rows: list[list[tuple[str, bytes | None]]], path: Path) -> Path:
    """Draw pictures with titles; nothing where there is no picture."""
    from PIL import Image

    columns = max(map(len, rows))
    figure = new_figure(1.3 * columns, 1.5 * len(rows))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for panel in axes.flat:
        panel.axis("off")
    for row, pictures in zip(axes, rows, strict=True):
        for panel, (title, content) in zip(row, pictures, strict=False):
            panel.set_title(title, fontsize=7)
            if content is not None:
                picture = Image.open(io.BytesIO(content), formats=["PNG"]).convert("RGB")
                panel.imshow(np.asarray(picture), interpolation="nearest")
    save_figure(figure, path)
    return path
