"""GaborNet: the multiplicative filter network with Gabor filters, Fathony et al., ICLR 2021 (see `_mfn`).

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, H hidden (units of a filter),
E = D + 1 (a coordinate and its squared norm).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from inrzoo.array_namespace import affine, array_namespace
from inrzoo.errors import InrzooError
from inrzoo.inrs._harmonics import parts_along_axis
from inrzoo.inrs._mfn import MultiplicativeFilterNetwork
from inrzoo.lazy import lazy
from inrzoo.seeding import Stream

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

SIMILARITY_TOLERANCE = 1e-5
"""Maximum relative deviation of AᵀA from a multiple of the identity; that of float32 rotations is below 1e-6."""


@dataclass(frozen=True, kw_only=True)
class GaborNet(MultiplicativeFilterNetwork):
    """An MFN with the filters g_ij(x) = exp(-γ_ij/2 |x - μ_ij|²) sin(ω_ij x + φ_ij).

    Initialisation: as in `MultiplicativeFilterNetwork`, then μ_i ~ U(-1, 1) and γ_i ~ Gamma(alpha/F, rate beta), and
    for `"fathony"` row j of ω_i is multiplied by √γ_ij, as in the authors' code. Otherwise ω_i stays as it is, so that
    the bound of its class holds for the centres of the filters' spectra.

    `filter_init = "windows"` is ours (docs/derivations/filter_networks.md#windows): the last filter has a Gaussian
    window, without a wave, on each of divisionsᴰ equal parts of [-extent, extent]ᴰ, γ = (divisions/extent)²; all others
    are the waves of `"harmonics"` without an envelope. The windows' rows of the linear layer are alike, and so are the
    output weights, 1/√H with a random sign: what the start is in one part, it is in all. So such a row is a Fourier
    series of one part.

    The spectrum of an envelope is unbounded: each filter spreads over about √γ radians per unit, so that Σ_i max_j
    |ω_i| bounds the centres only. As in the authors' code, the fit may take γ below 0: such an envelope is 1 at μ,
    finite on any grid, and grows to infinity outside.

    Attributes:
        alpha: shape of the Gamma distribution of γ, times F.
        beta: rate of that distribution.
    """

    FILTER_TENSORS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **MultiplicativeFilterNetwork.FILTER_TENSORS,
        "mu": ("in",),
        "gamma": (),
    }
    FILTER_LATEX: ClassVar[str] = (
        r"g_{ij}(x) = \exp(-\tfrac{1}{2} \gamma_{ij} \lVert x - \mu_{ij} \rVert^2) "
        r"\sin(\omega_{ij} x + \varphi_{ij})"
    )

    alpha: float = 6.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a field of an MFN, `alpha` or `beta` is out of range, or there are fewer units than windows.
        """
        super().__post_init__()
        for key in ("alpha", "beta"):
            self.require(key, 0 < getattr(self, key) < np.inf, "above 0")
        if self.filter_init == "windows":
            most = self._most_windows
            allowed = f"at most {most} with filter_init = 'windows', of which there are no more than hidden_features"
            self.require("divisions", self.parts_of_axis <= most, allowed)

    def init_filter(self, i: int, stream: Stream) -> dict[str, NDArray[np.float64]]:
        """Draw the tensors of filter i: `omega` (H, D), `phi` (H,), `mu` (H, D), `gamma` (H,)."""
        tensors = super().init_filter(i, stream)
        if self.filter_init == "windows":
            return tensors | self._envelopes(i, tensors["omega"])
        tensors["mu"] = stream.uniform(-1, 1, tensors["omega"].size).reshape(tensors["omega"].shape)
        tensors["gamma"] = stream.gamma(self.alpha / self.num_filters, self.beta, self.hidden_features)
        if self.filter_init == "fathony":
            tensors["omega"] = tensors["omega"] * np.sqrt(tensors["gamma"])[:, None]
        return tensors

    @property
    def parts_of_axis(self) -> int:
        """`divisions`; by default, of windows, as many as there are units for."""
        return self.divisions or (self._most_windows if self.filter_init == "windows" else super().parts_of_axis)

    @property
    def _most_windows(self) -> int:
        return parts_along_axis(self.hidden_features, self.in_features)

    def _envelopes(self, i: int, omega_HD: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Windows for the last filter, which has no waves, and no envelope for the others."""
        units, D, zero_HD = self.hidden_features, self.in_features, np.zeros_like(omega_HD)
        if i < self.num_filters - 1:
            return {"mu": zero_HD, "gamma": np.zeros(units)}
        parts = self.parts_of_axis
        axis = (np.arange(parts) + 0.5) * (2 / parts) - 1
        centres = np.stack(np.meshgrid(*[axis] * D, indexing="ij"), axis=-1)
        return {
            "omega": zero_HD,
            "phi": np.full(units, np.pi / 2),
            "mu": self.extent * np.resize(centres, (units, D)),
            "gamma": np.full(units, (parts / self.extent) ** 2),
        }

    def init_linear(self, i: int, weight: NDArray[np.float64], bias: NDArray[np.float64], bound: float) -> None:
        """For windows: their rows are alike, output weights have one size and the sign of the first."""
        if self.filter_init != "windows":
            return
        if i == self.num_filters - 2:
            weight[:], bias[:] = weight[0], bias[0]
        elif i == self.num_filters - 1:
            weight[:] = np.copysign(bound, weight[:, :1])

    def init_bounds(self) -> dict[str, float]:
        """See `INR.init_bounds`; γ is not uniform, nor ω where it is multiplied by √γ, nor rows that are alike."""
        if self.filter_init == "windows":
            last = self.num_filters - 1
            alike = {f"weight_{last}", f"weight_{last - 1}", f"bias_{last - 1}"}
            return {key: bound for key, bound in super().init_bounds().items() if key not in alike}
        mu = {f"mu_{i}": 1.0 for i in range(self.num_filters)}
        is_product = self.filter_init == "fathony"
        uniform = super().init_bounds().items()
        return {key: bound for key, bound in uniform if not (is_product and key.startswith("omega"))} | mu

    def filters(self, tensors: dict[str, Tensor], coords_BKD: Tensor) -> Iterator[Tensor]:
        """Yield g_0(x), g_1(x), …, each (B, K, H)."""
        # -γ/2 |x - μ|² = γμ·x - γ/2 |x|² - γ/2 |μ|², one product with (x, |x|²) as in the authors' code: a third
        # faster than the differences, with an error of about 1e-7 γ in float32.
        xp = array_namespace(coords_BKD)
        coords_BKE = xp.concat([coords_BKD, xp.sum(xp.square(coords_BKD), axis=-1, keepdims=True)], axis=-1)
        for i in range(self.num_filters):
            mu_BHD, gamma_BH1 = tensors[f"mu_{i}"], tensors[f"gamma_{i}"][..., None]
            slope_BHE = xp.concat([gamma_BH1 * mu_BHD, -gamma_BH1 / 2], axis=-1)
            peak_BH1 = -gamma_BH1 / 2 * xp.sum(xp.square(mu_BHD), axis=-1, keepdims=True)
            envelope_BKH = xp.exp(affine(peak_BH1.mT, coords_BKE, slope_BHE.mT))
            phase_BKH = affine(tensors[f"phi_{i}"][:, None], coords_BKD, tensors[f"omega_{i}"].mT)
            yield envelope_BKH * xp.sin(phase_BKH)

    def transform_coords(self, weights: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
        """Return the weights of f(g⁻¹(x)), g(x) = A x + t, exact for every x and A = s · (rotation or reflection).

        As in a FourierNet, with μ ← A μ + t, γ ← γ/s², since |A⁻¹ (x − t) − μ| = |x − (A μ + t)| / s
        (docs/derivations/augmentation.md#moving-the-signal).

        Args:
            weights: (..., P).
            matrix: A, (D, D) or (..., D, D).
            shift: t, (D,) or (..., D).

        Returns:
            (..., P), computed in float64, in the dtype of `weights`.

        Raises:
            InrzooError: some A is of another kind, which would turn round envelopes into ellipses.
        """
        exact_matrix, exact_shift = (tensor.to(weights.device, torch.float64) for tensor in (matrix, shift))
        gram = exact_matrix.mT @ exact_matrix
        square = gram.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None]  # s²
        identity = torch.eye(self.in_features, dtype=gram.dtype, device=gram.device)
        if ((gram / square[..., None] - identity).abs() > SIMILARITY_TOLERANCE).any():
            raise InrzooError(
                "the envelopes of a GaborNet are round: its coordinates can be rotated, flipped, shifted and scaled "
                "by the same factor along every axis, but not transformed by this matrix"
            )
        tensors = self.layout.split(super().transform_coords(weights.double(), matrix, shift))
        for i in range(self.num_filters):
            mu, gamma = f"mu_{i}", f"gamma_{i}"
            tensors[mu] = tensors[mu] @ exact_matrix.mT + exact_shift[..., None, :]
            tensors[gamma] = tensors[gamma] / square
        moved: Tensor = self.layout.join(tensors)
        return moved.to(weights.dtype)
