"""Steps that canonical forms are made of: multiply neurons, order neurons; every INR of a batch for itself.
Formulas: docs/derivations/symmetries.md#permutations.

Shape letters: P parameters of one INR, H neurons of an axis; leading dimensions (...) count INRs.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from inrzoo.weights import WeightLayout


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
