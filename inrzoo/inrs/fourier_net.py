"""FourierNet: the multiplicative filter network with sinusoidal filters, Fathony et al., ICLR 2021 (see `_mfn`).

Shape letters: B batch of INRs, K coordinates, D in_features, H hidden (units of a filter).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from inrzoo.array_namespace import affine, array_namespace
from inrzoo.inrs._mfn import MultiplicativeFilterNetwork

if TYPE_CHECKING:
    from torch import Tensor

FourierInit = Literal["fathony", "nyquist_fraction", "harmonics"]


@dataclass(frozen=True, kw_only=True)
class FourierNet(MultiplicativeFilterNetwork):
    """An MFN with the filters g_i(x) = sin(ω_i x + φ_i). Initialisation and fields: see `MultiplicativeFilterNetwork`.

    f is a finite sum of sinusoids whose frequencies are sums of ± one row of ω_i for each filter from some filter on
    (the bias b_i drops earlier ones). Along every axis, Σ_i max_j |ω_i| therefore bounds its spectrum, which reaches
    the bound for almost all weights (docs/derivations/filter_networks.md#frequency-bound).
    """

    FILTER_INITS: ClassVar[tuple[str, ...]] = get_args(FourierInit)

    filter_init: FourierInit = "fathony"

    def filters(self, tensors: dict[str, Tensor], coords_BKD: Tensor) -> Iterator[Tensor]:
        """Yield g_0(x), g_1(x), …, each (B, K, H)."""
        xp = array_namespace(coords_BKD)
        for i in range(self.num_filters):
            yield xp.sin(affine(tensors[f"phi_{i}"][:, None], coords_BKD, tensors[f"omega_{i}"].mT))
