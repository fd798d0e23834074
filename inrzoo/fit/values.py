"""From the numbers of a signal to the values that an INR is fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


def to_values(signals: NDArray[np.uint8], value_range: tuple[float, float]) -> Tensor:
    """low + (high − low) · signal / 255, float32, of the shape of `signals`."""
    low, high = value_range
    return torch.from_numpy(signals).to(torch.float32) * ((high - low) / 255.0) + low
