"""Decoders of codes: a code of an INR becomes values at coordinates.
Formulas: docs/derivations/autoencoding.md#decoders.

Shape letters: B codes, F numbers of a code, K coordinates, D their dimensions, C channels, P parameters, M basis
functions, H hidden.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import pairwise

import torch
from torch import Tensor, nn

from inrzoo.inrs import INR

LARGEST_START = 0.1
"""Standard deviation of the change of weights that a new `WeightDecoder` makes, in those of the training split."""


class CodeDecoder(nn.Module, ABC):
    """Maps codes (B, F) to functions of a coordinate."""

    @abstractmethod
    def forward(self, code: Tensor, coords: Tensor) -> Tensor:
        """Values (B, K, C) of codes (B, F) at coordinates, (K, D) for all of them or (B, K, D)."""


class PositionalEncoding(nn.Module):
    """x ↦ (x, sin 2⁰x, cos 2⁰x, …, sin 2ⁿ⁻¹x, cos 2ⁿ⁻¹x) with x in units of the extent: inr2vec's, without π.

    Args:
        num_axes: D.
        extent: highest coordinate.
        octaves: n.

    Attributes:
        out_features: D (1 + 2n).

    Example:
        >>> PositionalEncoding(2, extent=1.0, octaves=3)(torch.zeros(5, 2)).shape
        torch.Size([5, 14])
    """

    def __init__(self, num_axes: int, extent: float, octaves: int) -> None:
        super().__init__()
        self.extent, self.octaves = extent, octaves
        self.out_features = num_axes * (1 + 2 * octaves)

    def forward(self, coords: Tensor) -> Tensor:
        """Features (..., out_features) of coordinates (..., D)."""
        unit = coords / self.extent
        angles = [unit * 2.0**octave for octave in range(self.octaves)]
        return torch.cat([unit, *(wave(angle) for angle in angles for wave in (torch.sin, torch.cos))], dim=-1)


class MlpDecoder(CodeDecoder):
    """inr2vec's decoder: an MLP of a code and an encoded coordinate, which enter twice, before and after two layers.

    The map of the two, joined, is the sum of a map of each: a code is mapped once for all coordinates.

    Args:
        code_features: F.
        out_features: C.
        encoding: of coordinates.
        hidden_features: H.
    """

    def __init__(
        self, code_features: int, out_features: int, encoding: PositionalEncoding, hidden_features: int
    ) -> None:
        super().__init__()
        self.encoding = encoding
        self.code = nn.ModuleList(nn.Linear(code_features, hidden_features) for _ in range(2))
        self.coords = nn.ModuleList(nn.Linear(encoding.out_features, hidden_features, bias=False) for _ in range(2))
        self.before, self.after = (
            nn.Sequential(
                *(layer for _ in range(2) for layer in (nn.Linear(hidden_features, hidden_features), nn.ReLU()))
            )
            for _ in range(2)
        )
        self.out = nn.Linear(hidden_features, out_features)

    def forward(self, code: Tensor, coords: Tensor) -> Tensor:
        """See `CodeDecoder.forward`."""
        encoded = self.encoding(coords)
        first, second = (
            (of_code(code)[:, None] + of_coords(encoded)).relu()
            for of_code, of_coords in zip(self.code, self.coords, strict=True)
        )
        values: Tensor = self.out(self.after(self.before(first) + second))
        return values


class BasisDecoder(CodeDecoder):
    """A sum of M functions of the coordinate, with coefficients made of the code: the form of DeepONet.

    Lu et al. 2021, "Learning nonlinear operators via DeepONet" (arXiv 1910.03193), eq. 2. On a grid the functions are
    evaluated once for a whole batch.

    Args:
        code_features: F.
        out_features: C.
        encoding: of coordinates.
        hidden_features: H, and M for each channel.
        layers: residual layers of the coefficients.
    """

    def __init__(
        self, code_features: int, out_features: int, encoding: PositionalEncoding, hidden_features: int, layers: int
    ) -> None:
        super().__init__()
        self.encoding, self._channels = encoding, out_features
        sizes = [encoding.out_features, *[hidden_features] * 3]
        maps = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.GELU())]
        self.functions = nn.Sequential(*maps[:-1])
        self.coefficients = residual_mlp(code_features, hidden_features, layers, hidden_features * out_features)
        self.constant = nn.Parameter(torch.zeros(out_features))

    def forward(self, code: Tensor, coords: Tensor) -> Tensor:
        """See `CodeDecoder.forward`."""
        functions = self.functions(self.encoding(coords))
        coefficients_BMC = self.coefficients(code).unflatten(1, (-1, self._channels))
        values: Tensor = functions @ coefficients_BMC / math.sqrt(functions.shape[-1]) + self.constant
        return values


class WeightDecoder(CodeDecoder):
    """Makes weights of the store's INR: start + scale ⊙ network(code).

    A new decoder makes nearly the start for every code. It reconstructs a function, not the neurons of the INR that was
    encoded: with random starts those have no fixed order.

    Args:
        code_features: F.
        inr: the family whose weights are made.
        start: (P,), the weights that a change is added to.
        scale: (P,), the unit of the change of each.
        hidden_features: H.
        layers: residual layers.
    """

    start: Tensor
    scale: Tensor

    def __init__(
        self, code_features: int, inr: INR, start: Tensor, scale: Tensor, hidden_features: int, layers: int
    ) -> None:
        super().__init__()
        self._inr = inr
        self.register_buffer("start", start)
        self.register_buffer("scale", scale)
        self.change = residual_mlp(code_features, hidden_features, layers, len(start))
        last = self.change[-1]
        assert isinstance(last, nn.Linear), "residual_mlp ends so"
        with torch.no_grad():
            last.bias.zero_()
            last.weight.normal_(std=LARGEST_START / math.sqrt(hidden_features))

    def weights(self, code: Tensor) -> Tensor:
        """Weights (B, P), neither normalised nor canonical, of codes (B, F)."""
        weights: Tensor = self.start + self.scale * self.change(code)
        return weights

    def forward(self, code: Tensor, coords: Tensor) -> Tensor:
        """See `CodeDecoder.forward`."""
        return self._inr(self.weights(code), coords)


class Residual(nn.Module):
    """x + Linear(GELU(Linear(layer norm of x))), twice as wide inside."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.steps = nn.Sequential(
            nn.LayerNorm(features), nn.Linear(features, 2 * features), nn.GELU(), nn.Linear(2 * features, features)
        )

    def forward(self, states: Tensor) -> Tensor:
        """Map (..., features) to the same shape."""
        changed: Tensor = states + self.steps(states)
        return changed


def residual_mlp(in_features: int, hidden_features: int, layers: int, out_features: int) -> nn.Sequential:
    """Linear, residual layers, layer norm, Linear."""
    return nn.Sequential(
        nn.Linear(in_features, hidden_features),
        *(Residual(hidden_features) for _ in range(layers)),
        nn.LayerNorm(hidden_features),
        nn.Linear(hidden_features, out_features),
    )
