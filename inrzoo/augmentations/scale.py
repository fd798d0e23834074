"""A shape made larger or smaller, and its distances with it."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from inrzoo.augmentations import PlaceAugmentation
from inrzoo.errors import InrzooError

DISTANCES = ("udf", "sdf")
"""Quantities that are distances."""


@dataclass(frozen=True, kw_only=True)
class Scale(PlaceAugmentation):
    """Multiply the coordinates of points by a factor s from U[`low`, `high`], and distances too: d′(s x) = s d(x).

    Occupancies and other values move with their points. Distances that are cut off at c stay exact for s ≥ 1, cut off
    at c again; a smaller shape would need distances above c, which are not known. Points that leave the cube are
    replaced by others of the signal, drawn at random.

    Attributes:
        high: largest factor.
        low: smallest factor, above 0; at least 1 if distances are cut off (`source.clip`).
        quantity: of the values, `udf`, `sdf`, `occupancy` or `values`; given by the data and not by the user.
        zero: the value of the distance 0; given by the data and not by the user.
        furthest: greatest distance that is not cut off, in units of the values; given by the data and not by the user.
    """

    RUNTIME_FIELDS: ClassVar[tuple[str, ...]] = ("extent", "quantity", "zero", "furthest")

    high: float = 1.1
    low: float = 1.0
    quantity: str
    zero: float | None
    furthest: float | None

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the factors are out of range, or distances are on a scale without a common 0.
        """
        self.require("low", 0 < self.low <= self.high, f"above 0 and at most high = {self.high}")
        if self.quantity not in DISTANCES:
            return
        self.require("low", self.furthest is None or self.low >= 1, "at least 1, because distances are cut off")
        if self.zero is None:
            raise InrzooError("it needs one value of the distance 0 for all signals; values.scale = dataset gives it")

    def __call__(self, values: Tensor, where: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See `PlaceAugmentation`."""
        factor = self.low + (self.high - self.low) * float(torch.rand((), generator=generator))
        if self.quantity in DISTANCES and self.zero is not None:
            distances = factor * (values - self.zero)
            if self.furthest is not None:
                distances = distances.clamp(-self.furthest, self.furthest)
            values = self.zero + distances
        return self.within(values, factor * where, generator)
