"""Activation maps of the neurons of an INR: GINR-IPC's Fig. 8.

Shape letters: K coordinates, H hidden; leading dimensions (...) count INRs.
"""

import torch
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.inrs import INR, Perceptron


def activation_maps(inr: INR, weights: Tensor, coords: Tensor) -> list[Tensor]:
    """Activations of every hidden layer.

    Args:
        inr: a multilayer perceptron: SIREN or ReLU MLP.
        weights: (..., P).
        coords: (K, D).

    Returns:
        First to last hidden layer, each (..., K, H): σ(a W h + c b).

    Raises:
        InrzooError: the INR is no multilayer perceptron.
    """
    kernel = inr.kernel()
    if not isinstance(kernel, Perceptron):
        raise InrzooError(
            f"activation maps need a multilayer perceptron (siren or relu_mlp), not a {type(inr).__name__}"
        )
    activation = torch.sin if kernel.activation == "sine" else torch.relu
    tensors = inr.layout.split(weights)
    hidden = kernel.inputs(coords)
    maps = []
    for i, (factor, bias_factor) in enumerate(zip(kernel.weight_factors, kernel.bias_factors, strict=True)):
        bias = bias_factor * tensors[f"bias_{i}"][..., None, :]
        hidden = activation(factor * (hidden @ tensors[f"weight_{i}"].mT) + bias)
        maps.append(hidden)
    return maps
