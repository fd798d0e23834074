"""Mean squared error and PSNR: one definition, everywhere.
Formulas: docs/derivations/grids.md#value-scale-and-psnr.

Shape letters: B batch of INRs, K coordinates, C channels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


def mse(values_BKC: Tensor, targets_BKC: Tensor) -> Tensor:
    """Mean squared error of each INR over its coordinates and channels. Shape (B,), in squared units of the values."""
    return (values_BKC - targets_BKC).square().mean(dim=(-2, -1))


def psnr(mse_B: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Peak signal-to-noise ratio in dB: 10·log10((high − low)² / MSE).

    The peak is the width of the range that signals are scaled to, so the figure is the one on the [0, 1] scale with
    peak 1; values are not clamped. A loss of 0 gives +inf.

    Args:
        mse_B: mean squared errors, any shape.
        value_range: (low, high) that the signal's smallest and largest possible value are mapped to.
    """
    # In float64: vectorised float32 logarithms differ in the last bit from processor to processor.
    return (10.0 * (2.0 * math.log10(value_range[1] - value_range[0]) - mse_B.double().log10())).to(mse_B.dtype)


def exact_share(
    values: Tensor,
    signals: Tensor,
    value_range: tuple[float, float],
    limits: tuple[float | Tensor, float | Tensor] = (0.0, 255.0),
) -> Tensor:
    """Share of a signal's integers that an INR gives back when its output is scaled and rounded; 1 if lossless.

    Args:
        values: (..., K, C), on the scale of `value_range`; what is not finite is not exact.
        signals: (..., K, C), of an integer type; leading dimensions of both broadcast.
        value_range: (low, high) that the limits are mapped to.
        limits: numbers that are mapped to the ends of the range, or tensors of them that broadcast.

    Returns:
        Shape (...,), float32.

    Example:
        >>> signal = torch.tensor([[0], [100], [255]], dtype=torch.uint8)
        >>> exact_share(torch.tensor([[-1.3], [100.4 / 127.5 - 1], [0.99]]), signal, (-1.0, 1.0))
        tensor(0.6667)
    """
    (low, high), (first, last), bounds = value_range, limits, torch.iinfo(signals.dtype)
    rounded = ((values - low) * ((last - first) / (high - low)) + first).round().clamp(bounds.min, bounds.max)
    return (rounded == signals).float().mean(dim=(-2, -1))


def mse_at(psnr_db: float, value_range: tuple[float, float]) -> float:
    """The mean squared error at a PSNR: inverse of `psnr`."""
    return float((value_range[1] - value_range[0]) ** 2 * 10.0 ** (-psnr_db / 10.0))
