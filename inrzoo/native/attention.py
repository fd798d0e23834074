"""Attention of tokens to each other on cores, forwards and backwards, whose scores never leave the cache.

torch's own takes the products of MKL, which are half as fast as ours on processors that are not Intel's.

Shape letters: B batch of sequences, T tokens, A heads, E features of a head.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from inrzoo.native.library import library, run, trains_natively

LEAST_PRODUCTS = 2**18
"""T² · A · E from which on native code pays, which is compiled for seconds for every number of heads and features."""


def attention(projected: Tensor, num_heads: int, training: bool) -> Tensor:
    """softmax(q kᵀ / √E) v of each head.

    In training, in float32 on a CPU, it is computed natively, and its gradient can be taken once; elsewhere it is
    torch's `scaled_dot_product_attention`, to which it is equal up to rounding.

    Args:
        projected: queries, keys and values of all heads, (B, T, 3 · A · E).
        num_heads: A.
        training: whether the layer is in training mode.

    Returns:
        (B, T, A · E).

    Example:
        >>> attention(torch.randn(2, 5, 3 * 8), num_heads=2, training=True).shape
        torch.Size([2, 5, 8])
    """
    num_tokens, numbers = projected.shape[1:]
    if num_tokens**2 * numbers // 3 >= LEAST_PRODUCTS and trains_natively(training, projected):
        outputs: Tensor = _Attention.apply(projected, num_heads)  # type: ignore[no-untyped-call]
        return outputs
    query, key, value = projected.unflatten(-1, (3, num_heads, -1)).permute(2, 0, 3, 1, 4)
    return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor, num_heads: int) -> Tensor:
        projected = projected.detach().contiguous()
        batch, num_tokens, numbers = projected.shape
        outputs = projected.new_empty(batch, num_tokens, numbers // 3)
        statistics = projected.new_empty(batch, num_heads, num_tokens, 2)
        _run(projected, outputs, statistics, num_heads)
        ctx.save_for_backward(projected, outputs, statistics)
        ctx.num_heads = num_heads
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        projected, outputs, statistics = ctx.saved_tensors
        gradient = torch.empty_like(projected)
        _run(projected, outputs, statistics, ctx.num_heads, upstream.contiguous(), gradient)
        return gradient, None


class _Job(ctypes.Structure):
    """`Job` of source/attention.cpp."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("tokens", "outputs", "statistics", "upstream", "gradient")),
        ("num_tokens", ctypes.c_int),
        ("scale", ctypes.c_float),
    )


def _run(
    projected: Tensor,
    outputs: Tensor,
    statistics: Tensor,
    num_heads: int,
    upstream: Tensor | None = None,
    gradient: Tensor | None = None,
) -> None:
    batch, num_tokens, numbers = outputs.shape
    features = numbers // num_heads
    job = _Job(
        tokens=projected.data_ptr(),
        outputs=outputs.data_ptr(),
        statistics=statistics.data_ptr(),
        upstream=None if upstream is None else upstream.data_ptr(),
        gradient=None if gradient is None else gradient.data_ptr(),
        num_tokens=num_tokens,
        scale=features**-0.5,
    )
    shape = f"#pragma once\nconstexpr int HEADS = {num_heads}, FEATURES = {features};\n"
    run(library("attention.cpp", {"shape.h": shape}), job, batch * num_heads, num_tokens)
