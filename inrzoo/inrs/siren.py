"""SIREN, Sitzmann et al. 2020, "Implicit neural representations with periodic activation functions" (arXiv 2006.09661).

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, H hidden.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrzoo.inrs import INR
from inrzoo.seeding import Stream
from inrzoo.weights import WeightLayout, WeightTensor


@dataclass(frozen=True, kw_only=True)
class Siren(INR):
    """f(x) = W_L h + b_L with h ← sin(ω₀ (W h + b)) at every layer before the last.

    ω₀ multiplies the bias too and is the same in the first and in all hidden layers, as in the authors' code.
    Init (Sec. 3.2 and the authors' code): first W ~ U(±1/in), every other W, the linear output layer's included,
    ~ U(±√(6/in)/ω₀), biases as torch's `nn.Linear`: U(±1/√in), `in` being that layer's input count.

    Attributes:
        hidden_features: H, neurons of a hidden layer.
        hidden_layers: maps between hidden layers, as in the authors' code: 2/32/32/1 has one, 2/64/64/64/64/1 three.
        omega_0: ω₀, radians per unit of pre-activation.
    """

    hidden_features: int = 32
    hidden_layers: int = 1
    omega_0: float = 30.0

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a count or a frequency out of its range.
        """
        super().__post_init__()
        self.require("hidden_features", self.hidden_features >= 1, "at least 1")
        self.require("hidden_layers", self.hidden_layers >= 0, "at least 0")
        self.require("omega_0", 0 < self.omega_0 < np.inf, "above 0")

    @cached_property
    def layout(self) -> WeightLayout:
        """`weight_i` (out, in) and `bias_i` (out,) of every layer, first to last, as torch's `nn.Linear` holds them."""
        axes = ["in", *(f"hidden_{i}" for i in range(self.hidden_layers + 1)), "out"]
        sizes = [self.in_features, *[self.hidden_features] * (self.hidden_layers + 1), self.out_features]
        tensors = []
        for i in range(len(sizes) - 1):
            tensors.append(WeightTensor(f"weight_{i}", (sizes[i + 1], sizes[i]), (axes[i + 1], axes[i])))
            tensors.append(WeightTensor(f"bias_{i}", (sizes[i + 1],), (axes[i + 1],)))
        return WeightLayout(tuple(tensors))

    def init(self, stream: Stream) -> NDArray[np.float32]:
        """Fresh weights, shape (P,); see the class for the distribution."""
        tensors = {}
        for i in range(self.hidden_layers + 2):
            out_size, in_size = self.layout.split(np.empty(self.layout.num_params))[f"weight_{i}"].shape
            bound = 1 / in_size if i == 0 else np.sqrt(6 / in_size) / self.omega_0
            tensors[f"weight_{i}"] = stream.uniform(-bound, bound, out_size * in_size).reshape(out_size, in_size)
            tensors[f"bias_{i}"] = stream.uniform(-1 / np.sqrt(in_size), 1 / np.sqrt(in_size), out_size)
        weights: NDArray[np.float64] = self.layout.join(tensors)
        return weights.astype(np.float32)

    def values(self, weights_BP: Tensor, coords_BKD: Tensor) -> Tensor:
        """Values of B functions, shape (B, K, C)."""
        tensors = self.layout.split(weights_BP)
        # Neurons before coordinates, ω₀ applied to the small tensors: a tenth faster than the other ways round.
        hidden_BHK = coords_BKD.transpose(1, 2)
        for i in range(self.hidden_layers + 1):
            weight_BHH, bias_BH1 = tensors[f"weight_{i}"], tensors[f"bias_{i}"][:, :, None]
            hidden_BHK = torch.sin(torch.baddbmm(self.omega_0 * bias_BH1, self.omega_0 * weight_BHH, hidden_BHK))
        last = self.hidden_layers + 1
        bias_BC1 = tensors[f"bias_{last}"][:, :, None]
        return torch.baddbmm(bias_BC1, tensors[f"weight_{last}"], hidden_BHK).transpose(1, 2)
