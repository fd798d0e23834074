"""The exponential moving average of a network's parameters, by torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of a network whose `update_parameters(network)` averages the present parameters in.

    The decay of update n is min(decay, (1 + n)/(10 + n)), as in TensorFlow's `ExponentialMovingAverage`, so that the
    initial parameters are soon forgotten. The copy's parameters need no gradients.

    Args:
        network: the network that is trained.
        decay: weight of the old average, from above 0 to below 1.
    """

    def update(averages: Any, parameters: Any, number: Tensor | int) -> None:
        n = int(number)
        torch._foreach_lerp_(averages, parameters, 1 - min(decay, (1 + n) / (10 + n)))

    average = AveragedModel(network, multi_avg_fn=update).requires_grad_(False)
    average.n_averaged.fill_(1)  # the initial parameters, so that the first update averages too
    return average
