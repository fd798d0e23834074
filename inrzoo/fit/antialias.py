"""Keeps the frequencies of a multiplicative filter network (MFN) below the Nyquist frequency of its fitting grid.

Why: what an INR does between the points of its grid is not in the loss. An MFN that uses frequencies above Nyquist
looks right on the grid and wrong everywhere else, and so do its rotations and scalings.

The bound (docs/derivations/filter_networks.md#frequency-bound). Products of sines are sums of sines of sums, so an MFN
of Fourier filters is a finite sum of sinusoids, and along coordinate axis c none is faster than

    Ω_c = Σ_i max_j |ω⁽ⁱ⁾_jc|        radians per coordinate unit, i the filters, j their units.

It is attained. Gabor filters spread every line by their Gaussian envelope, about √γ per filter: there the bound is that
of the lines' centres and an approximation. A SIREN has none, the sine of a sine has infinitely many harmonics.

The regulariser: "Contrastive implicit representation learning", Sec. 3.2.1, adds R(θ) = Σ_i |ω_i|₀ (eq. 9) to the
reconstruction loss and calls |·|₀ the L₀ norm. Where we differ: a count of non-zero entries neither measures a
frequency nor has a gradient, and the sentence before eq. 9 derives "the sum of the maximum frequencies of filters",
a sum of L∞ norms; so eq. 9 is read as `linf`. That pulls at every network, also at one far below Nyquist; the text
wants frequencies "around the Nyquist" and kept "below while fitting", which is a threshold: `hinge`, the default
(docs/derivations/filter_networks.md#anti-aliasing).

The paper's reconstruction loss (eq. 2) is a sum over pixels and channels, ours a mean over K coordinates and C
channels. Weights are given in the paper's units and divided once, in `AntiAlias.addend`: λ_mean = λ_sum / (K·C).

Shape letters: B batch of INRs, P parameters of one INR, D in_features; `bound` and the penalties take any leading
dimensions in place of B.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from inrzoo.choices import Regulariser
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.lazy import lazy
from inrzoo.nearest import among

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


SMOOTH_MAX_POWER = 16
"""p of `smooth_max`: for 16 units and p = 16 the p-norm is at most 16^(1/16) = 1.19 times the maximum."""

L0_WIDTH = 1.0
"""ε of `l0_surrogate`, radians per coordinate unit: entries well above it count 1, well below it 0."""


@dataclass(frozen=True, kw_only=True)
class AntiAlias:
    """The regulariser against aliasing; only for INRs with a frequency bound.

    With Ω_c the bound and N_c the Nyquist frequency along axis c, the penalty of one INR is

    * `hinge`: Σ_c relu(Ω_c − α N_c)². Exactly zero, gradient too, for an INR within the limit.
    * `linf`: Σ_i max_jc |ω⁽ⁱ⁾_jc|, the literal reading of the paper's text. α is not used, nor by the four below.
    * `axis_linf`: Σ_c Ω_c, the sampling theorem axis by axis.
    * `smooth_max`: as `axis_linf` with the maximum replaced by the p-norm, p = 16: every unit has a gradient.
    * `l1`: Σ |ω|. Shrinks everything.
    * `l0_surrogate`: Σ ω² / (ω² + ε²), ε = 1: the L₀ norm that eq. 9 writes, made differentiable. For the curious.
    * `projection`: no penalty. After each step the filters are scaled along axis c so that Ω_c ≤ α N_c; Adam's moments
      are left alone. Guaranteed for every INR that takes a step; no weight to choose.

    Attributes:
        regulariser: one of the above.
        weight: λ beside a squared error that is summed over coordinates and channels (the paper's eq. 2), above 0; 0
            for `projection`.
        alpha: the limit as a share of the Nyquist frequency, above 0.
    """

    regulariser: Regulariser = "hinge"
    weight: float = 0.0
    alpha: float = 1.0

    def __post_init__(self) -> None:
        """Reject impossible values.

        Raises:
            InrzooError: an unknown regulariser, a weight or alpha out of its range.
        """
        if self.regulariser not in (*_PENALTIES, "projection"):
            known = (*_PENALTIES, "projection")
            raise InrzooError(f"no regulariser {self.regulariser!r}{among(self.regulariser, known)}")
        if self.regulariser == "projection" and self.weight != 0:
            raise InrzooError(f"weight = {self.weight!r} is not allowed; projection has no weight, leave it out")
        if self.regulariser != "projection" and not 0 < self.weight < inf:
            raise InrzooError(f"weight = {self.weight!r} is not allowed; {self.regulariser} needs one above 0")
        if not 0 < self.alpha < inf:
            raise InrzooError(f"alpha = {self.alpha!r} is not allowed; it must be above 0")

    def addend(self, inr: INR, weights_BP: Tensor, nyquist_D: Tensor, num_values: int) -> Tensor:
        """The term, (B,), beside a mean over `num_values` = K·C values: λ_sum / (K·C) times the penalty."""
        return self.weight / num_values * self.penalty(require_frequencies(inr, weights_BP), nyquist_D)

    def penalty(self, frequencies: Sequence[Tensor], nyquist_D: Tensor) -> Tensor:
        """The unweighted penalty of each INR, shape (B,); 0 for `projection`.

        Args:
            frequencies: filter matrices, each (B, filters, D).
            nyquist_D: radians per coordinate unit, in the order of the coordinates.
        """
        if self.regulariser == "projection":
            return frequencies[0].new_zeros(frequencies[0].shape[:-2])
        return _PENALTIES[self.regulariser](frequencies, self.alpha * nyquist_D)

    def project_(self, inr: INR, weights_BP: Tensor, nyquist_D: Tensor, still_B: Tensor) -> None:
        """Scale filters in place so that no INR's bound exceeds the limit; nothing unless this is `projection`.

        INRs in `still_B` and axes within the limit keep their bits.
        """
        if self.regulariser != "projection":
            return
        frequencies = require_frequencies(inr, weights_BP)
        bound_BD, limit_D = frequency_bound(frequencies), self.alpha * nyquist_D
        # Rounding of the products and of the sum must not lift the bound over the limit again.
        rounding = (len(frequencies) + 4) * torch.finfo(weights_BP.dtype).eps
        above_BD = (bound_BD > limit_D) & ~still_B[:, None]
        scale_BD = torch.where(above_BD, limit_D / bound_BD * (1 - rounding), 1.0)
        for frequencies_BFD in frequencies:
            shared = frequencies_BFD.untyped_storage().data_ptr() == weights_BP.untyped_storage().data_ptr()
            assert shared, f"filter_frequencies of {type(inr).__name__} must return views of the weights"
            frequencies_BFD.mul_(scale_BD[:, None, :])


def frequency_bound(frequencies: Sequence[Tensor]) -> Tensor:
    """Ω_c = Σ_i max_j |ω⁽ⁱ⁾_jc|: no sinusoid in the INR is faster along axis c (exact for Fourier filters).

    Args:
        frequencies: filter matrices, each (..., filters, D).

    Returns:
        Shape (..., D), in the units of `frequencies`.
    """
    return _sum([frequency.abs().amax(dim=-2) for frequency in frequencies])


def require_frequencies(inr: INR, weights: Tensor) -> list[Tensor]:
    """The INR's filter matrices.

    Raises:
        InrzooError: the family has no frequency bound.
    """
    frequencies = inr.filter_frequencies(weights)
    if frequencies is None:
        raise InrzooError(
            f"{type(inr).__name__} has no frequency bound; "
            "anti-aliasing needs a multiplicative filter network: fourier_net, gabor_net"
        )
    return frequencies


def _hinge(frequencies: Sequence[Tensor], limit_D: Tensor) -> Tensor:
    return torch.relu(frequency_bound(frequencies) - limit_D).square().sum(dim=-1)


def _linf(frequencies: Sequence[Tensor], limit_D: Tensor) -> Tensor:
    return _sum([frequency.abs().amax(dim=(-2, -1)) for frequency in frequencies])


def _axis_linf(frequencies: Sequence[Tensor], limit_D: Tensor) -> Tensor:
    return frequency_bound(frequencies).sum(dim=-1)


def _smooth_max(frequencies: Sequence[Tensor], limit_D: Tensor) -> Tensor:
    norms = []
    for frequency in frequencies:
        # The 16th power of a frequency leaves float32's range; the norm of the scaled one does not. A constant scale
        # changes neither the norm nor its gradient.
        scale = frequency.detach().abs().amax(dim=(-2, -1), keepdim=True).clamp(min=torch.finfo(frequency.dtype).tiny)
        norm = torch.linalg.vector_norm(frequency / scale, ord=SMOOTH_MAX_POWER, dim=-2)
        norms.append((norm * scale.squeeze(-2)).sum(dim=-1))
    return _sum(norms)


def _l1(frequencies: Sequence[Tensor], limit_D: Tensor) -> Tensor:
    return _sum([frequency.abs().sum(dim=(-2, -1)) for frequency in frequencies])


def _l0_surrogate(frequencies: Sequence[Tensor], limit_D: Tensor) -> Tensor:
    squares = [frequency.square() for frequency in frequencies]
    return _sum([(square / (square + L0_WIDTH**2)).sum(dim=(-2, -1)) for square in squares])


_PENALTIES: dict[str, Callable[[Sequence[Tensor], Tensor], Tensor]] = {
    "hinge": _hinge,
    "linf": _linf,
    "axis_linf": _axis_linf,
    "smooth_max": _smooth_max,
    "l1": _l1,
    "l0_surrogate": _l0_surrogate,
}


def _sum(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum(dim=0)
