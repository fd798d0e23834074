"""The input of an encoder: weights, canonical weights or the signal, normalised by the training split.

Shape letters: B batch of INRs, P numbers of one INR, K coordinates, C channels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from inrzoo import registry
from inrzoo.encoders import Domain, Encoder, pixel_layout
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.loaders import WeightBatch, WeightDataset
from inrzoo.loaders.normalise import Normalise, measured_normaliser, normaliser
from inrzoo.store import Store
from inrzoo.tasks.training.batches import in_order
from inrzoo.weights import WeightLayout

Kind = Literal["weights", "canonical", "signals"]
ROWS_AT_ONCE = 512
"""INRs that are read at once to compute statistics."""


def make_encoder(table: Mapping[str, Any], layout: WeightLayout, store: Store) -> Encoder:
    """The encoder of a table, for numbers in a layout; one that reads the function takes the INR of a store, too."""
    encoder: Encoder = registry.make("encoders", table, layout=layout, inr=store.inr, domain=domain_of(store))
    return encoder


def domain_of(store: Store) -> Domain:
    """Return where the functions of a store were fitted."""
    info, extent = store.info, store.info.manifest.coords.extent
    if info.arrays:  # points or views of each signal's own
        return Domain(extent=extent)
    return Domain(extent=extent, sizes=info.grid, coords=torch.from_numpy(store.coords()))


def normalisation(kind: Normalise, encoder: Encoder) -> Normalise:
    """The normalisation of weights that an option names, for an encoder.

    `auto` is `none` for an encoder that takes weights as they were fitted: it evaluates the INR, or phases. It is per
    tensor for an encoder whose features do not depend on the numbering of neurons: it treats neurons alike, and
    would multiply numbers of different units if each had its own. For others it is what the loaders take: per parameter
    if all INRs of a seed start at the same weights, else per tensor.

    Raises:
        InrzooError: the encoder takes weights as they were fitted, and they would be normalised.
    """
    if not encoder.normalised:
        if kind not in ("auto", "none"):
            name = registry.name_of("encoders", type(encoder))
            raise InrzooError(
                f"normalise = {kind!r} is not allowed: {name} takes weights as they were fitted; use auto or none"
            )
        return "none"
    return "per_tensor" if kind == "auto" and "permutation" in encoder.symmetries else kind


class Freezable(nn.Module):
    """A network whose encoder stays in evaluation mode, without dropout, if it is frozen."""

    encoder: Encoder

    def __init__(self, frozen: bool) -> None:
        super().__init__()
        self._frozen = frozen

    def train(self, mode: bool = True) -> Self:
        """As torch does, but for a frozen encoder."""
        super().train(mode)
        if self._frozen:
            self.encoder.eval()
        return self


class EncoderInputs(nn.Module):
    """Takes the encoder's numbers from a batch (`read`) and normalises them (`forward`).

    Mean and standard deviation are buffers: a checkpoint carries them, so that another store is normalised as the
    training split was.

    Args:
        dataset: of the store, not normalised, with its signals if the encoder reads them.
        kind: `weights`, `canonical` for the weights' `INR.canonicalise`, `signals` for the pixels that were fitted.
        layers: `all`, or `first-k` for the tensors of the first k layers alone (Table 6 of the few-shot paper).

    Attributes:
        layout: of the numbers that `read` and `forward` return.
    """

    mean: Tensor
    std: Tensor
    columns: Tensor

    def __init__(self, dataset: WeightDataset, kind: Kind, layers: str) -> None:
        super().__init__()
        self._kind, self._inr, self._whole = kind, dataset.inr, dataset.layout
        if kind == "signals":
            grid = list(dataset.stores[0].info.grid)
            if len(grid) != 2:
                raise InrzooError(f'inputs = "signals" are images; those of this store have a grid of {grid}')
            self._whole = pixel_layout(grid, dataset.inr.out_features)
        self.layout, columns = _first_layers(self._whole, layers)
        self.register_buffer("columns", columns, persistent=False)
        self.register_buffer("mean", torch.zeros(len(columns)))
        self.register_buffer("std", torch.ones(len(columns)))

    def read(self, batch: WeightBatch, quarter_turns_B: Tensor | None = None) -> Tensor:
        """Numbers (B, P) of a batch that is not normalised.

        Args:
            batch: B INRs.
            quarter_turns_B: int64; the number of right angles by which each signal is turned first: weights exactly,
                by `INR.transform_coords`, images by moving their pixels.
        """
        if self._kind == "signals":
            assert batch.targets is not None, "the dataset was loaded with its signals"
            values = batch.targets.flatten(1)
            return (values if quarter_turns_B is None else self._turn_pixels(values, quarter_turns_B))[:, self.columns]
        weights = batch.weights
        if quarter_turns_B is not None:
            weights = turned(self._inr, weights, quarter_turns_B)
        return self.of_weights(weights)

    def of_weights(self, weights: Tensor) -> Tensor:
        """Numbers (B, P) of weights as they were fitted: canonical if the encoder reads those, and of the first layers.

        Raises:
            InrzooError: the encoder reads signals.
        """
        if self._kind == "signals":
            raise InrzooError('inputs = "signals" read signals, and no weights')
        if self._kind == "canonical":
            weights = self._inr.canonicalise(weights)
        return weights if len(self.columns) == weights.shape[1] else weights[:, self.columns]

    def forward(self, numbers: Tensor) -> Tensor:
        """Normalised numbers, (B, P)."""
        return (numbers - self.mean) / self.std

    def fit(self, dataset: WeightDataset, kind: Normalise) -> None:
        """Set mean and standard deviation from a training split.

        Weights use the store's own statistics of its training split. Canonical weights and signals use statistics of
        `dataset`, computed in two passes. `auto` is per parameter if all INRs of a seed start at the same weights, else
        per tensor; for signals it is per tensor, one number for all pixels. `normalisation` decides before, by encoder.
        """
        if self._kind == "weights":
            statistics = normaliser(dataset.stores, dataset.rows.views, kind)
            self.mean.copy_(statistics.mean[self.columns.cpu()])
            self.std.copy_(statistics.std[self.columns.cpu()])
            return
        stored = normaliser(dataset.stores, dataset.rows.views, kind).kind
        used = "per_tensor" if self._kind == "signals" and kind == "auto" else stored
        if used != "none":
            statistics = measured_normaliser(
                lambda: (self.read(batch) for batch in in_order(dataset, ROWS_AT_ONCE)), self.layout, used
            )
            self.mean.copy_(statistics.mean)
            self.std.copy_(statistics.std)

    def _turn_pixels(self, values: Tensor, quarter_turns_B: Tensor) -> Tensor:
        rows, cols, channels = self._whole.tensors[0].shape
        if rows != cols:
            raise InrzooError(f"only square images can be turned by right angles; these are {rows} × {cols}")
        images = values.reshape(-1, rows, cols, channels)
        turns = [torch.rot90(images, number, dims=(1, 2)) for number in range(4)]
        return torch.stack(turns)[quarter_turns_B % 4, torch.arange(len(values), device=values.device)].flatten(1)


def turned(inr: INR, weights: Tensor, quarter_turns_B: Tensor) -> Tensor:
    """Weights of the signals turned by right angles about the middle of the plane. Shape (B, P) to (B, P).

    Raises:
        InrzooError: the INR has other than two coordinates.
    """
    if inr.in_features != 2:
        raise InrzooError(f"only plane signals can be turned; this INR has {inr.in_features} coordinates")
    angle = quarter_turns_B.to(weights.device, torch.float64) * (math.pi / 2)
    cos, sin = angle.cos().round(), angle.sin().round()
    matrix = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    return inr.transform_coords(weights, matrix, matrix.new_zeros(len(weights), 2))


def _first_layers(whole: WeightLayout, layers: str) -> tuple[WeightLayout, Tensor]:
    """Layout of the first layers, and the columns of their numbers; the number in a tensor's name is its layer."""
    if layers == "all":
        return whole, torch.arange(whole.num_params)
    numbers = [int(match[1]) if (match := re.fullmatch(r".*_(\d+)", tensor.name)) else 0 for tensor in whole.tensors]
    choice = re.fullmatch(r"first-(\d+)", layers)
    if not choice or not 1 <= int(choice[1]) <= max(numbers) + 1:
        raise InrzooError(f"layers = {layers!r} is not allowed; expected all, or first-1 to first-{max(numbers) + 1}")
    tensors = [tensor for tensor, number in zip(whole.tensors, numbers, strict=True) if number < int(choice[1])]
    columns = torch.cat([torch.arange(tensor.size) + whole.offsets[tensor.name] for tensor in tensors])
    return WeightLayout(tuple(tensors)), columns
