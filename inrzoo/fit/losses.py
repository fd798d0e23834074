"""Losses of a fit: the error of each INR over its points.
Formulas: docs/derivations/fitting.md#losses.

The native engines have the losses of `LOSSES`; the reference takes any function like them.

Shape letters: B batch of INRs, K coordinates, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

Loss: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
"""Values (B, K, C) and targets (B, K, C) to the error at each value, (B, K, C)."""


def squared_error(values_BKC: Tensor, targets_BKC: Tensor) -> Tensor:
    """(f − y)², in squared units of the values; its mean is `mse`."""
    return (values_BKC - targets_BKC).square()


def binary_cross_entropy(values_BKC: Tensor, targets_BKC: Tensor) -> Tensor:
    """log(1 + eᶠ) − y f, in nats: f is the logit of an occupancy, y its probability in [0, 1]; the mean is `bce`."""
    return torch.nn.functional.softplus(values_BKC, threshold=40.0) - targets_BKC * values_BKC


LOSSES: dict[str, Loss] = {"mse": squared_error, "bce": binary_cross_entropy}
"""By name, in the order of native/engine.cpp."""


def mean_error(error_BKC: Tensor, weights_BK: Tensor | None) -> Tensor:
    """The mean over points and channels, (B,), of errors that are multiplied by the weight of their point, if given."""
    if weights_BK is None:
        return error_BKC.mean(dim=(-2, -1))
    return (error_BKC.mean(dim=-1) * weights_BK).mean(dim=-1)


def relative_weights(weights_BK: Tensor) -> Tensor:
    """Weights of points divided by their mean, so that `mean_error` is Σ w e / (C Σ w); float32."""
    exact = weights_BK.double()
    return (exact / exact.mean(dim=-1, keepdim=True)).float()
