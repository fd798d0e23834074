"""A convolutional network on the signal that an INR renders: the ceiling beside networks that read weights.

Shape letters: B INRs, P parameters of one INR, K points, D coordinate dimensions, C channels, F features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrzoo.encoders import Domain, Function, FunctionEncoder
from inrzoo.errors import InrzooError
from inrzoo.weights import WeightLayout

FLOOR = 1e-2
"""Added to magnitudes before the logarithm: 40 dB below an amplitude of 1, so that silence is finite."""
POINTS_AT_ONCE = 256
"""Points at which a batch of INRs is evaluated at once, which bounds memory and keeps activations in a core's cache."""


class RenderedConvNet(FunctionEncoder):
    """Renders each INR on a grid, and reads the picture with blocks of convolution, group norm, ReLU and max pooling.

    The encoder reads the function: it says nothing about weights. It is what a network reaches that ignores how the
    signal is stored, and so the bound to compare weight readers with.

    | D | what is rendered | what the network reads |
    |---|---|---|
    | 1 | the store's grid | log magnitudes of a short-time Fourier transform (Hann window), which drop phases |
    | 2 | the store's grid | the image |
    | 3 | `resolution` points along each axis of the cube, end points included | the volume |

    Signals with points of their own have no grid and are rendered as in D = 3. The last map is averaged to at most
    `pooled` cells along each axis.

    Args:
        layout: layout of the weights.
        inr: the family that the weights are of.
        domain: where the functions were fitted, and their grid.
        hidden_features: channels of a block, a multiple of 8.
        num_blocks: number of blocks; each halves the picture.
        pooled: cells of the last map along each axis.
        window: length of the Fourier transform in points; for D = 1.
        hop: points between two transforms; for D = 1.
        resolution: points along each axis where the store's grid is not used.
        dropout: dropout probability of features.

    Raises:
        InrzooError: an argument is out of range, or the INR has more than three coordinates.
    """

    coords: Tensor
    hann: Tensor

    def __init__(
        self,
        *,
        layout: WeightLayout,
        inr: Function,
        domain: Domain,
        hidden_features: int = 32,
        num_blocks: int = 3,
        pooled: int = 4,
        window: int = 256,
        hop: int = 64,
        resolution: int = 24,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(layout, inr, domain)
        num_axes = inr.in_features
        if num_axes > 3:
            raise InrzooError(f"rendered_conv_net reads functions of 1 to 3 coordinates; this INR has {num_axes}")
        self.require_counts(hop=hop, num_blocks=num_blocks, pooled=pooled)
        self.require(
            "hidden_features", hidden_features, hidden_features >= 8 and hidden_features % 8 == 0, "a multiple of 8"
        )
        self.require("resolution", resolution, resolution >= 2, "at least 2")
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        self.sizes = domain.sizes
        coords_KD = domain.coords
        if coords_KD is None or num_axes == 3:
            self.sizes = (resolution,) * num_axes
            axis = torch.linspace(-domain.extent, domain.extent, resolution)
            coords_KD = torch.cartesian_prod(*[axis] * num_axes).reshape(-1, num_axes)
        self.register_buffer("coords", coords_KD.float())
        self.hop = hop
        picture = self.sizes
        if num_axes == 1:
            points = len(coords_KD)
            self.require("window", window, 2 <= window <= points, f"from 2 to {points}, the points that are rendered")
            self.register_buffer("hann", torch.hann_window(window), persistent=False)
            picture = (window // 2 + 1, points // hop + 1)
        smallest = min(picture)
        self.require("num_blocks", num_blocks, smallest >> num_blocks >= 1, f"from 1 to {smallest.bit_length() - 1}")
        convolution, pool = (nn.Conv3d, nn.MaxPool3d) if num_axes == 3 else (nn.Conv2d, nn.MaxPool2d)
        blocks: list[nn.Module] = []
        for number in range(num_blocks):
            channels = hidden_features if number else inr.out_features
            blocks += [
                convolution(channels, hidden_features, 3, padding=1),
                nn.GroupNorm(8, hidden_features),
                nn.ReLU(),
                pool(2),
            ]
        cells = tuple(min(pooled, size >> num_blocks) for size in picture)
        average = nn.AdaptiveAvgPool3d if num_axes == 3 else nn.AdaptiveAvgPool2d
        self.network = nn.Sequential(*blocks, average(cells), nn.Flatten(), nn.Dropout(dropout))
        self.out_features = hidden_features * math.prod(cells)

    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, F) of weights (B, P) as they were fitted."""
        features: Tensor = self.network(self.picture(weights))
        return features

    def picture(self, weights: Tensor) -> Tensor:
        """Return what the convolutions read: (B, C, …), over frequencies and times for D = 1, else over the grid."""
        parts = [self.values(weights, coords) for coords in self.coords.split(POINTS_AT_ONCE)]
        values_BCK = torch.cat(parts, dim=1).mT
        if len(self.sizes) > 1:
            volume: Tensor = values_BCK.unflatten(-1, self.sizes)
            return volume
        clips = values_BCK.flatten(0, 1)
        spectra = torch.stft(clips, len(self.hann), self.hop, window=self.hann, return_complex=True)
        levels: Tensor = (spectra.abs() + FLOOR).log().unflatten(0, values_BCK.shape[:2])
        return levels
