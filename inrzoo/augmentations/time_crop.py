"""A part of a sound between silence, as a short recording stands in its clip."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from inrzoo.augmentations import Augmentation
from inrzoo.errors import InrzooError


@dataclass(frozen=True, kw_only=True)
class TimeCrop(Augmentation):
    """Keep a random window of the sound, moved to the middle of the clip; before and after it all is silence.

    So the source lays a recording that is shorter than a clip; a reflection would play the sound backwards.

    Attributes:
        smallest: least share of the clip that is kept, above 0 and up to 1; the share is drawn from U[`smallest`, 1],
            the window evenly among those of that length.
        zero: the value of silence; given by the data and not by the user.
    """

    RUNTIME_FIELDS: ClassVar[tuple[str, ...]] = ("sizes", "zero")

    smallest: float = 0.5
    zero: float | None = 0.0

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the share is out of range, or the signals are no sounds, or have no common value of silence.
        """
        self.require("smallest", 0 < self.smallest <= 1, "above 0 and up to 1")
        self.require_axes(range(1, 2))
        if self.zero is None:
            raise InrzooError("it needs one value of silence for all signals; values.symmetric = true gives it")

    def __call__(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """See `Augmentation`."""
        (size,) = self.sizes
        share, place = torch.rand(2, generator=generator).tolist()
        length = max(1, round((self.smallest + (1 - self.smallest) * share) * size))
        start, middle = int(place * (size - length + 1)), (size - length) // 2
        cropped = torch.full_like(values, self.zero or 0.0)
        cropped[middle : middle + length] = values[start : start + length]
        return cropped
