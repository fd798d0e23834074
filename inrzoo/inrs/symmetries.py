"""Steps that symmetries and canonical forms are made of; every INR of a batch for itself.
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
    """Multiply what enters and what leaves neurons by a factor each.

    Args:
        layout: of tensors (to,) and (to, from).
        weights: (..., P).
        incoming: neuron axis -> factors of its weights and biases, where it is the `to`; (H,) or (..., H).
        outgoing: neuron axis -> factors of the weights of the next layer, where it is the `from`; (H,) or (..., H).

    Raises:
        ValueError: an axis that is fixed or absent.
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
    """Give the neurons of every axis a random order, each INR its own. Shape (..., P) to (..., P)."""
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
    """Integers from `low` to `high` inclusive, one for every neuron of every INR: neuron axis -> (..., H), int64."""
    lead = weights.shape[:-1]
    return {
        axis: torch.randint(low, high + 1, (*lead, size), generator=generator, device=generator.device).to(
            weights.device
        )
        for axis, size in layout.neuron_axes.items()
    }


def draw_signs(layout: WeightLayout, weights: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """−1 or 1 for every neuron of every INR: neuron axis -> (..., H)."""
    return {axis: 2 * bits - 1 for axis, bits in draw_integers(layout, weights, 0, 1, generator).items()}


def sign_of(numbers: Tensor) -> Tensor:
    """−1 below 0, else 1."""
    return torch.where(numbers < 0, -1.0, 1.0)


def first_nonzero(rows: Tensor) -> Tensor:
    """First entry of each row that is not 0 (0 for a row of zeros), shape (..., R) to (...)."""
    return rows.gather(-1, (rows != 0).long().argmax(dim=-1, keepdim=True))[..., 0]


def lexicographic_order(keys: Tensor) -> Tensor:
    """Order that sorts neurons by their first key, equal ones by the second, and so on.

    Args:
        keys: (..., H, number of keys).

    Returns:
        (..., H), int64; neurons with all keys equal stay in the order they had.
    """
    first, order = keys[..., 0].sort(dim=-1, stable=True)
    if bool((first.diff(dim=-1) > 0).all()):
        return order
    order = torch.arange(keys.shape[-2], device=keys.device).expand(keys.shape[:-1])
    for key in keys.flip(-1).unbind(-1):  # the last key first: stable sorts keep what the lesser keys have ordered
        order = order.gather(-1, key.gather(-1, order).argsort(dim=-1, stable=True))
    return order


def split_at(layout: WeightLayout, weights: Tensor, axes: Iterable[str]) -> dict[str, Tensor]:
    """Tensors of `weights`, or ValueError for an axis whose neurons do not move."""
    for axis in axes:
        layout.require_neurons(axis)
    return layout.split(weights)
