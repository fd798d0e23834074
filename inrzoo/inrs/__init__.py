"""Architectures: one file an INR. This file holds what they share.

An INR is a function, `values = inr(weights, coords)`: batched over weights, no state, no device, no mode. The same call
serves fitting, rendering, hypernetwork decoding and every symmetry test.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, H hidden.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.seeding import Stream
from inrzoo.weights import WeightLayout


@dataclass(frozen=True, kw_only=True)
class INR(ABC):
    """A family of functions from coordinates to values; a weight vector picks one of them.

    A subclass in `inrzoo/inrs/<name>.py` adds its fields (its configuration), `layout`, `init` and `values`.

    Attributes:
        in_features: D, coordinate dimensions.
        out_features: C, channels of a value.
    """

    in_features: int
    out_features: int

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a count below 1.
        """
        for key in ("in_features", "out_features"):
            self.require(key, getattr(self, key) >= 1, "at least 1")

    def require(self, key: str, holds: bool, allowed: str) -> None:
        """Raise the one-line error for field `key` unless `holds`."""
        if not holds:
            raise InrzooError(f"{key} = {getattr(self, key)!r} is not allowed; it must be {allowed}")

    @property
    @abstractmethod
    def layout(self) -> WeightLayout:
        """What the P numbers of a weight vector are."""

    @abstractmethod
    def init(self, stream: Stream) -> NDArray[np.float32]:
        """Fresh weights of one INR from its own random stream. Shape (P,)."""

    @abstractmethod
    def values(self, weights_BP: Tensor, coords_BKD: Tensor) -> Tensor:
        """Values of B functions, shape (B, K, C); `coords_BKD` may be an expanded view of one shared grid."""

    def __call__(self, weights: Tensor, coords: Tensor) -> Tensor:
        """Evaluate INRs at coordinates.

        Args:
            weights: (..., P); leading dimensions count INRs.
            coords: (K, D), the same for all, or (..., K, D) with the leading dimensions of `weights`.

        Returns:
            (..., K, C), on the device and in the dtype of `weights`, differentiable in both arguments.

        Raises:
            ValueError: shapes that do not fit the layout or each other.
        """
        if weights.shape[-1] != self.layout.num_params or coords.shape[-1] != self.in_features:
            raise ValueError(
                f"weights {tuple(weights.shape)} and coords {tuple(coords.shape)} do not fit an INR of "
                f"{self.layout.num_params} parameters and {self.in_features} coordinate dimensions"
            )
        lead = weights.shape[:-1]
        if coords.ndim > 2 and coords.shape[:-2] != lead:
            raise ValueError(f"coords {tuple(coords.shape)} have other leading dimensions than weights {tuple(lead)}")
        weights_BP = weights.reshape(-1, weights.shape[-1])
        coords_BKD = coords.expand(*lead, *coords.shape[-2:]).reshape(-1, *coords.shape[-2:])
        values_BKC = self.values(weights_BP, coords_BKD)
        return values_BKC.reshape(*lead, *values_BKC.shape[1:])
