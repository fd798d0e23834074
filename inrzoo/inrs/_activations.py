"""What each neuron of an INR says at coordinates, by the formula of its family.

Shape letters: B INRs, K coordinates, D coordinate dimensions, N neurons of an axis, M encoding frequencies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from inrzoo.formula import Filter, Formula, Layer
from inrzoo.lazy import lazy
from inrzoo.weights import WeightLayout

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


def activations(
    formula: Formula,
    layout: WeightLayout,
    weights_BP: Tensor,
    coords_KD: Tensor,
    base_layout: WeightLayout | None = None,
    base_Q: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return the activations of all neurons, (B, K, N) for each axis of a layout, or of a base that INRs share.

    Those of axis `in` are the coordinates, or their encoding; those of `out` are the values of the INR. A unit of a
    filter network says the product of its filter with the layer before.
    """
    tensors, axes = layout.split(weights_BP), {tensor.name: tensor.axes for tensor in layout.tensors}
    if base_layout is not None and base_Q is not None:
        tensors |= {name: part[None] for name, part in base_layout.split(base_Q).items()}
        axes |= {tensor.name: tensor.axes for tensor in base_layout.tensors}
    inputs = coords_KD
    if formula.encoding:
        # In float64: float32 sines of large angles differ from processor to processor.
        frequencies_MD = torch.tensor(formula.encoding, dtype=torch.float64, device=coords_KD.device)
        angles = coords_KD.double() @ frequencies_MD.mT
        inputs = torch.cat([angles.cos(), angles.sin()], dim=-1).to(coords_KD.dtype)
    hidden_BKN = inputs.expand(len(weights_BP), -1, -1)
    said = {"in": hidden_BKN}
    filters = [_filter_values(each, tensors, coords_KD) for each in formula.filters]
    if filters:
        hidden_BKN = said[axes[formula.filters[0].omega][0]] = filters[0]
    for i, layer in enumerate(formula.layers):
        weight, bias = modulated(layer, tensors)
        linear = hidden_BKN @ (layer.weight_factor * weight).mT + layer.bias_factor * bias[:, None]
        if layer.activation == "identity":
            hidden_BKN = linear
        else:
            hidden_BKN = linear.sin() if layer.activation == "sine" else linear.relu()
        if i + 1 < len(filters):
            hidden_BKN = hidden_BKN * filters[i + 1]
        said[axes[layer.weight][0]] = hidden_BKN
    said["out"] = hidden_BKN + formula.offset
    return said


def modulated(layer: Layer, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return W and b of a layer, (B or 1, out, in) and (B or 1, out), with what a latent changes in them."""
    weight, bias, modulation = tensors[layer.weight], tensors[layer.bias], layer.modulation
    if modulation is None:
        return weight, bias
    latent_BM1 = tensors[modulation.latent][..., None]
    if modulation.shift is not None:
        bias = bias + (tensors[modulation.shift] @ latent_BM1)[..., 0]
    if modulation.left is not None and modulation.gain is not None and modulation.right is not None:
        gains_BR1 = tensors[modulation.gain] @ latent_BM1
        weight = weight + tensors[modulation.left] @ (gains_BR1 * tensors[modulation.right])
    return weight, bias


def _filter_values(each: Filter, tensors: dict[str, Tensor], coords_KD: Tensor) -> Tensor:
    """Return the values of a filter, (B, K, N)."""
    values = torch.sin(coords_KD @ tensors[each.omega].mT + tensors[each.phi][:, None])
    if each.mu is None or each.gamma is None:
        return values
    squares = (coords_KD[:, None] - tensors[each.mu][:, None]).square().sum(-1)
    return values * torch.exp(-tensors[each.gamma][:, None] / 2 * squares)
