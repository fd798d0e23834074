"""Phases and rows of a perceptron with sines, for encoders that need to know more of a family than its layout.

Shape letters: B INRs, N neurons of a layer, D coordinate dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.weights import WeightLayout


class Kernel(Protocol):
    """What is read of `INR.kernel()`: v ← σ(weight_factors W v + bias_factors b), layer by layer."""

    activation: str
    weight_factors: tuple[float, ...]
    bias_factors: tuple[float, ...]


class SineNetwork(Protocol):
    """An INR that may be a multilayer perceptron with sines."""

    @property
    def layout(self) -> WeightLayout:
        """Return the layout of the whole network."""

    def kernel(self) -> object:
        """Return a description of the network; None if it has none."""

    def init_bounds(self) -> dict[str, float]:
        """Return the bounds of the uniform distributions that tensors are drawn from."""


class SineLayers:
    """Reads phases and scaled weight matrices out of weights as they were fitted.

    Args:
        encoder: name of the encoder, for errors.
        layout: layout of the weights.
        inr: the family that the weights are of.

    Attributes:
        num_hidden: number of layers of sines.
        inputs: D, number of coordinates, or of their features.
        channels: number of output neurons.
        bias_factors: radians of phase per unit of bias, layer by layer.
        scales: the standard deviation that each weight matrix was drawn with, the output's last.

    Raises:
        InrzooError: the INR is no perceptron with sines, or layers of it are missing.
    """

    def __init__(self, encoder: str, layout: WeightLayout, inr: SineNetwork) -> None:
        kernel = inr.kernel()
        if getattr(kernel, "activation", None) != "sine":
            raise InrzooError(f"{encoder} reads perceptrons with sines (siren), not {type(inr).__name__}")
        if layout != inr.layout:
            raise InrzooError(f"{encoder} reads whole networks; some layers are missing")
        described: Kernel = kernel  # type: ignore[assignment]
        self.bias_factors = described.bias_factors
        self.num_hidden = len(self.bias_factors)
        shapes, bounds = {tensor.name: tensor.shape for tensor in layout.tensors}, inr.init_bounds()
        self.scales = [  # drawn from U(±bound), or N(0, 1/inputs)
            bounds[name] / math.sqrt(3) if bounds.get(name) else 1 / math.sqrt(shapes[name][1])
            for name in (f"weight_{i}" for i in range(self.num_hidden + 1))
        ]
        self.inputs, self.channels = shapes["weight_0"][1], shapes[f"weight_{self.num_hidden}"][0]

    def phases(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the phases of all layers of sines in radians, (B, N) each."""
        return [factor * tensors[f"bias_{i}"] for i, factor in enumerate(self.bias_factors)]

    def rows(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        """Return all weight matrices, divided by the spread of their draw, (B, to, from) each."""
        return [tensors[f"weight_{i}"] / scale for i, scale in enumerate(self.scales)]
