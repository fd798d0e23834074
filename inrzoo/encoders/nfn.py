"""NFN, networks of equivariant linear layers: Zhou et al. 2023, "Permutation equivariant neural functionals" (arXiv
2302.14040), eq. 3 and 4, with the sizes of the authors' code for SIRENs. Formulas and where we differ:
docs/derivations/encoders.md#nfn.

Shape letters: B INRs, P parameters of one INR, C features of a number, F features.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from inrzoo.encoders import Encoder
from inrzoo.encoders._equivariant_linear import EquivariantLinear, Place, at_place, place_of
from inrzoo.encoders._fourier_features import FourierFeatures
from inrzoo.weights import FIXED_AXES, WeightLayout, WeightTensor

INRS_AT_ONCE = 4
"""Number of INRs that are computed together on a CPU. The 512 features of each number of 4 fit a core's cache."""


@dataclass(kw_only=True, eq=False, repr=False)
class FourierNumbers(Encoder):
    """Each number of an INR begins as Gaussian Fourier features; two linear layers with ReLU read what is pooled.

    Attributes:
        layout: layout of the weights.
        out_features: neurons of both layers of the head, and F.
        num_frequencies: half the number of Fourier features of a number.
        sigma: standard deviation of the frequencies.
        dropout: dropout probability.

    Raises:
        InrzooError: a tensor has the same axis twice, or an argument is out of range.
    """

    symmetries = ("permutation",)

    layout: WeightLayout
    out_features: int = 1000
    num_frequencies: int = 128
    sigma: float = 0.3
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Draw the frequencies."""
        super().__init__(self.layout)
        self.require_counts(num_frequencies=self.num_frequencies, out_features=self.out_features)
        self.require("sigma", self.sigma, 0 < self.sigma < math.inf, "above 0")
        self.require("dropout", self.dropout, 0 <= self.dropout < 1, "at least 0 and below 1")
        self.fourier = FourierFeatures(self.num_frequencies, self.sigma)

    def make_head(self, inputs: int) -> None:
        """Make the authors' read-out without its last linear layer, which belongs to the task."""
        steps: list[nn.Module] = []
        for fan_in in (inputs, self.out_features):
            steps += [nn.Linear(fan_in, self.out_features), nn.ReLU(), nn.Dropout(self.dropout)]
        self.head = nn.Sequential(*steps)

    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, F) of weights (B, P)."""
        features: Tensor = self.head(self.in_parts(weights, INRS_AT_ONCE, self.pooled))
        return features

    @abstractmethod
    def pooled(self, weights: Tensor) -> Tensor:
        """Return what the head reads, (B, inputs)."""


@dataclass(kw_only=True, eq=False, repr=False)
class Nfn(FourierNumbers):
    """NF-layers with ReLU between them, the mean over each tensor, and two linear layers with ReLU.

    Each number of an INR begins as Gaussian Fourier features. In `hnp` the layers are equivariant to renumbering hidden
    neurons, and coordinates and channels have features of their own. In `np` they are so to renumbering coordinates and
    channels, too, and fewer maps are learned; sines of their numbers, joined to the features, then tell them apart.
    An NF-layer is the general equivariant linear map: besides a number itself it reads means of rows and columns of the
    same matrix and its neighbours, biases, and means of all tensors.

    The authors feed weights as they were fitted: `normalise = "none"` with `sigma = 3` for MNIST, 10 for CIFAR-10. The
    default `sigma` suits normalised weights. The published size takes 1.2 G multiply-adds for one SIREN 2/32/32/1.

    Attributes:
        group: `hnp` (hidden neuron permutations) or `np` (neuron permutations).
        hidden_features: C.
        num_layers: number of NF-layers.
        num_bands: `np`: frequencies by which the number of a coordinate or channel is encoded; 0 for no encoding.
        max_frequency: `np`: twice the highest of them.
        dropout: dropout probability of whole features after each NF-layer and of neurons of the head.
    """

    group: Literal["hnp", "np"] = "hnp"
    hidden_features: int = 512
    num_layers: int = 3
    num_bands: int = 3
    max_frequency: float = 3.0

    def __post_init__(self) -> None:
        """Make the layers and the head."""
        super().__post_init__()
        C = self.hidden_features
        self.require_counts(hidden_features=C, num_layers=self.num_layers)
        self.require("num_bands", self.num_bands, self.num_bands >= 0, "at least 0")
        self.require("max_frequency", self.max_frequency, 0 < self.max_frequency < math.inf, "above 0")
        self.require_distinct_axes("nfn")
        self.fixed = FIXED_AXES if self.group == "hnp" else ()
        self.encoded = self.group == "np" and self.num_bands > 0
        if self.encoded:
            for tensor in self.layout.tensors:
                encoding = encoded_place(tensor, self.num_bands, self.max_frequency)
                self.register_buffer(f"encoding_{tensor.name}", encoding, persistent=False)
        first = self.fourier.out_features + (2 * self.num_bands + 1 if self.encoded else 0)
        self.layers = nn.ModuleList(
            EquivariantLinear(self._sizes(C if i else first), self._sizes(C)) for i in range(self.num_layers)
        )
        for layer in self.layers:
            _initialise(layer)  # type: ignore[arg-type]
        self.make_head(sum(self._sizes(C).values()))

    def _sizes(self, features: int) -> dict[Place, int]:
        """Return the number of features at each place if each number, of the axes that are kept in order, has C."""
        sizes: dict[Place, int] = {}
        for tensor in self.layout.tensors:
            place = place_of(tensor.axes, self.fixed)
            kept = (size for axis, size in zip(tensor.axes, tensor.shape, strict=True) if axis in self.fixed)
            sizes[place] = sizes.get(place, 0) + math.prod(kept) * features
        return sizes

    def pooled(self, weights: Tensor) -> Tensor:
        """Return the means over each tensor after the last layer."""
        parts: dict[Place, list[Tensor]] = {place: [] for place in self._sizes(1)}
        for tensor, values in zip(self.layout.tensors, self.layout.split(weights).values(), strict=True):
            parts[place_of(tensor.axes, self.fixed)].append(
                at_place(self._embedded(tensor, values), tensor.axes, self.fixed)
            )
        at_places = {place: torch.cat(values, dim=-1) for place, values in parts.items()}
        for layer in self.layers:
            at_places = {place: self._dropped(values.relu()) for place, values in layer(at_places).items()}
        return torch.cat(
            [values.flatten(1, -2).mean(1) if place else values for place, values in at_places.items()], -1
        )

    def _embedded(self, tensor: WeightTensor, values: Tensor) -> Tensor:
        """Return the first features of the numbers of a tensor, (B, *axes, C)."""
        features: Tensor = self.fourier(values)
        if not self.encoded:
            return features
        encoding = self.get_buffer(f"encoding_{tensor.name}").to(features)
        return torch.cat([features, encoding.expand(*features.shape[:-1], -1)], dim=-1)

    def _dropped(self, values: Tensor) -> Tensor:
        """Set whole features of an INR to 0: (B, *place, C)."""
        if not self.training:
            return values
        ones = values.new_ones(len(values), *[1] * (values.ndim - 2), values.shape[-1])
        return values * functional.dropout(ones, self.dropout)


def encoded_place(tensor: WeightTensor, num_bands: int, max_frequency: float) -> Tensor:
    """Return the encoding of the numbers of coordinates and channels of a tensor, (*axes, 2 num_bands + 1).

    Coordinates, and channels, are x from -1 to 1. The encoding is sin π s x and cos π s x, for `num_bands` factors s
    from 1 to max_frequency / 2, and x. Axes of neurons have the size 1. Where there are only neurons it is 0.
    """
    shape = [size if axis in FIXED_AXES else 1 for axis, size in zip(tensor.axes, tensor.shape, strict=True)]
    encoding = torch.zeros(*shape, 2 * num_bands + 1)
    for i, (axis, size) in enumerate(zip(tensor.axes, shape, strict=True)):
        if axis in FIXED_AXES:
            number = torch.linspace(-1, 1, size)[:, None]
            angles = math.pi * number * torch.linspace(1, max_frequency / 2, num_bands)
            along = torch.cat([angles.sin(), angles.cos(), number], dim=-1)
            encoding = encoding + along.reshape(size, *[1] * (len(shape) - 1 - i), -1)
    return encoding


def _initialise(layer: EquivariantLinear) -> None:
    """Draw weights and biases of all maps to a place from U(±1/√n), n the number of inputs of all of them."""
    for maps in layer.maps:
        linear = [module for module in maps.modules() if isinstance(module, nn.Linear)]
        bound = 1 / math.sqrt(sum(each.in_features for each in linear))
        for parameter in maps.parameters():
            nn.init.uniform_(parameter, -bound, bound)
