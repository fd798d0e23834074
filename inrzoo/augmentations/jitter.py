"""Small random moves of the points of a shape."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from inrzoo.augmentations import PlaceAugmentation
from inrzoo.augmentations.scale import DISTANCES
from inrzoo.errors import InrzooError


@dataclass(frozen=True, kw_only=True)
class Jitter(PlaceAugmentation):
    """Move each point by N(0, `std`²) along each coordinate, and leave its distance as it is.

    That is wrong by at most the length of the move, because a distance changes by no more than its point moves: keep
    `std` below the errors that matter. Occupancies are refused, since a point beside the surface would change sides; so
    are other values, whose error has no bound. Points that leave the cube are replaced by others of the signal.

    Attributes:
        std: of the moves, in units of [-1, 1]; at least 0.
        quantity: of the values, `udf`, `sdf`, `occupancy` or `values`; given by the data and not by the user.
    """

    RUNTIME_FIELDS: ClassVar[tuple[str, ...]] = ("extent", "quantity")

    std: float = 0.002
    quantity: str

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the width is negative, or the values are no distances.
        """
        self.require("std", self.std >= 0, "at least 0")
        if self.quantity not in DISTANCES:
            raise InrzooError(f"it takes distances, {' or '.join(DISTANCES)}; the values here are {self.quantity}")

    def __call__(self, values: Tensor, where: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See `PlaceAugmentation`."""
        moves = torch.randn(where.shape, generator=generator)
        return self.within(values, where + self.std * self.extent * moves, generator)
