"""The layers of the relational transformer on the edges of a graph, on cores, forwards and backwards.

A graph of N nodes has N² edges, and what a layer computes of each is ten times as large as the edge. Here it belongs to
the edges that leave one node, stays in a core's cache, and is computed again where the gradient needs it.

Shape letters: B INRs, N nodes, E edge features, A attention features, H hidden features.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from inrzoo.native.library import ALIGNED, library, run, trains_natively

UNIT = 16
"""Numbers of features are multiples of this, of heads at most this; see source/products.h."""


def serves(training: bool, edges_BNNE: Tensor, widths: Sequence[int], num_heads: int = 1) -> bool:
    """Whether native code serves layers of these widths, now: in training, and if vectors divide the widths."""
    fits = num_heads <= UNIT and all(width % UNIT == 0 for width in (edges_BNNE.shape[-1], *widths))
    return fits and trains_natively(training, edges_BNNE)


def relational_attention(nodes: Tensor, edges_BNNE: Tensor, weight: Tensor, num_heads: int) -> Tensor:
    """Attention of nodes that depends on edges, before its last linear map; see `RelationalAttention`.

    Args:
        nodes: queries, keys and values of the nodes, (B, N, 3 · A).
        edges_BNNE: edges, (i, j) from i to j.
        weight: of the projections of edges: queries, keys, factors of values, values, (4 · A, E).
        num_heads: a divisor of A.

    Returns:
        (B, N, A). Its gradient can be taken once.
    """
    mixed_BNA: Tensor = _Attention.apply(nodes, edges_BNNE, weight, num_heads)  # type: ignore[no-untyped-call]
    return mixed_BNA


def edge_update(edges_BNNE: Tensor, from_BNH: Tensor, to_BNH: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    """e ← LN(e + O GELU(M [e_ij, e_ji] + from_i + to_j)), then e ← LN(e + P GELU(L e)).

    Args:
        edges_BNNE: edges, (i, j) from i to j.
        from_BNH, to_BNH: what nodes add to their edges.
        tensors: weight and bias of M, of O, and of the first norm; the weight of L; weight and bias of P and of the
            second norm.

    Returns:
        (B, N, N, E). Its gradient can be taken once.
    """
    updated: Tensor = _EdgeUpdate.apply(edges_BNNE, from_BNH, to_BNH, *tensors)  # type: ignore[no-untyped-call]
    return updated


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, nodes: Tensor, edges_BNNE: Tensor, weight: Tensor, num_heads: int) -> Tensor:
        given = [_aligned(tensor) for tensor in (nodes, edges_BNNE, weight)]
        outputs = given[0].new_empty(*nodes.shape[:2], nodes.shape[2] // 3)
        _run_attention(given, num_heads, outputs=outputs)
        ctx.save_for_backward(*given)
        ctx.num_heads = num_heads
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        nodes, edges, weight = given = ctx.saved_tensors
        gradients = torch.empty_like(nodes), torch.empty_like(edges), weight.new_empty(len(nodes), *weight.shape)
        _run_attention(given, ctx.num_heads, upstream=_aligned(upstream), gradients=gradients)
        return gradients[0], gradients[1], gradients[2].sum(0), None


class _EdgeUpdate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, edges: Tensor, from_nodes: Tensor, to_nodes: Tensor, *tensors: Tensor) -> Tensor:
        given = [_aligned(tensor) for tensor in (edges, from_nodes, to_nodes, *tensors)]
        outputs = torch.empty_like(given[0])
        _run_update(given, outputs=outputs)
        ctx.save_for_backward(*given)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, ...]:
        given = ctx.saved_tensors
        edges, tensors = given[0], given[3:]
        sizes = [tensor.numel() for tensor in tensors]
        of_tensors = edges.new_empty(len(edges), sum(sizes))
        gradients = [*(torch.empty_like(tensor) for tensor in given[:3]), of_tensors]
        _run_update(given, upstream=_aligned(upstream), gradients=gradients)
        parts = of_tensors.sum(0).split(sizes)
        shaped = [part.reshape(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
        return (*gradients[:3], *shaped)


class _AttentionJob(ctypes.Structure):
    """`Job` of source/relational_attention.cpp."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("nodes", "edges", "weight", "outputs", "upstream")),
        *((name, ctypes.c_void_p) for name in ("of_nodes", "of_edges", "of_weight")),
        ("num_nodes", ctypes.c_int),
        ("scale", ctypes.c_float),
    )


class _UpdateJob(ctypes.Structure):
    """`Job` of source/edge_update.cpp."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("edges", "from_nodes", "to_nodes")),
        ("tensors", ctypes.c_void_p * 11),
        *((name, ctypes.c_void_p) for name in ("outputs", "upstream", "of_edges", "of_from", "of_to", "of_tensors")),
        ("num_nodes", ctypes.c_int),
        ("num_numbers", ctypes.c_int),
    )


def _run_attention(
    given: Sequence[Tensor],
    num_heads: int,
    outputs: Tensor | None = None,
    upstream: Tensor | None = None,
    gradients: Sequence[Tensor] = (),
) -> None:
    attention_features, edge_features = len(given[2]) // 4, given[2].shape[1]
    job = _AttentionJob(
        *map(_address, given),
        _address(outputs),
        _address(upstream),
        *map(_address, gradients or (None,) * 3),
        given[0].shape[1],
        attention_features**-0.5,
    )
    sizes = {"EDGE": edge_features, "ATTENTION": attention_features, "HEADS": num_heads, "HIDDEN": UNIT}
    _run("relational_attention.cpp", sizes, job, given[0])


def _run_update(
    given: Sequence[Tensor],
    outputs: Tensor | None = None,
    upstream: Tensor | None = None,
    gradients: Sequence[Tensor] = (),
) -> None:
    edges, from_nodes, _, *tensors = given
    job = _UpdateJob(
        *map(_address, given[:3]),
        (ctypes.c_void_p * 11)(*map(_address, tensors)),
        _address(outputs),
        _address(upstream),
        *map(_address, gradients or (None,) * 4),
        edges.shape[1],
        sum(tensor.numel() for tensor in tensors),
    )
    sizes = {"EDGE": edges.shape[-1], "ATTENTION": UNIT, "HEADS": 1, "HIDDEN": from_nodes.shape[-1]}
    _run("edge_update.cpp", sizes, job, edges)


def _run(main: str, sizes: dict[str, int], job: ctypes.Structure, first: Tensor) -> None:
    constants = ", ".join(f"{name} = {size}" for name, size in sizes.items())
    native = library(main, {"shape.h": f"#pragma once\nconstexpr int {constants};\n"})
    run(native, job, len(first), first.shape[1])


def _aligned(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().contiguous()
    return tensor if tensor.data_ptr() % ALIGNED == 0 else tensor.clone()


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
