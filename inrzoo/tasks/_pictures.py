"""Pictures of a trained hypernetwork: reconstructions, attention, activations.

Shape letters: B signals shown, K coordinates, C channels, A attention heads, G weight tokens, H hidden.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.hypernets import Hypernet, activation_maps, optimise_at_test_time
from inrzoo.hypernets._token_hypernet import TokenHypernet
from inrzoo.inrs import Perceptron
from inrzoo.store.files import write_atomically
from inrzoo.tasks import Device
from inrzoo.tasks._checkpoint import load_module, read
from inrzoo.tasks._loop import chosen_device
from inrzoo.tasks._signals import psnr_of
from inrzoo.tasks.hypernetwork import Hypernetwork

NEURONS = 4


def draw(
    checkpoint: Path, path: str | Path, out: Path, *, split: str = "test", count: int = 4, device: Device = "auto"
) -> list[Path]:
    """Draw what a checkpoint of the task `hypernetwork` makes of some signals of a split, spread evenly over it.

    Args:
        checkpoint: a file, or the folder of a run for its best one.
        path: of the store, or a dataset, as in training.
        out: folder, made here.
        count: signals.

    Returns:
        `reconstructions.png`: original, INR, INR after test-time optimisation, with their PSNR. `attention.png`, of
        transformers: for each matrix the weight token whose attention is the most concentrated, laid over the signal
        (TransINR Fig. 7). `activations.png`, of perceptrons: the first neurons of each hidden layer (GINR-IPC Fig. 8).

    Raises:
        InrzooError: a count below 1, a checkpoint of another task, or signals that are neither plane nor of one axis.
    """
    if count < 1:
        raise InrzooError(f"--count = {count} is not allowed; it must be at least 1")
    found = read(checkpoint)
    task = registry.make("tasks", found.task)
    if not isinstance(task, Hypernetwork):
        raise InrzooError(f"{checkpoint} is a checkpoint of the task {found.task['name']}; hypernetwork can be drawn")
    among = task.signals(path, split)
    network = task.network(among).to(chosen_device(device)).eval()
    load_module(network, found.module)
    coords, values_BKC, _ = next(among.parts(chosen_device(device), count))
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
        decibels = psnr_of(network, each_BP, coords, values_BKC, among).tolist()
        rendered_BKC = network.inr(each_BP, coords).detach()
        rows.append([(f"{name}, {db:.1f} dB", one) for db, one in zip(decibels, rendered_BKC, strict=True)])
    made = [_figure(rows, network.sizes, among.value_range, out / "reconstructions.png")]
    if isinstance(network, TokenHypernet):
        masked = _attention(network, values_BKC, among.value_range[0])
        made.append(_figure(masked, network.sizes, among.value_range, out / "attention.png"))
    if isinstance(network.inr.kernel(), Perceptron):
        made.append(
            _figure(
                _activations(network, weights["hypernetwork"], coords), network.sizes, None, out / "activations.png"
            )
        )
    return made


def _attention(network: TokenHypernet, values_BKC: Tensor, darkest: float) -> list[list[tuple[str, Tensor]]]:
    """A row for each matrix: signals, dark where its token does not look."""
    with torch.no_grad():
        maps = network.attention_maps(values_BKC).mean(dim=1)  # over heads: (B, G, patches along each axis)
    flat_BGT = maps.flatten(2)
    shares_BGT = flat_BGT / flat_BGT.sum(dim=2, keepdim=True)
    entropy_G = -(shares_BGT * shares_BGT.clamp_min(1e-12).log()).sum(dim=2).mean(dim=0)
    rows = []
    for name in dict.fromkeys(network.token_names):
        of_name = [number for number, other in enumerate(network.token_names) if other == name]
        token = min(of_name, key=lambda number: float(entropy_G[number]))
        mode = "linear" if len(network.sizes) == 1 else "bilinear"
        mask = interpolate(maps[:, token, None], size=network.sizes, mode=mode)[:, 0].flatten(1)
        mask_BK1 = (mask / mask.amax(dim=1, keepdim=True))[..., None]
        shown = darkest + mask_BK1 * (values_BKC - darkest)
        rows.append([(f"{name}, token {of_name.index(token)}", one) for one in shown])
    return rows


def _activations(network: Hypernet, weights_BP: Tensor, coords: Tensor) -> list[list[tuple[str, Tensor]]]:
    """A row for each hidden layer and signal: its first neurons."""
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
    """Signals (K, C) with titles, on a scale of their own where there is no value range."""
    from matplotlib.figure import Figure

    columns = max(map(len, rows))
    figure = Figure(figsize=(2 * columns, 2.1 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    low, high = value_range or (None, None)
    for row, signals_shown in enumerate(rows):
        for column, (title, values_KC) in enumerate(signals_shown):
            place: Any = axes[row][column]
            place.set_title(title, fontsize=6)
            shown = values_KC.reshape(*sizes, -1).cpu().numpy()
            if len(sizes) == 1:
                place.plot(shown)
            elif shown.shape[2] == 3 and low is not None and high is not None:
                place.imshow(((shown - low) / (high - low)).clip(0, 1))
            else:
                place.imshow(shown[..., 0], cmap="gray", vmin=low, vmax=high)
            if len(sizes) == 2:
                place.axis("off")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    write_atomically(path, picture.getvalue())
    return path
