"""Linear layers on cores by oneDNN, in float32.

torch multiplies float32 matrices by MKL, which on an AMD processor with AVX-512 was half as fast as oneDNN. torch
contains oneDNN, too, and uses it for bfloat16.

Shape letters: N inputs, M outputs; leading dimensions (...) are free.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from inrzoo.native.library import trains_natively

LEAST_PRODUCTS = 2**20
"""Multiplications from which on oneDNN's overhead, a few microseconds, does not matter."""


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None, training: bool) -> Tensor:
    """`torch.nn.functional.linear`: inputs Wᵀ + b. In training, in float32 on a CPU, by oneDNN, which rounds otherwise.

    Args:
        inputs: (..., N).
        weight: (M, N).
        bias: (M,).
        training: whether the layer is in training mode.

    Returns:
        (..., M).

    Example:
        >>> linear(torch.ones(2, 3), torch.ones(5, 3), None, training=True).shape
        torch.Size([2, 5])
    """
    large = inputs.numel() * len(weight) >= LEAST_PRODUCTS
    if not (large and trains_natively(training, inputs, weight) and _has_one_dnn()):
        return functional.linear(inputs, weight, bias)
    outputs: Tensor = _Linear.apply(inputs, weight, bias)  # type: ignore[no-untyped-call]
    return outputs


class Linear(nn.Linear):
    """`torch.nn.Linear`, computed by `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., N) to (..., M)."""
        return linear(input, self.weight, self.bias, self.training)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _product(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        rows, slopes = inputs.flatten(end_dim=-2), upstream.flatten(end_dim=-2)
        wanted = ctx.needs_input_grad
        product: Any = _Linear.apply
        return (
            product(upstream, weight.T, None) if wanted[0] else None,
            product(slopes.T, rows.T, None) if wanted[1] else None,
            slopes.sum(0) if wanted[2] else None,
        )


def _has_one_dnn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _product(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
    return product
