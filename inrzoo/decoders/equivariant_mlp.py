"""Changes of weights by layers that are linear and equivariant under renumbering of neurons, as NFN's for editing:
Zhou et al. 2023 (arXiv 2302.14040), Sec. 3.4. Formulas: docs/derivations/decoders.md#equivariant-layers.

Shape letters: B INRs, P parameters of one INR, C features at a place.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from inrzoo.decoders import NormalisedDecoder
from inrzoo.encoders.equivariant_mlp import EquivariantTrunk
from inrzoo.weights import WeightLayout


class EquivariantMlp(EquivariantTrunk, NormalisedDecoder):
    """The layers of the encoder `equivariant_mlp`, and a linear map of each place to a number for each weight.

    It reads weights alone. NFN's network for editing has three layers of 128 features, Fourier features, and no layer
    norm or residual.

    Args:
        layout: layout of the weights.
        hidden_features: C.
        num_layers: number of equivariant layers.
        num_frequencies: half the number of Fourier features of a weight; 0 uses the weight itself.
        sigma: standard deviation of the frequencies.
        dropout: dropout probability after each layer.

    Raises:
        InrzooError: a tensor has the same axis twice, or an argument is out of range.
    """

    symmetries = ("permutation",)

    def __init__(
        self,
        *,
        layout: WeightLayout,
        hidden_features: int = 64,
        num_layers: int = 4,
        num_frequencies: int = 0,
        sigma: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            layout,
            hidden_features=hidden_features,
            num_layers=num_layers,
            num_frequencies=num_frequencies,
            sigma=sigma,
            dropout=dropout,
        )
        self.out = nn.ModuleList(nn.Linear(hidden_features, self.channels[place]) for place in self.places)

    def changes(self, weights: Tensor) -> Mapping[str, Tensor]:
        """See `NormalisedDecoder.changes`."""
        at_places = self.at_places(weights)
        return self.tensors({place: out(at_places[place]) for place, out in zip(self.places, self.out, strict=True)})
