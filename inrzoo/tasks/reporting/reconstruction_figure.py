"""Figures of a trained hypernetwork: reconstructions, attention, activations.

Shape letters: B signals shown, K coordinates, C channels, A attention heads, G weight tokens, H hidden.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.hypernets import Hypernet, activation_maps, optimise_at_test_time
from inrzoo.hypernets.tokens.token_hypernet import TokenHypernet
from inrzoo.inrs import Perceptron
from inrzoo.tasks.contract import Data, Device
from inrzoo.tasks.evaluation import restored
from inrzoo.tasks.hypernetwork import Hypernetwork
from inrzoo.tasks.reporting.figures import draw_signals
from inrzoo.tasks.signal_tasks import measured
from inrzoo.tasks.training.loop import chosen_device

NEURONS = 4
"""Number of neurons shown of each hidden layer."""


def draw_reconstructions(
    checkpoint: Path, path: Data, out: Path, *, split: str = "test", count: int = 4, device: Device = "auto"
) -> list[Path]:
    """Draw INRs that a checkpoint of the task `hypernetwork` makes of signals spread evenly over a split.

    Args:
        checkpoint: a file, or the folder of a run for its best checkpoint.
        path: a store or a dataset, as in training.
        out: folder of the figures, made here.
        split: name of the split.
        count: number of signals.
        device: `cpu`, `cuda`, or `auto`.

    Returns:
        Paths of the figures. `reconstructions.png` shows original, INR, and INR after test-time optimisation if the
        task has any, with their PSNR. `attention.png`, for transformers, shows for each matrix the weight token with
        the most concentrated attention, laid over a picture or drawn over a sound, as a share of its highest (TransINR
        Fig. 7). `activations.png`, for perceptrons, shows the first neurons of each hidden layer (GINR-IPC Fig. 8).

    Raises:
        InrzooError: the checkpoint is of another task, or the signals have more than two axes, or points of their own.
    """
    trained = read(checkpoint)
    task = restored(trained, {})
    if not isinstance(task, Hypernetwork):
        raise InrzooError(f"{checkpoint} is a checkpoint of the task {trained.task['name']}, not of hypernetwork")
    signals, network = task.restored(path, split, trained.module, chosen_device(device))
    if signals.coords is None:
        raise InrzooError("signals with points or views of their own cannot be drawn as pictures")
    part = next(signals.parts(chosen_device(device), count))
    coords, values_BKC = part.where, part.values
    if len(network.sizes) > 2 or (len(network.sizes) == 2 and values_BKC.shape[2] not in (1, 3)):
        raise InrzooError(f"signals of grid {network.sizes} and {values_BKC.shape[2]} channels cannot be drawn")
    out.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        weights = {"hypernetwork": network(coords, values_BKC)}
    if task.test_tto_steps:
        weights["optimised"] = optimise_at_test_time(
            network, coords, values_BKC, steps=task.test_tto_steps, lr=task.test_tto_lr, part=task.test_tto_part
        )
    rows = [[("original", values) for values in values_BKC]]
    for name, each_BP in weights.items():
        decibels = measured(network, each_BP, part, signals)["PSNR"].tolist()
        rendered_BKC = network.inr(each_BP, coords).detach()
        rows.append([(f"{name}, {db:.1f} dB", one) for db, one in zip(decibels, rendered_BKC, strict=True)])
    paths = [draw_signals(rows, network.sizes, signals.value_range, out / "reconstructions.png")]
    if isinstance(network, TokenHypernet):
        masked = _attention(network, values_BKC, signals.value_range[0])
        paths.append(draw_signals(masked, network.sizes, signals.value_range, out / "attention.png"))
    if isinstance(network.inr.kernel(), Perceptron):
        activations = _activations(network, weights["hypernetwork"], coords)
        paths.append(draw_signals(activations, network.sizes, None, out / "activations.png"))
    return paths


def _attention(network: TokenHypernet, values_BKC: Tensor, darkest: float) -> list[list[tuple[str, Tensor]]]:
    """A row for each matrix: pictures, darkened where its token pays no attention; sounds, and the attention beside."""
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
        if len(network.sizes) == 1:
            shown = torch.cat([values_BKC, mask_BK1], dim=2)
        else:
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
