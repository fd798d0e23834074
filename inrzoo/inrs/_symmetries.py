"""Building blocks of symmetries and canonical forms; every INR of a batch is treated independently.
Formulas: docs/derivations/symmetries.md#permutations.

Shape letters: P parameters of one INR, H neurons of an axis; leading dimensions (...) count INRs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from inrzoo.lazy import lazy
from inrzoo.weights import WeightLayout

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


def multiply_neurons(
    layout: WeightLayout, weights: Tensor, incoming: Mapping[str, Tensor], outgoing: Mapping[str, Tensor]
) -> Tensor:
    """Multiply the incoming and the outgoing weights of neurons by factors.

    Args:
        layout: layout of tensors (to,) and (to, from).
        weights: (..., P).
        incoming: factors of incoming weights and biases by neuron axis, (H,) or (..., H).
        outgoing: factors of outgoing weights by neuron axis, (H,) or (..., H).

    Raises:
        ValueError: an axis is fixed or absent.
    """
    for axis in incoming.keys() | outgoing.keys():
        layout.require_neurons(axis)
    parts = layout.split(weights)
    for tensor in layout.tensors:
        to_axis, *from_axes = tensor.axes
        if to_axis in incoming:
            factors = incoming[to_axis].to(weights)
            parts[tensor.name] = parts[tensor.name] * (factors[..., :, None] if from_axes else factors)
        for from_axis in from_axes:
            if from_axis in outgoing:
                parts[tensor.name] = parts[tensor.name] * outgoing[from_axis].to(weights)[..., None, :]
    product: Tensor = layout.join(parts)
    return product


def permute_randomly(layout: WeightLayout, weights: Tensor, generator: torch.Generator) -> Tensor:
    """Permute the neurons of every axis at random, each INR differently. Shape (..., P) to (..., P)."""
    orders = {
        axis: torch.rand((*weights.shape[:-1], size), generator=generator, device=generator.device)
        .argsort(-1)
        .to(weights.device)
        for axis, size in layout.neuron_axes.items()
    }
    permuted: Tensor = layout.permute_each(weights, orders)
    return permuted


def draw_integers(
    layout: WeightLayout, weights: Tensor, low: int, high: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw an integer from `low` to `high` inclusive for every neuron of every INR: neuron axis -> (..., H), int64."""
    lead = weights.shape[:-1]
    return {
        axis: torch.randint(low, high + 1, (*lead, size), generator=generator, device=generator.device).to(
            weights.device
        )
        for axis, size in layout.neuron_axes.items()
    }


def draw_signs(layout: WeightLayout, weights: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw −1 or 1 for every neuron of every INR: neuron axis -> (..., H)."""
    return {axis: 2 * bits - 1 for axis, bits in draw_integers(layout, weights, 0, 1, generator).items()}


def sign_of(numbers: Tensor) -> Tensor:
    """Return −1 for numbers below 0, else 1."""
    return torch.where(numbers < 0, -1.0, 1.0)


def first_nonzero(rows: Tensor) -> Tensor:
    """Return the first non-zero entry of each row (0 for a row of zeros), shape (..., R) to (...)."""
    return rows.gather(-1, (rows != 0).long().argmax(dim=-1, keepdim=True))[..., 0]


def lexicographic_order(keys: Tensor) -> Tensor:
    """Return the order that sorts neurons by their first key, equal ones by the second, and so on.

    Args:
        keys: (..., H, number of keys).

    Returns:
        (..., H), int64; neurons with equal keys keep their order.
    """
    first, order = keys[..., 0].sort(dim=-1, stable=True)
    if bool((first.diff(dim=-1) > 0).all()):
        return order
    order = torch.arange(keys.shape[-2], device=keys.device).expand(keys.shape[:-1])
    for key in keys.flip(-1).unbind(-1):  # the last key first: stable sorts keep the order of equal keys
        order = order.gather(-1, key.gather(-1, order).argsort(dim=-1, stable=True))
    return order


def split_at(layout: WeightLayout, weights: Tensor, axes: Iterable[str]) -> dict[str, Tensor]:
    """Split `weights` into tensors; raise ValueError if the neurons of an axis cannot be permuted."""
    for axis in axes:
        layout.require_neurons(axis)
    return layout.split(weights)
