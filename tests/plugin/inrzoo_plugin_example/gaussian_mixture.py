"""Gaussian mixture: a sum of round bumps, an INR without layers.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, H bumps.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from inrzoo.array_namespace import affine, array_namespace
from inrzoo.inrs import INR
from inrzoo.seeding import Stream
from inrzoo.weights import WeightLayout, WeightTensor


@dataclass(frozen=True, kw_only=True)
class GaussianMixture(INR):
    """f(x) = Σ_h a_h exp(−|x − μ_h|² / 2 σ²) + b, with centres μ and heights a as weights and one fixed width σ.

    Start: μ ~ U(±1), a ~ U(±1/√H), b = 0.

    Attributes:
        bumps: H.
        width: σ, in coordinate units.
    """

    bumps: int = 16
    width: float = 0.3

    def __post_init__(self) -> None:
        """Reject impossible fields."""
        super().__post_init__()
        self.require("bumps", self.bumps >= 1, "at least 1")
        self.require("width", 0 < self.width < np.inf, "above 0")

    @cached_property
    def layout(self) -> WeightLayout:
        """`centre` (H, D), `height` (C, H), `bias` (C,); the axis `bump` can be renumbered."""
        return WeightLayout(
            (
                WeightTensor("centre", (self.bumps, self.in_features), ("bump", "in")),
                WeightTensor("height", (self.out_features, self.bumps), ("out", "bump")),
                WeightTensor("bias", (self.out_features,), ("out",)),
            )
        )

    def init_bounds(self) -> dict[str, float]:
        """See the class."""
        return {"centre": 1.0, "height": self.bumps**-0.5, "bias": 0.0}

    def init(self, stream: Stream) -> NDArray[np.float32]:
        """Fresh weights, shape (P,)."""
        bounds = self.init_bounds()
        drawn = [stream.uniform(-bounds[part.name], bounds[part.name], part.size) for part in self.layout.tensors]
        return np.concatenate(drawn).astype(np.float32)

    def values(self, weights_BP: Tensor, coords_BKD: Tensor) -> Tensor:
        """Values of B functions, shape (B, K, C)."""
        xp, tensors = array_namespace(weights_BP), self.layout.split(weights_BP)  # of torch, numpy or jax
        squares_BKH = xp.sum(xp.square(coords_BKD[:, :, None] - tensors["centre"][:, None]), axis=-1)
        bumps_BKH = xp.exp(squares_BKH / (-2 * self.width**2))
        return affine(tensors["bias"][:, None], bumps_BKH, tensors["height"].mT)

    def canonicalise(self, weights: Tensor) -> Tensor:
        """Bumps in ascending order of their centres' first coordinate: renumbering is the only symmetry."""
        order = self.layout.split(weights)["centre"][..., 0].argsort(-1)
        return self.layout.permute_each(weights, {"bump": order})
