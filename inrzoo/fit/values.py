"""From the numbers of a signal to the values that an INR is fitted to."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_values(signals: NDArray[np.uint8], value_range: tuple[float, float]) -> Tensor:
    """low + (high − low) · signal / 255, float32, of the shape of `signals`."""
    low, high = value_range
    return torch.from_numpy(signals).to(torch.float32) * ((high - low) / 255.0) + low
