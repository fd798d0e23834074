"""Multiplicative filter networks: Fathony, Sahu, Willmott & Kolter, ICLR 2021, "Multiplicative filter networks" (MFN),
Sec. 3; eq. 4 of the contrastive paper counted from 0 (docs/derivations/filter_networks.md#definition):

    z_0 = g_0(x),    z_{i+1} = (W_i z_i + b_i) ⊙ g_{i+1}(x),    f(x) = W_{F-1} z_{F-1} + b_{F-1}

F filters have F - 1 linear layers between them and one after the last. The authors' code counts those between
(`n_layers`); we count filters, as the contrastive paper's Table 1 does: its 3 filters of 16 units have 705 parameters
for one channel and 739 for three.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, H hidden (units
of a filter), F filters, R = H + 1 (a row of a linear layer and its bias).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from inrzoo.array_namespace import affine
from inrzoo.formula import Filter, Formula, Layer
from inrzoo.inrs import INR, FilterNetwork
from inrzoo.inrs._harmonics import complete_up_to, harmonics
from inrzoo.inrs._mlp import broadcast_to_float64
from inrzoo.inrs._symmetries import draw_integers, draw_signs, first_nonzero, lexicographic_order, sign_of, split_at
from inrzoo.lazy import lazy
from inrzoo.seeding import Stream
from inrzoo.weights import WeightLayout, WeightTensor

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

FilterInit = Literal["fathony", "nyquist_fraction", "harmonics", "windows"]
LOWEST_PHASE = -(2.0**-10)
"""Lower end in radians of the canonical phases, an interval of length π. It is exact in every float type and differs
from the phases with a meaning (0, π/2, π)."""


@dataclass(frozen=True, kw_only=True)
class MultiplicativeFilterNetwork(INR):
    """The recursion, its initialisation, motions and symmetries; a subclass defines the filters.

    The flat vector is in the order of the recursion: filter i (`omega_i`, `phi_i`, …), then the linear layer after it
    (`weight_i`, `bias_i`). Initial weights are drawn in that order from one stream. As in the authors' code
    W_i ~ U(±√(weight_scale/H)), biases U(±1/√H), the output layer as torch's `nn.Linear`: both U(±1/√H); φ_i ~ U(±π).
    `filter_init` selects the formula of ω_i:

    * `"fathony"`, the authors': U(±input_scale/√(F·D)).
    * `"nyquist_fraction"`, ours: U(±nyquist_fraction·nyquist/F). Along every axis the frequencies of a FourierNet stay
      below Σ_i max_j |ω_i|, so initial ones stay below that fraction of the grid's Nyquist frequency.
    * `"harmonics"`, ours: π divisions^(F−1−i)/extent k with whole numbers k from 0, each with φ_i = 0 and π/2. The last
      filter's are the harmonics of [-extent, extent]^D, those before it of a part of it, of a part of a part and so on,
      so that a product of filters is a short-time Fourier series (docs/derivations/filter_networks.md#harmonics).
    * `"windows"`, ours, of a GaborNet alone: see there.

    Attributes:
        hidden_features: H, units of every filter.
        num_filters: F.
        filter_init: the formula of ω_i.
        input_scale: factor of `"fathony"`. The default is the contrastive paper's for MNIST (for CIFAR10 3.46; both are
            √3·side/16); the authors' own, for images of 256 x 256 pixels, is 256.
        weight_scale: H times the squared bound of the linear layers between filters.
        nyquist_fraction: factor of `"nyquist_fraction"`.
        nyquist: Nyquist frequency of the fitting grid, π/spacing, in radians per coordinate unit; the smallest over the
            axes. Required for `"nyquist_fraction"`.
        divisions: parts along each axis for `"harmonics"` and `"windows"`; by default as many as H harmonics can tell
            apart, H for an even H and one axis, or as many as H windows can cover.
        extent: highest coordinate for `"harmonics"` and `"windows"`, that of the signals.
    """

    FILTER_TENSORS: ClassVar[Mapping[str, tuple[str, ...]]] = {"omega": ("in",), "phi": ()}
    """Tensors of a filter: name -> axes after the filter's own."""
    FILTER_LATEX: ClassVar[str] = r"g_i(x) = \sin(\omega_i x + \varphi_i)"
    """A filter in LaTeX."""
    FILTER_INITS: ClassVar[tuple[str, ...]] = get_args(FilterInit)
    """`filter_init` must be one of these."""

    hidden_features: int = 16
    num_filters: int = 3
    filter_init: FilterInit = "fathony"
    input_scale: float = 3.03
    weight_scale: float = 1.0
    nyquist_fraction: float = 1.0
    nyquist: float | None = None
    divisions: int | None = None
    extent: float = 1.0

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a field is out of range, or `nyquist` is missing.
        """
        super().__post_init__()
        for key in ("hidden_features", "num_filters"):
            self.require(key, getattr(self, key) >= 1, "at least 1")
        formulas = ", ".join(map(repr, self.FILTER_INITS))
        self.require("filter_init", self.filter_init in self.FILTER_INITS, f"one of {formulas}")
        for key in ("input_scale", "weight_scale", "nyquist_fraction", "extent"):
            self.require(key, 0 < getattr(self, key) < math.inf, "above 0")
        if self.filter_init == "nyquist_fraction" or self.nyquist is not None:
            allowed = "above 0 where filter_init = 'nyquist_fraction': π / spacing of the fitting grid"
            self.require("nyquist", self.nyquist is not None and 0 < self.nyquist < math.inf, allowed)
        self.require("divisions", self.divisions is None or self.divisions >= 1, "at least 1")

    @cached_property
    def layout(self) -> WeightLayout:
        """`omega_i` (filter_i, in), `phi_i` (filter_i,), other filter tensors, `weight_i` (out, in), `bias_i`."""
        sizes = {"in": self.in_features, "out": self.out_features}
        sizes |= {f"filter_{i}": self.hidden_features for i in range(self.num_filters)}
        axes_of: dict[str, tuple[str, ...]] = {}
        for i in range(self.num_filters):
            source, target = f"filter_{i}", "out" if i == self.num_filters - 1 else f"filter_{i + 1}"
            axes_of |= {f"{name}_{i}": (source, *axes) for name, axes in self.FILTER_TENSORS.items()}
            axes_of |= {f"weight_{i}": (target, source), f"bias_{i}": (target,)}
        return WeightLayout(
            tuple(WeightTensor(name, tuple(sizes[axis] for axis in axes), axes) for name, axes in axes_of.items())
        )

    def formula(self) -> Formula:
        """See `INR.formula`."""
        last = self.num_filters - 1
        recursion = r"$z_0 = g_0(x)$ and $z_{i+1} = (W_i z_i + b_i) \odot g_{i+1}(x)$"
        return Formula(
            latex=f"$f(x) = W_{{{last}}} z_{{{last}}} + b_{{{last}}}$, where {recursion} with ${self.FILTER_LATEX}$.",
            layers=tuple(Layer(weight=f"weight_{i}", bias=f"bias_{i}") for i in range(self.num_filters)),
            filters=tuple(
                Filter(**{name: f"{name}_{i}" for name in self.FILTER_TENSORS}) for i in range(self.num_filters)
            ),
        )

    def kernel(self) -> FilterNetwork:
        """See `INR.kernel`."""
        sizes = (self.in_features, self.hidden_features, self.num_filters, self.out_features)
        return FilterNetwork(*sizes, gabor="gamma" in self.FILTER_TENSORS)

    def init(self, stream: Stream) -> NDArray[np.float32]:
        """Draw initial weights, shape (P,); see the class for the distribution."""
        tensors: dict[str, NDArray[np.float64]] = {}
        bounds = self._linear_bounds
        for i in range(self.num_filters):
            tensors |= {f"{name}_{i}": part for name, part in self.init_filter(i, stream).items()}
            rows = self.out_features if i == self.num_filters - 1 else self.hidden_features
            for name, size in ((f"weight_{i}", rows * self.hidden_features), (f"bias_{i}", rows)):
                drawn = stream.uniform(-bounds[name], bounds[name], size)
                tensors[name] = drawn.reshape(rows, -1) if name.startswith("weight") else drawn
            self.init_linear(i, tensors[f"weight_{i}"], tensors[f"bias_{i}"], bounds[f"weight_{i}"])
        weights: NDArray[np.float64] = self.layout.join(tensors)
        return weights.astype(np.float32)

    def init_bounds(self) -> dict[str, float]:
        """See `INR.init_bounds`."""
        if self.filter_init in ("harmonics", "windows"):
            return self._linear_bounds
        omega = {f"omega_{i}": self._omega_bound for i in range(self.num_filters)}
        phi = {f"phi_{i}": math.pi for i in range(self.num_filters)}
        return omega | phi | self._linear_bounds

    @property
    def _linear_bounds(self) -> dict[str, float]:
        bounds: dict[str, float] = {}
        for i in range(self.num_filters):
            scale = 1.0 if i == self.num_filters - 1 else self.weight_scale
            bounds[f"weight_{i}"] = math.sqrt(scale / self.hidden_features)
            bounds[f"bias_{i}"] = math.sqrt(1 / self.hidden_features)
        return bounds

    @property
    def _omega_bound(self) -> float:
        if self.nyquist is not None and self.filter_init == "nyquist_fraction":
            return self.nyquist_fraction * self.nyquist / self.num_filters
        return self.input_scale / math.sqrt(self.num_filters * self.in_features)

    @cached_property
    def _harmonics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return harmonics(self.hidden_features, self.in_features)

    def init_filter(self, i: int, stream: Stream) -> dict[str, NDArray[np.float64]]:
        """Draw the tensors of filter i in the order of the layout: `omega` (H, D), `phi` (H,), …"""
        if self.filter_init in ("harmonics", "windows"):
            multiples_HD, phi_H = self._harmonics
            lowest = math.pi / self.extent * self.parts_of_axis ** (self.num_filters - 1 - i)
            return {"omega": lowest * multiples_HD, "phi": phi_H}
        bound = self._omega_bound
        omega = stream.uniform(-bound, bound, self.hidden_features * self.in_features)
        return {
            "omega": omega.reshape(self.hidden_features, self.in_features),
            "phi": stream.uniform(-math.pi, math.pi, self.hidden_features),
        }

    @property
    def parts_of_axis(self) -> int:
        """`divisions`, or its default."""
        return self.divisions or 2 * complete_up_to(self.hidden_features, self.in_features) + 2

    def init_linear(self, i: int, weight: NDArray[np.float64], bias: NDArray[np.float64], bound: float) -> None:
        """Change the linear layer after filter i, as it was drawn: (out, H) of U(±`bound`) and (out,)."""

    @abstractmethod
    def filters(self, tensors: dict[str, Tensor], coords_BKD: Tensor) -> Iterator[Tensor]:
        """Yield g_0(x), g_1(x), …, each (B, K, H), one by one: a batch of all of them would not fit the cache."""

    def values(self, weights_BP: Tensor, coords_BKD: Tensor) -> Tensor:
        """Return the values of B functions, shape (B, K, C)."""
        tensors = self.layout.split(weights_BP)
        filters = self.filters(tensors, coords_BKD)
        z_BKH = next(filters)
        # Coordinates before units: a tenth faster than the reverse (16 INRs, 1,024 coordinates, one core).
        for i, filter_BKH in enumerate(filters):
            z_BKH = affine(tensors[f"bias_{i}"][:, None], z_BKH, tensors[f"weight_{i}"].mT) * filter_BKH
        last = self.num_filters - 1
        values_BKC: Tensor = affine(tensors[f"bias_{last}"][:, None], z_BKH, tensors[f"weight_{last}"].mT)
        return values_BKC

    def filter_frequencies(self, weights: Tensor) -> list[Tensor]:
        """Return ω_0, …, ω_{F-1}, each (..., H, D), in radians per coordinate unit."""
        tensors = self.layout.split(weights)
        return [tensors[f"omega_{i}"] for i in range(self.num_filters)]

    def transform_coords(self, weights: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
        """Return the weights of f(g⁻¹(x)), g(x) = A x + t: ω ← ω A⁻¹, then φ ← φ − ω t, in every filter.

        From sin(ω A⁻¹ (x − t) + φ); exact for every x and every invertible A, computed in float64
        (docs/derivations/augmentation.md#moving-the-signal).
        """
        exact, inverse, exact_shift = broadcast_to_float64(weights, matrix, shift)
        tensors = self.layout.split(exact)
        for i in range(self.num_filters):
            omega, phi = f"omega_{i}", f"phi_{i}"
            tensors[omega] = tensors[omega] @ inverse
            tensors[phi] = tensors[phi] - (tensors[omega] @ exact_shift[..., None])[..., 0]
        moved: Tensor = self.layout.join(tensors)
        return moved.to(weights.dtype)

    def flip_filters(self, weights: Tensor, signs: Mapping[str, Tensor]) -> Tensor:
        """Return weights of the same function with (ω, φ) and outgoing weights of some units negated.

        Args:
            weights: (..., P).
            signs: axis `filter_i` -> ±1 of each of its units, (H,) or (..., H); −1 flips.

        Returns:
            (..., P).
        """
        tensors = split_at(self.layout, weights, signs)
        for axis, sign in signs.items():
            omega, phi, weight = (f"{name}_{axis.removeprefix('filter_')}" for name in ("omega", "phi", "weight"))
            tensors[omega] = tensors[omega] * sign[..., None].to(weights)
            tensors[phi] = tensors[phi] * sign.to(weights)
            tensors[weight] = tensors[weight] * sign[..., None, :].to(weights)
        flipped: Tensor = self.layout.join(tensors)
        return flipped

    def shift_phases(self, weights: Tensor, half_turns: Mapping[str, Tensor]) -> Tensor:
        """Return weights of the same function with k π added to φ of some units: sin(a + k π) = (−1)^k sin(a).

        Args:
            weights: (..., P).
            half_turns: axis `filter_i` -> whole number k of each of its units, (H,) or (..., H).

        Returns:
            (..., P).
        """
        tensors = split_at(self.layout, weights, half_turns)
        for axis, turns in half_turns.items():
            phi, weight = (f"{name}_{axis.removeprefix('filter_')}" for name in ("phi", "weight"))
            tensors[phi] = tensors[phi] + math.pi * turns.to(weights)
            tensors[weight] = tensors[weight] * (1 - 2 * turns.remainder(2))[..., None, :].to(weights)
        shifted: Tensor = self.layout.join(tensors)
        return shifted

    def scale_linear(self, weights: Tensor, factors: Mapping[str, Tensor]) -> Tensor:
        """Return weights of the same function with scaled units of z_i.

        Row j of W_{i−1} and its bias are multiplied, column j of W_i is divided by c_j
        (docs/derivations/symmetries.md#filter-units).

        Args:
            weights: (..., P).
            factors: axis `filter_i`, i ≥ 1 -> c ≠ 0 of each of its units, (H,) or (..., H).

        Returns:
            (..., P).

        Raises:
            ValueError: an axis is absent, or is filter 0, which has no linear layer before it.
        """
        if "filter_0" in factors:
            raise ValueError("filter 0 has no linear layer before it that could be scaled")
        tensors = split_at(self.layout, weights, factors)
        for axis, factor in factors.items():
            i = int(axis.removeprefix("filter_"))
            tensors[f"weight_{i - 1}"] = tensors[f"weight_{i - 1}"] * factor[..., None].to(weights)
            tensors[f"bias_{i - 1}"] = tensors[f"bias_{i - 1}"] * factor.to(weights)
            tensors[f"weight_{i}"] = tensors[f"weight_{i}"] / factor[..., None, :].to(weights)
        scaled: Tensor = self.layout.join(tensors)
        return scaled

    def random_member(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """See `INR.random_member`: order, signs, half turns, and scales of the linear branch from ±1/4 to ±4."""
        weights = self.shift_phases(weights, draw_integers(self.layout, weights, -4, 4, generator))
        weights = self.flip_filters(weights, draw_signs(self.layout, weights, generator))
        powers = draw_integers(self.layout, weights, -8, 8, generator)
        signs = draw_signs(self.layout, weights, generator)
        factors = {axis: signs[axis] * torch.exp2(powers[axis].to(weights.dtype) / 4) for axis in [*signs][1:]}
        return super().random_member(self.scale_linear(weights, factors), generator)

    def canonicalise(self, weights: Tensor) -> Tensor:
        """Return one member of each symmetry orbit: docs/derivations/symmetries.md#canonical-form-of-a-filter-network.

        1. The first non-zero entry of each row of ω_i is positive; φ_i ∈ [−2⁻¹⁰, π − 2⁻¹⁰). A SIREN's form halves
           that range and leaves ω free; but rounding keeps the sign of ω, not that of a phase near 0.
        2. The units of each filter ascend by their row of ω_i, its first entry first, then by φ_i: after step 1 only
           renumbering changes these.
        3. Each row of W_{i−1} together with its bias has norm 1 and a positive first non-zero entry, i = 1, …, F−1.

        Output rows keep order, sign and scale. The form is unique for almost all weights: units that share ω and φ have
        further symmetries, and a row of zeros has neither sign nor norm; both stay as they are.

        Returns:
            (..., P), computed in float64, in the dtype of `weights`.
        """
        filters = range(self.num_filters)
        exact = weights.double()
        omegas = self.filter_frequencies(exact)
        exact = self.flip_filters(exact, {f"filter_{i}": sign_of(first_nonzero(omegas[i])) for i in filters})

        tensors = self.layout.split(exact)
        turns = {f"filter_{i}": -torch.floor((tensors[f"phi_{i}"] - LOWEST_PHASE) / math.pi) for i in filters}
        tensors = self.layout.split(self.shift_phases(exact, turns))
        # A phase that rounds to the open end would jump to the other end in the next call.
        highest = LOWEST_PHASE + math.pi - 4 * torch.finfo(weights.dtype).eps
        tensors |= {f"phi_{i}": tensors[f"phi_{i}"].clamp(max=highest) for i in filters}

        keys = [torch.cat([tensors[f"omega_{i}"], tensors[f"phi_{i}"][..., None]], dim=-1) for i in filters]
        orders = {f"filter_{i}": lexicographic_order(keys[i]) for i in filters}
        exact = self.layout.permute_each(self.layout.join(tensors), orders)

        for i in filters[1:]:
            tensors = self.layout.split(exact)
            rows_HR = torch.cat([tensors[f"weight_{i - 1}"], tensors[f"bias_{i - 1}"][..., None]], dim=-1)
            norm = rows_HR.norm(dim=-1)
            factors = torch.where(norm > 0, sign_of(first_nonzero(rows_HR)) / norm, 1.0)
            exact = self.scale_linear(exact, {f"filter_{i}": factors})
        return exact.to(weights.dtype)
