"""Tokens of a signal on a grid with any number of axes.

Shape letters: B batch of signals, K coordinates, C channels, T tokens, F features of a token, V
pictures of a signal.
"""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from inrzoo.errors import InrzooError


class PatchTokens(nn.Module):
    """One token for each patch: a linear map of its values plus a learned position, initialised as N(0, 1).

    An axis that the patch does not divide is padded with zeros at both ends, with one more at the end if their number
    is odd: 178 points in patches of 9 become 180, as in TransINR. The text of TransINR adds the position to the values,
    FC(p + e); its code, GINR-IPC and this file add it to the mapped values, FC(p) + e.

    A signal may consist of several pictures of the grid, such as views. Each is cut by itself, the tokens of all are
    one sequence, and a position is one within its picture.

    Args:
        sizes: the grid, slowest axis first.
        patch: points of a patch along each axis, or along all of them; (1, 8, 8) cuts every view of (views, 128, 128).
        channels: C; posed views have channels of the colour and of the ray.
        features: F.
        positions: whether a token has a learned position.

    Raises:
        InrzooError: the patch is empty or has other axes than the grid.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        patch: int | tuple[int, ...],
        channels: int,
        features: int,
        *,
        positions: bool = True,
    ) -> None:
        super().__init__()
        self.sizes = sizes
        self.patch = patch if isinstance(patch, tuple) else (patch,) * len(sizes)
        if len(self.patch) != len(sizes) or min(self.patch) < 1:
            raise InrzooError(f"patch = {patch!r} does not cut a grid of {sizes} into patches of at least one point")
        self.counts = tuple(-(-size // points) for size, points in zip(sizes, self.patch, strict=True))
        """Patches along each axis."""
        self.linear = nn.Linear(prod(self.patch) * channels, features)
        self.positions = nn.Parameter(torch.randn(prod(self.counts), features)) if positions else None

    @property
    def num_tokens(self) -> int:
        """Number of tokens of one picture."""
        return prod(self.counts)

    def patches(self, values_BKC: Tensor) -> Tensor:
        """Values of one picture by patch, row-major in both. Shape (B, K, C) to (B, T, points of a patch · C)."""
        batch, _, channels = values_BKC.shape
        padding = [0, 0]  # none for the channels; torch lists axes from the last
        for size, points, count in reversed(list(zip(self.sizes, self.patch, self.counts, strict=True))):
            missing = points * count - size
            padding += [missing // 2, missing - missing // 2]
        grid = functional.pad(values_BKC.reshape(batch, *self.sizes, channels), padding)
        pairs = [size for pair in zip(self.counts, self.patch, strict=True) for size in pair]
        axes = range(len(self.sizes))
        order = [0, *(1 + 2 * axis for axis in axes), *(2 + 2 * axis for axis in axes), len(pairs) + 1]
        return grid.reshape(batch, *pairs, channels).permute(order).reshape(batch, self.num_tokens, -1)

    def forward(self, values_BKC: Tensor) -> Tensor:
        """Tokens of signals. Shape (B, K, C) to (B, T, F), or (B, V · K, C) to (B, V · T, F)."""
        pictures = values_BKC.reshape(-1, prod(self.sizes), values_BKC.shape[2])
        tokens: Tensor = self.linear(self.patches(pictures))
        tokens = tokens if self.positions is None else tokens + self.positions
        return tokens.reshape(len(values_BKC), -1, tokens.shape[2])
