"""Exponential moving average of a network's parameters: what is measured in place of the last step.

The average starts fast: its decay is min(decay, (1 + n)/(10 + n)) at update n, as in TensorFlow's
`ExponentialMovingAverage`, so that the start is forgotten.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn


class Ema(nn.Module):
    """A network and the average of its parameters.

    Args:
        network: what is trained.
        decay: share of the old average, from 0 to below 1; 0 keeps no average.

    Attributes:
        network: as given.
        average: what to measure: the average, or the network itself where there is none.
    """

    num_updates: Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.network, self.decay = network, decay
        self.copy = deepcopy(network).requires_grad_(False) if decay else None
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64))

    @property
    def average(self) -> nn.Module:
        """What to measure."""
        return self.network if self.copy is None else self.copy

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Take up the parameters after so many steps; the second time for the same step does nothing."""
        if self.copy is None or steps <= int(self.num_updates):
            return
        decay = min(self.decay, (1 + steps) / (10 + steps))
        for old, new in zip(self.copy.parameters(), self.network.parameters(), strict=True):
            old.lerp_(new, 1 - decay)
        for kept, current in zip(self.copy.buffers(), self.network.buffers(), strict=True):
            kept.copy_(current)
        self.num_updates.fill_(steps)
