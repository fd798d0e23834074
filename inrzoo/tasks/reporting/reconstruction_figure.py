"""Figures of a trained hypernetwork: reconstructions, attention, activations. A generative model has its own.

Shape letters: B signals shown, K coordinates, C channels, A attention heads, G weight tokens, H hidden.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.hypernets import Hypernet, activation_maps, optimise_at_test_time
from inrzoo.hypernets.tokens.token_hypernet import TokenHypernet
from inrzoo.inrs import Perceptron
from inrzoo.tasks.contract import Data, Device, UnfittedDataset
from inrzoo.tasks.evaluation import restored
from inrzoo.tasks.generate import Generate
from inrzoo.tasks.hypernetwork import Hypernetwork
from inrzoo.tasks.reporting.figures import new_figure, save_figure
from inrzoo.tasks.reporting.generation_figure import draw_samples
from inrzoo.tasks.signals import psnr_of
from inrzoo.tasks.training.loop import chosen_device

NEURONS = 4
"""Number of neurons shown of each hidden layer."""


def draw(
    checkpoint: Path, path: Data, out: Path, *, split: str = "test", count: int = 4, device: Device = "auto"
) -> list[Path]:
    """Draw the INRs that a checkpoint of the task `hypernetwork` makes of signals spread evenly over a split.

    One of the task `generate` is drawn by `draw_samples`.

    Args:
        checkpoint: a file, or the folder of a run for its best checkpoint.
        path: a store or a dataset, as in training.
        out: folder of the figures, made here.
        split: name of the split.
        count: number of signals.
        device: `cpu`, `cuda`, or `auto`.

    Returns:
        Paths of the figures. `reconstructions.png` shows original, INR, and INR after test-time optimisation, with
        their PSNR. `attention.png`, for transformers, shows for each matrix the weight token with the most
        concentrated attention, laid over the signal (TransINR Fig. 7). `activations.png`, for perceptrons, shows the
        first neurons of each hidden layer (GINR-IPC Fig. 8).

    Raises:
        InrzooError: the count is below 1, the checkpoint is of another task, or the signals have more than two axes.
    """
    if count < 1:
        raise InrzooError(f"--count {count} is not allowed; it must be at least 1")
    trained = read(checkpoint)
    task = restored(trained, {})
    if isinstance(task, Generate):
        task.require_readable(path)
        assert not isinstance(path, UnfittedDataset), "the line before refuses it"
        return draw_samples(task, checkpoint, path, out, count=count, device=device)
    if not isinstance(task, Hypernetwork):
        name = trained.task["name"]
        raise InrzooError(f"{checkpoint} is a checkpoint of {name}; only hypernetwork and generate can be drawn")
    signals, network = task.restored(path, split, trained.module, chosen_device(device))
    coords, values_BKC, _ = next(signals.parts(chosen_device(device), count))
    if len(network.sizes) > 2 or (len(network.sizes) == 2 and values_BKC.shape[2] not in (1, 3)):
        raise InrzooError(f"signals of grid {network.sizes} and {values_BKC.shape[2]} channels cannot be drawn")
    out.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        weights = {"hypernetwork": network(coords, values_BKC)}
    weights["optimised"] = optimise_at_test_time(
        network, coords, values_BKC, steps=task.test_tto_steps, lr=task.test_tto_lr, part=task.test_tto_part
    )
    rows = [[("original", values) for values in values_BKC]]
    for name, each_BP in weights.items():
        decibels = psnr_of(network, each_BP, coords, values_BKC, signals).tolist()
        rendered_BKC = network.inr(each_BP, coords).detach()
        rows.append([(f"{name}, {db:.1f} dB", one) for db, one in zip(decibels, rendered_BKC, strict=True)])
    paths = [_figure(rows, network.sizes, signals.value_range, out / "reconstructions.png")]
    if isinstance(network, TokenHypernet):
        masked = _attention(network, values_BKC, signals.value_range[0])
        paths.append(_figure(masked, network.sizes, signals.value_range, out / "attention.png"))
    if isinstance(network.inr.kernel(), Perceptron):
        activations = _activations(network, weights["hypernetwork"], coords)
        paths.append(_figure(activations, network.sizes, None, out / "activations.png"))
    return paths


def _attention(network: TokenHypernet, values_BKC: Tensor, darkest: float) -> list[list[tuple[str, Tensor]]]:
    """A row for each matrix: the signals, darkened where its token pays no attention."""
    with torch.no_grad():
        maps = network.attention_maps(values_BKC).mean(dim=1)  # over heads: (B, G, patches along each axis)
    flat_BGT = maps.flatten(2)
    shares_BGT = flat_BGT / flat_BGT.sum(dim=2, keepdim=True)
    entropy_G = -(shares_BGT * shares_BGT.clamp_min(1e-12).log()).sum(dim=2).mean(dim=0)
    rows = []
    for name in dict.fromkeys(network.token_names):
        tokens = [number for number, other in enumerate(network.token_names) if other == name]
        token = min(tokens, key=lambda number: float(entropy_G[number]))
        mode = "linear" if len(network.sizes) == 1 else "bilinear"
        mask = interpolate(maps[:, token, None], size=network.sizes, mode=mode)[:, 0].flatten(1)
        mask_BK1 = (mask / mask.amax(dim=1, keepdim=True))[..., None]
        shown = darkest + mask_BK1 * (values_BKC - darkest)
        rows.append([(f"{name}, token {tokens.index(token)}", one) for one in shown])
    return rows


def _activations(network: Hypernet, weights_BP: Tensor, coords: Tensor) -> list[list[tuple[str, Tensor]]]:
    """A row for each hidden layer and signal: the activations of its first neurons."""
    layers = activation_maps(network.inr, weights_BP, coords)
    return [
        [
            (f"signal {number}, layer {layer}, neuron {neuron}", one[:, neuron, None])
            for neuron in range(min(NEURONS, one.shape[1]))
        ]
        for layer, maps_BKH in enumerate(layers, start=1)
        for number, one in enumerate(maps_BKH)
    ]


def _figure(
    rows: list[list[tuple[str, Tensor]]], sizes: tuple[int, ...], value_range: tuple[float, float] | None, path: Path
) -> Path:
    """Draw signals (K, C) with titles; without a value range each is scaled by itself."""
    columns = max(map(len, rows))
    figure = new_figure(2 * columns, 2.1 * len(rows))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    low, high = value_range or (None, None)
    for row, signals_shown in enumerate(rows):
        for column, (title, values_KC) in enumerate(signals_shown):
            panel: Any = axes[row][column]
            panel.set_title(title, fontsize=6)
            shown = values_KC.reshape(*sizes, -1).cpu().numpy()
            if len(sizes) == 1:
                panel.plot(shown)
            elif shown.shape[2] == 3 and low is not None and high is not None:
                panel.imshow(((shown - low) / (high - low)).clip(0, 1))
            else:
                panel.imshow(shown[..., 0], cmap="gray", vmin=low, vmax=high)
            if len(sizes) == 2:
                panel.axis("off")
    save_figure(figure, path)
    return path
