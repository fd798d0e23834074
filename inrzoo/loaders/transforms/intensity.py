"""Brightness and contrast of a signal.

Shape letters: P parameters of one INR, C out_features.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.inrs import INR
from inrzoo.loaders.transforms import Transform
from inrzoo.loaders.transforms._affine import uniform


@dataclass(frozen=True, kw_only=True)
class Intensity(Transform):
    """Every value v of a signal becomes a v + d, a ~ U(1 ± gain), d ~ U(±offset), exactly.

    See docs/derivations/augmentation.md#intensity.
    Only the output layer changes: W ← a W, b ← a b + d, plus (a − 1) o if the family adds a constant o to its output.
    Values are on the scale of the fit, [-1, 1] for images by default, and are not clamped. None of the papers does
    this; the defaults are ours.

    Attributes:
        inr: family of the weights.
        gain: maximum change of the contrast, below 1.
        offset: maximum change of the brightness.
        per_channel: whether a and d differ between the channels of a signal.
    """

    inr: INR
    gain: float = 0.2
    offset: float = 0.1
    per_channel: bool = False

    def __post_init__(self) -> None:
        """Reject an impossible range.

        Raises:
            InrzooError: `gain` not in [0, 1), or `offset` negative or not finite.
        """
        self.require("gain", 0 <= self.gain < 1, "at least 0 and below 1")
        self.require("offset", 0 <= self.offset < math.inf, "at least 0 and finite")

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Return the weights of the changed signals. Shape (..., P) to (..., P)."""
        lead = weights.shape[:-1]
        shape = (*lead, self.inr.out_features if self.per_channel else 1)
        gain_C = uniform(1 - self.gain, 1 + self.gain, shape, generator).to(weights.device)
        offset_C = uniform(-self.offset, self.offset, shape, generator).to(weights.device)
        added_C = offset_C + (gain_C - 1) * getattr(self.inr, "output_offset", 0.0)
        tensors = self.inr.layout.split(weights.double())
        for tensor in self.inr.layout.tensors:
            if tensor.axes == ("out",):
                tensors[tensor.name] = gain_C * tensors[tensor.name] + added_C
            elif tensor.axes[0] == "out":
                tensors[tensor.name] = gain_C[..., None] * tensors[tensor.name]
        changed: Tensor = self.inr.layout.join(tensors)
        return changed.to(weights.dtype)
