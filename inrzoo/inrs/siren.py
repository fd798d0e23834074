"""SIREN, Sitzmann et al. 2020, "Implicit neural representations with periodic activation functions" (arXiv 2006.09661).

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, H hidden.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from inrzoo.array_namespace import affine, array_namespace
from inrzoo.formula import Formula, Layer
from inrzoo.inrs import Perceptron
from inrzoo.inrs._mlp import MultilayerPerceptron, draw_uniform, mlp_formula, move_input
from inrzoo.inrs._symmetries import draw_integers, draw_signs, lexicographic_order, multiply_neurons
from inrzoo.lazy import lazy
from inrzoo.seeding import Stream

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

Convention = Literal["sitzmann", "dws", "mwt", "fit_a_nef"]

MWT_SCALE = 0.1
"""Initial value of MWT's learned output scale."""

TIE = 1e-4
"""Tolerance in radians at which a phase counts as 0 or π/2; float32 rounding turns a stored 0 into ±1e-6."""


@dataclass(frozen=True, kw_only=True)
class Siren(MultilayerPerceptron):
    """f(x) = W_L h + b_L + offset, with h ← sin(ω (W h + b)) at every layer before the last.

    The papers' SIRENs differ in initialisation and in the place of ω (docs/derivations/siren.md#initialisation);
    `convention` selects a row. U(±a) is the uniform distribution, `in` a layer's number of inputs:

    | convention | first W     | hidden W    | sine layers' b | output W    | output b | ω first / hidden |
    |------------|-------------|-------------|----------------|-------------|----------|------------------|
    | sitzmann   | ±1/in       | ±√(6/in)/ω₀ | ±1/√in         | ±√(6/in)/ω₀ | ±1/√in   | ω₀ / ω₀          |
    | dws        | ±√(6/in)/ω₀ | ±√(6/in)/ω₀ | 0              | ±1/√in      | ±1/√in   | ω₀ / ω₀          |
    | mwt        | ±1/in       | ±√(6/in)    | 0              | ±0.1/√in    | ±0.1/√in | ω₀ / 1           |
    | fit_a_nef  | ±1/in       | ±√(6/in)/ω₀ | 0              | N(0, 1/in)  | 0        | ω₀ / ω₀          |

    With `omega_hidden` = ω₁ the hidden layers have the factor ω₁, and hidden W and sitzmann's output W are drawn from
    ±√(6/in)/ω₁.

    * sitzmann: Sec. 3.2 and the authors' code, biases as torch's `nn.Linear`; also NFN's sets.
    * dws: DWSNets (Navon et al. 2023) and the code that copied its `nn/inr.py`. It draws its first layer like a hidden
      one because its flag for the first layer is never set. It adds 0.5 to the output: `output_offset = 0.5`.
    * mwt: end-to-end meta-learned weight transformers, where ω₀ is 10 or 30. Its output layer is `nn.Linear` times a
      learned scale per channel that starts at 0.1; here W and b contain that initial value, and no scale is learned.
    * fit_a_nef: the code of fit-a-nef (Papa et al. 2024), whose output layer is drawn from a normal distribution.

    Attributes:
        hidden_features: H, neurons of a hidden layer.
        hidden_layers: linear layers between hidden ones, as in their code: 2/32/32/1 has 1, 2/64/64/64/64/1 has 3.
        omega_0: ω₀, radians per unit of pre-activation.
        convention: initialisation and ω of each layer, see the table.
        omega_hidden: ω₁, the factor of the hidden layers; ω₀ if None. `mwt` has its own and takes none.
        init_scale: factor of the initial W of all layers but the last (Yeom et al. 2024, arXiv 2410.04779); above 1
            the fit begins with higher frequencies and needs fewer steps.
        bias_inside: whether ω multiplies the bias too, as in the authors' code. False: sin(ω W h + b), eq. 3 of the
            contrastive paper; these biases are drawn ω times wider: initial functions keep their distribution.
        output_offset: constant added to every channel.
    """

    hidden_features: int = 32
    hidden_layers: int = 1
    omega_0: float = 30.0
    convention: Convention = "sitzmann"
    bias_inside: bool = True
    output_offset: float = 0.0
    omega_hidden: float | None = None
    init_scale: float = 1.0

    def __post_init__(self) -> None:
        """Reject fields out of range and unknown conventions by an InrzooError."""
        super().__post_init__()
        self.require("omega_0", 0 < self.omega_0 < np.inf, "above 0")
        conventions = get_args(Convention)
        self.require("convention", self.convention in conventions, f"one of {', '.join(conventions)}")
        self.require("output_offset", math.isfinite(self.output_offset), "finite")
        own = self.omega_hidden is not None
        self.require("omega_hidden", not own or 0 < (self.omega_hidden or 0) < np.inf, "above 0")
        self.require("omega_hidden", not own or self.convention != "mwt", "left out with convention = 'mwt'")
        self.require("init_scale", 0 < self.init_scale < np.inf, "above 0")

    @property
    def omegas(self) -> tuple[float, ...]:
        """ω of every sine layer, first to last: the factor of W h."""
        return (self.omega_0, *[self._omega_hidden] * self.hidden_layers)

    @property
    def _omega_hidden(self) -> float:
        if self.convention == "mwt":
            return 1.0
        return self.omega_0 if self.omega_hidden is None else self.omega_hidden

    @property
    def bias_omegas(self) -> tuple[float, ...]:
        """Factor of the stored bias of every sine layer, in radians of phase per unit of bias."""
        return self.omegas if self.bias_inside else (1.0,) * len(self.omegas)

    def _bounds(self, i: int) -> tuple[float, float]:
        """Return the bounds of W and b of layer `i` from the table of the class, for biases inside ω."""
        in_size = self.in_features if i == 0 else self.hidden_features
        linear, wide = 1 / np.sqrt(in_size), np.sqrt(6 / in_size)
        is_output = i == self.hidden_layers + 1
        if self.convention == "sitzmann":
            return (1 / in_size if i == 0 else wide / self._omega_hidden), linear
        if self.convention == "dws":
            if is_output:
                return linear, linear
            return wide / (self.omega_0 if i == 0 else self._omega_hidden), 0.0
        if self.convention == "fit_a_nef":  # the output's normal draw is that of `init`
            return (1 / in_size if i == 0 else wide / self._omega_hidden), 0.0
        if is_output:
            return MWT_SCALE * linear, MWT_SCALE * linear
        return (1 / in_size if i == 0 else wide), 0.0

    def init(self, stream: Stream) -> NDArray[np.float32]:
        """Draw initial weights, shape (P,); see the class for the distribution."""
        if self.convention != "fit_a_nef":
            return draw_uniform(self.layout, stream, self.init_bounds())
        weight = f"weight_{self.hidden_layers + 1}"
        weights_P = draw_uniform(self.layout, stream, self.init_bounds() | {weight: 0.0})
        tensors = self.layout.split(weights_P)
        shape = tensors[weight].shape
        tensors[weight] = stream.normal(tensors[weight].size).reshape(shape) / np.sqrt(self.hidden_features)
        joined: NDArray[np.float64] = self.layout.join(tensors)
        return joined.astype(np.float32)

    def init_bounds(self) -> dict[str, float]:
        """See `INR.init_bounds`: the table of the class."""
        bounds = {}
        last = self.hidden_layers + 1
        for i in range(last + 1):
            bounds[f"weight_{i}"], bounds[f"bias_{i}"] = self._bounds(i)
            if i < last:
                bounds[f"weight_{i}"] *= self.init_scale
                bounds[f"bias_{i}"] *= 1.0 if self.bias_inside else self.omegas[i]
        if self.convention == "fit_a_nef":
            del bounds[f"weight_{last}"]
        return bounds

    def values(self, weights_BP: Tensor, coords_BKD: Tensor) -> Tensor:
        """Return the values of B functions, shape (B, K, C)."""
        xp = array_namespace(weights_BP)
        tensors = self.layout.split(weights_BP)
        # Neurons before coordinates, ω applied to the small tensors: a tenth faster than the reverse.
        hidden_BHK = coords_BKD.mT
        for i, (omega, bias_omega) in enumerate(zip(self.omegas, self.bias_omegas, strict=True)):
            weight_BHH, bias_BH1 = tensors[f"weight_{i}"], tensors[f"bias_{i}"][:, :, None]
            hidden_BHK = xp.sin(affine(bias_omega * bias_BH1, omega * weight_BHH, hidden_BHK))
        last = self.hidden_layers + 1
        bias_BC1 = tensors[f"bias_{last}"][:, :, None] + self.output_offset
        values_BCK: Tensor = affine(bias_BC1, tensors[f"weight_{last}"], hidden_BHK)
        return values_BCK.mT

    def formula(self) -> Formula:
        """See `INR.formula`."""
        hidden = [
            Layer(
                weight=f"weight_{i}",
                bias=f"bias_{i}",
                weight_factor=omega,
                bias_factor=bias_omega,
                activation="sine",
            )
            for i, (omega, bias_omega) in enumerate(zip(self.omegas, self.bias_omegas, strict=True))
        ]
        phase = r"\omega_i (W_i h_i + b_i)" if self.bias_inside else r"\omega_i W_i h_i + b_i"
        omegas = ", ".join(f"{omega:.6g}" for omega in self.omegas)
        return mlp_formula(hidden, rf"h_{{i+1}} = \sin({phase})$ with $\omega = ({omegas})", offset=self.output_offset)

    def kernel(self) -> Perceptron:
        """See `INR.kernel`."""
        return Perceptron(
            activation="sine",
            weight_factors=self.omegas,
            bias_factors=self.bias_omegas,
            num_inputs=self.num_inputs,
            hidden_features=self.hidden_features,
            num_hidden=len(self.omegas),
            out_features=self.out_features,
            output_offset=self.output_offset,
            inputs=lambda coords_KD: coords_KD,
        )

    def flip_neurons(self, weights: Tensor, signs: Mapping[str, Tensor]) -> Tensor:
        """Return weights of the same function with sin(a) written as −sin(−a) in some neurons.

        Args:
            weights: (..., P).
            signs: neuron axis -> ±1 of each of its neurons, (H,) or (..., H); −1 flips.

        Returns:
            (..., P).
        """
        return multiply_neurons(self.layout, weights, incoming=signs, outgoing=signs)

    def shift_phases(self, weights: Tensor, half_turns: Mapping[str, Tensor]) -> Tensor:
        """Return weights of the same function with k π added to some phases: sin(a + k π) = (−1)^k sin(a).

        Args:
            weights: (..., P).
            half_turns: neuron axis -> whole number k of each of its neurons, (H,) or (..., H).

        Returns:
            (..., P).
        """
        outgoing = {axis: 1 - 2 * turns.remainder(2) for axis, turns in half_turns.items()}
        tensors = self.layout.split(multiply_neurons(self.layout, weights, incoming={}, outgoing=outgoing))
        for i, bias_omega in enumerate(self.bias_omegas):
            if f"hidden_{i}" in half_turns:
                turns = half_turns[f"hidden_{i}"].to(weights)
                tensors[f"bias_{i}"] = tensors[f"bias_{i}"] + turns * (math.pi / bias_omega)
        shifted: Tensor = self.layout.join(tensors)
        return shifted

    def random_member(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """See `INR.random_member`: order, signs, and up to 4 half turns of the phase of every neuron."""
        turned = self.shift_phases(weights, draw_integers(self.layout, weights, -4, 4, generator))
        flipped = self.flip_neurons(turned, draw_signs(self.layout, weights, generator))
        return super().random_member(flipped, generator)

    def canonicalise(self, weights: Tensor) -> Tensor:
        """Return one member of each orbit of permutations, signs and phases of neurons.

        See docs/derivations/symmetries.md#canonical-form-of-a-siren.
        Layer by layer, since outgoing weights belong to the next layer's rows: (1) half turns are subtracted from each
        phase φ = ω b (b if the bias is outside ω) and negative φ are flipped, so that φ ∈ [0, π/2]; (2) at the ends of
        that interval, within `TIE`, both signs of W's row are possible: its largest entry becomes positive; (3) neurons
        are sorted by the norm of their row, which no symmetry changes, then by its entries and the bias. In the output
        layer only columns are exchanged and negated. Neurons without effect or equal to others have further symmetries,
        which are not removed.

        Args:
            weights: (..., P).

        Returns:
            (..., P), computed in float64, in the dtype of `weights`.
        """
        exact = weights.double()
        for i, bias_omega in enumerate(self.bias_omegas):
            axis, weight, bias = f"hidden_{i}", f"weight_{i}", f"bias_{i}"
            phase = bias_omega * self.layout.split(exact)[bias]
            exact = self.shift_phases(exact, {axis: -torch.ceil(phase / math.pi - 0.5 - TIE / math.pi)})

            tensors = self.layout.split(exact)
            phase, rows = bias_omega * tensors[bias], tensors[weight]  # phase in (−π/2 + TIE, π/2 + TIE]
            greatest = rows.gather(-1, rows.abs().argmax(-1, keepdim=True))[..., 0]
            tied = (phase.abs() <= TIE) | (phase > math.pi / 2 - TIE)
            signs = torch.where(torch.where(tied, greatest, phase) < 0, -1.0, 1.0)
            exact = self.flip_neurons(exact, {axis: signs})
            # A flip at π/2 leads to −π/2; half a turn brings it back.
            exact = self.shift_phases(exact, {axis: (signs * phase < -2 * TIE).double()})

            tensors = self.layout.split(exact)
            rows = tensors[weight]
            keys = torch.cat([rows.norm(dim=-1, keepdim=True), rows, tensors[bias][..., None]], dim=-1)
            exact = self.layout.permute_each(exact, {axis: lexicographic_order(keys)})
        return exact.to(weights.dtype)

    def transform_coords(self, weights: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
        """Return the weights of f(g⁻¹(x)), g(x) = A x + t, exact for every invertible A.

        See docs/derivations/augmentation.md#moving-the-signal.
        W₀ ← W₀ A⁻¹, then b₀ ← b₀ − W₀ t, or b₀ − ω W₀ t where ω does not multiply the bias; the contrastive paper
        writes the former beside its eq. 3, for which the latter is right. Shapes are those of `INR.transform_coords`.
        """
        return move_input(self.layout, weights, matrix, shift, self.omegas[0] / self.bias_omegas[0])
