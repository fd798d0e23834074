"""The fields, layout, initialisation and input motions that SIREN and the ReLU MLP share.

Shape letters: P parameters of one INR, D in_features; leading dimensions (...) count INRs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.formula import Formula, Layer
from inrzoo.inrs import INR
from inrzoo.lazy import lazy
from inrzoo.seeding import Stream
from inrzoo.weights import WeightLayout, WeightTensor

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


@dataclass(frozen=True, kw_only=True)
class MultilayerPerceptron(INR):
    """A network of linear layers with hidden layers of one width; a subclass says what is between the layers.

    Attributes:
        hidden_features: H, neurons of a hidden layer.
        hidden_layers: linear layers between hidden layers.
    """

    hidden_features: int
    hidden_layers: int

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a count is out of range.
        """
        super().__post_init__()
        self.require("hidden_features", self.hidden_features >= 1, "at least 1")
        self.require("hidden_layers", self.hidden_layers >= 0, "at least 0")

    @property
    def num_inputs(self) -> int:
        """Inputs of the first layer."""
        return self.in_features

    @cached_property
    def layout(self) -> WeightLayout:
        """`weight_i` (out, in) and `bias_i` (out,) of every layer, first to last, as torch's `nn.Linear` holds them."""
        return mlp_layout([self.num_inputs, *[self.hidden_features] * (self.hidden_layers + 1), self.out_features])


def mlp_layout(sizes: Sequence[int]) -> WeightLayout:
    """Return the layout `weight_i` (out, in), `bias_i` (out,) of every layer, as in torch's `nn.Linear`.

    Args:
        sizes: number of inputs, of neurons of every hidden layer, and of outputs.
    """
    axes = ["in", *(f"hidden_{i}" for i in range(len(sizes) - 2)), "out"]
    tensors = []
    for i in range(len(sizes) - 1):
        tensors.append(WeightTensor(f"weight_{i}", (sizes[i + 1], sizes[i]), (axes[i + 1], axes[i])))
        tensors.append(WeightTensor(f"bias_{i}", (sizes[i + 1],), (axes[i + 1],)))
    return WeightLayout(tuple(tensors))


def mlp_formula(
    hidden: Sequence[Layer], sigma: str, *, encoding: NDArray[np.float64] | None = None, offset: float = 0.0
) -> Formula:
    """Return the formula of a network with the layout of `mlp_layout`.

    Args:
        hidden: the layers before the last.
        sigma: h_{i+1} by h_i, in LaTeX.
        encoding: F, (M, D) in radians per coordinate unit; None if the coordinates are not encoded.
        offset: added to every channel.
    """
    last = len(hidden)
    added = f" {offset:+.6g}" if offset else ""
    start = "x" if encoding is None else r"(\cos F x, \sin F x)"
    latex = f"$f(x) = W_{{{last}}} h_{{{last}}} + b_{{{last}}}{added}$, where $h_0 = {start}$ and ${sigma}$."
    rows = () if encoding is None else tuple(map(tuple, encoding.tolist()))
    output = Layer(weight=f"weight_{last}", bias=f"bias_{last}")
    return Formula(latex=latex, layers=(*hidden, output), encoding=rows, offset=offset)


def draw_uniform(layout: WeightLayout, stream: Stream, bounds: Mapping[str, float]) -> NDArray[np.float32]:
    """Draw initial weights, shape (P,): tensor `name` ~ U(±bounds[name]), drawn in the order of the layout."""
    tensors = {
        tensor.name: stream.uniform(-bounds[tensor.name], bounds[tensor.name], tensor.size).reshape(tensor.shape)
        for tensor in layout.tensors
    }
    weights: NDArray[np.float64] = layout.join(tensors)
    return weights.astype(np.float32)


def broadcast_to_float64(weights: Tensor, matrix: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return `weights` (..., P), A⁻¹ (..., D, D) and t (..., D) in float64 with the same leading dimensions, on the
    device of `weights`.

    Raises:
        InrzooError: A has no inverse.
    """
    lead = torch.broadcast_shapes(weights.shape[:-1], matrix.shape[:-2], shift.shape[:-1])
    matrix, shift = (tensor.to(weights.device, torch.float64) for tensor in (matrix, shift))
    inverse, failed = torch.linalg.inv_ex(matrix)
    if failed.any():
        raise InrzooError("coordinates can only be moved by an invertible matrix; this one is singular")
    return (
        weights.double().expand(*lead, weights.shape[-1]),
        inverse.expand(*lead, *matrix.shape[-2:]),
        shift.expand(*lead, shift.shape[-1]),
    )


def move_input(
    layout: WeightLayout, weights: Tensor, matrix: Tensor, shift: Tensor, bias_factor: float = 1.0
) -> Tensor:
    """Return the weights of f(g⁻¹(x)), g(x) = A x + t, for a first layer σ(c W₀ x + b₀'), exact for any σ and any A.

    W₀ (A⁻¹ (x − t)) = (W₀ A⁻¹) x − (W₀ A⁻¹) t: the weight takes the linear part, then the bias takes the shift times
    the new weight (docs/derivations/augmentation.md#moving-the-signal).

    Args:
        layout: made by `mlp_layout`; the inputs are the coordinates.
        weights: (..., P).
        matrix: A, (D, D) or (..., D, D).
        shift: t, (D,) or (..., D).
        bias_factor: c, the factor of W₀ x relative to the stored bias.
    """
    exact, inverse, exact_shift = broadcast_to_float64(weights, matrix, shift)
    tensors = layout.split(exact)
    tensors["weight_0"] = tensors["weight_0"] @ inverse
    tensors["bias_0"] = tensors["bias_0"] - bias_factor * (tensors["weight_0"] @ exact_shift[..., None])[..., 0]
    moved: Tensor = layout.join(tensors)
    return moved.to(weights.dtype)
