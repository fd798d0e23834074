"""A SIREN that all signals share, modulated by a latent of each: Dupont et al. 2022, "From data to functa".

arXiv 2201.12204; formulas and differences: docs/derivations/latents.md#definition.

Shape letters: B batch of INRs, M numbers of a latent, K coordinates, D in_features, C out_features, H hidden, R rank,
Q numbers of the base.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from inrzoo import bases
from inrzoo.array_namespace import array_namespace, is_repeated
from inrzoo.formula import Formula, Modulation
from inrzoo.inrs import INR
from inrzoo.inrs._activations import modulated
from inrzoo.inrs._mlp import draw_uniform, mlp_formula
from inrzoo.inrs.siren import Siren
from inrzoo.seeding import Stream
from inrzoo.weights import WeightLayout, WeightTensor

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class LatentSiren(INR):
    """f(x) = W_L h + b_L + offset, with h ← sin(ω₀ (W h + b)) modulated by z, the only numbers of an INR's own.

    | modulation | of layer i                                                   | base, beside W and b             |
    |------------|--------------------------------------------------------------|----------------------------------|
    | shift      | b ← b + S_i z, every sine layer; functa's                    | S_i (H, M)                       |
    | low_rank   | W ← W + U_i diag(G_i z) V_i, every sine layer after the first | U_i (H, R), G_i (R, M), V_i (R, H) |

    W, b and the matrices of the modulation are the base: they are trained over many signals (`hypernets/functa.py`) and
    lie once in a store. z = 0 is the base's own function. A latent has no symmetries: its numbers have an order, and no
    two latents are the same function for every base, so that the canonical form is the latent itself.

    Attributes:
        latent_dim: M, numbers of a latent.
        modulation: `shift` or `low_rank`.
        rank: R, the most that `low_rank` adds to the rank of a matrix; `shift` ignores it.
        hidden_features: H, neurons of a hidden layer.
        hidden_layers: linear layers between hidden ones, as for `siren`.
        omega_0: ω₀, radians per unit of pre-activation, in every sine layer.
        output_offset: constant added to every channel.
        base: name of the base, its sha256 (hex); a build sets it. None for INRs that have no base yet.
    """

    latent_dim: int = 64
    modulation: Literal["shift", "low_rank"] = "shift"
    rank: int = 16
    hidden_features: int = 64
    hidden_layers: int = 3
    omega_0: float = 30.0
    output_offset: float = 0.0
    base: str | None = None

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a field is out of range.
        """
        super().__post_init__()
        for key in ("latent_dim", "rank"):
            self.require(key, getattr(self, key) >= 1, "at least 1")
        self.require("modulation", self.modulation in ("shift", "low_rank"), "shift or low_rank")
        allowed = self.hidden_layers >= 1 or self.modulation != "low_rank"
        self.require("hidden_layers", allowed, "at least 1 with modulation = 'low_rank'")
        self.require("base", self.base is None or bool(bases.NAME.fullmatch(self.base)), "a sha256 in 64 hex digits")
        self.require("hidden_features", self.hidden_features >= 1, "at least 1")
        self.require("hidden_layers", self.hidden_layers >= 0, "at least 0")
        self.require("omega_0", 0 < self.omega_0 < np.inf, "above 0")
        self.require("output_offset", bool(np.isfinite(self.output_offset)), "finite")

    @cached_property
    def siren(self) -> Siren:
        """The SIREN that is modulated."""
        return Siren(
            in_features=self.in_features,
            out_features=self.out_features,
            hidden_features=self.hidden_features,
            hidden_layers=self.hidden_layers,
            omega_0=self.omega_0,
            output_offset=self.output_offset,
        )

    @cached_property
    def layout(self) -> WeightLayout:
        """One tensor, `latent` (M,)."""
        return WeightLayout((WeightTensor("latent", (self.latent_dim,), ("latent",)),))

    @cached_property
    def base_layout(self) -> WeightLayout:
        """`weight_i` and `bias_i` of every layer as for `siren`, then the matrices of the modulation."""
        tensors = list(self.siren.layout.tensors)
        width, rank, latent_dim = self.hidden_features, self.rank, self.latent_dim
        for i in range(self.hidden_layers + 1):
            if self.modulation == "shift":
                tensors.append(WeightTensor(f"shift_{i}", (width, latent_dim), (f"hidden_{i}", "latent")))
            elif i > 0:
                tensors.append(WeightTensor(f"left_{i}", (width, rank), (f"hidden_{i}", f"rank_{i}")))
                tensors.append(WeightTensor(f"gain_{i}", (rank, latent_dim), (f"rank_{i}", "latent")))
                tensors.append(WeightTensor(f"right_{i}", (rank, width), (f"rank_{i}", f"hidden_{i - 1}")))
        return WeightLayout(tuple(tensors))

    @property
    def base_weights(self) -> Any:
        """See `INR.base_weights`; of an INR `bound_to` a parameter, that parameter."""
        bound = vars(self).get("bound")
        return bases.find(self.base) if bound is None else bound

    def bound_to(self, base: nn.Parameter) -> Self:
        """These INRs with a base that is being trained, (Q,): values are differentiable in it."""
        bound = replace(self)
        vars(bound)["bound"] = base
        return bound

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy in another process brings its base with it."""
        table = {each.name: getattr(self, each.name) for each in fields(self)}
        known = None if self.base is None or not bases.is_known(self.base) else bases.find(self.base)
        return _restored, (table, known, vars(self).get("bound"))

    @property
    def num_neurons(self) -> int:
        """See `INR.num_neurons`."""
        return self.siren.num_neurons

    def init(self, stream: Stream) -> NDArray[np.float32]:
        """Return z = 0, (M,): every fit starts at the base."""
        return np.zeros(self.latent_dim, dtype=np.float32)

    def init_bounds(self) -> dict[str, float]:
        """See `INR.init_bounds`."""
        return {"latent": 0.0}

    def init_base(self, stream: Stream) -> NDArray[np.float32]:
        """Draw a base to train, (Q,).

        W as `siren` draws them and b = 0, as functa does; S and G from N(0, 1/M), U from N(0, 1/R) and V from
        N(0, 2/H)/ω₀, so that U diag(G z) V of a z of ones has the size of W.
        """
        layout, siren = self.base_layout, self.siren.layout
        bounds = {name: 0.0 if name.startswith("bias") else bound for name, bound in self.siren.init_bounds().items()}
        tensors = siren.split(draw_uniform(siren, stream, bounds).astype(np.float64))
        for tensor in layout.tensors[len(siren.tensors) :]:
            deviation = {
                "shift": self.latent_dim**-0.5,
                "gain": self.latent_dim**-0.5,
                "left": self.rank**-0.5,
                "right": (2 / self.hidden_features) ** 0.5 / self.omega_0,
            }[tensor.name.partition("_")[0]]
            tensors[tensor.name] = deviation * stream.normal(tensor.size).reshape(tensor.shape)
        joined: NDArray[np.float64] = layout.join(tensors)
        return joined.astype(np.float32)

    def values(self, weights_BP: Tensor, coords_BKD: Tensor) -> Tensor:
        """Return the values of B functions, (B, K, C); the products with shared matrices are one for all INRs."""
        xp = array_namespace(weights_BP)
        bound = vars(self).get("bound")
        shared = self.base_layout.split(bases.like(self.base, weights_BP) if bound is None else bound)
        omega, latents_BM = self.omega_0, weights_BP
        hidden_BKH = coords_BKD[:1] if is_repeated(coords_BKD) else coords_BKD
        for i in range(self.hidden_layers + 1):
            phases = omega * shared[f"bias_{i}"]
            if self.modulation == "shift":
                phases = (phases + omega * xp.matmul(latents_BM, shared[f"shift_{i}"].mT))[:, None]
            angles_BKH = xp.matmul(hidden_BKH, omega * shared[f"weight_{i}"].mT) + phases
            if self.modulation == "low_rank" and i > 0:
                gains_B1R = xp.matmul(latents_BM, omega * shared[f"gain_{i}"].mT)[:, None]
                reduced_BKR = xp.matmul(hidden_BKH, shared[f"right_{i}"].mT) * gains_B1R
                angles_BKH = angles_BKH + xp.matmul(reduced_BKR, shared[f"left_{i}"].mT)
            hidden_BKH = xp.sin(angles_BKH)
        last = self.hidden_layers + 1
        values_BKC: Tensor = xp.matmul(hidden_BKH, shared[f"weight_{last}"].mT) + (
            shared[f"bias_{last}"] + self.output_offset
        )
        return values_BKC

    def canonicalise(self, weights: Tensor) -> Tensor:
        """Return the latents as they are, (..., M): they have no symmetries."""
        return weights

    def formula(self) -> Formula:
        """See `INR.formula`: `latent` is the INR's own, all other tensors are of the base."""
        layers = []
        for i, layer in enumerate(self.siren.formula().layers[:-1]):
            modulation = None
            if self.modulation == "shift":
                modulation = Modulation(latent="latent", shift=f"shift_{i}")
            elif i > 0:
                modulation = Modulation(latent="latent", left=f"left_{i}", gain=f"gain_{i}", right=f"right_{i}")
            layers.append(replace(layer, modulation=modulation))
        phase, first = r"W_i h_i + b_i + S_i z", ""
        if self.modulation == "low_rank":
            phase, first = r"(W_i + U_i \operatorname{diag}(G_i z) V_i) h_i + b_i", ", U_0 = 0"
        sigma = rf"h_{{i+1}} = \sin(\omega_0 ({phase}))$ with $\omega_0 = {self.omega_0:.6g}{first}"
        return mlp_formula(layers, sigma, offset=self.output_offset)

    def expand(self, weights: Tensor) -> Tensor:
        """Return the weights of `siren` that are the same functions, (..., P), in the type of `weights` (..., M).

        Every latent is a SIREN of its own: for tools that take no other network.
        """
        latents_BM = weights.reshape(-1, self.latent_dim)
        shared = self.base_layout.split(bases.like(self.base, weights))
        tensors: dict[str, Any] = {name: part[None] for name, part in shared.items()} | {"latent": latents_BM}
        expanded = {}
        for i, layer in enumerate(self.formula().layers):
            weight, bias = modulated(layer, tensors)
            expanded[f"weight_{i}"] = weight.expand(len(latents_BM), *weight.shape[1:])
            expanded[f"bias_{i}"] = bias.expand(len(latents_BM), -1)
        joined: Tensor = self.siren.layout.join(expanded)
        return joined.reshape(*weights.shape[:-1], -1)


def _restored(table: dict[str, Any], base: NDArray[np.float32] | None, bound: Any) -> LatentSiren:
    """Make a LatentSiren from what `__reduce__` returned."""
    if base is not None:
        bases.remember(base)
    made = LatentSiren(**table)
    return made if bound is None else made.bound_to(bound)
