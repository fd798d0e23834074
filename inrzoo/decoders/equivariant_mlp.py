"""Changes of weights by layers that are linear and equivariant under renumbering of neurons, as NFN's for editing:
Zhou et al. 2023 (arXiv 2302.14040), Sec. 3.4. Formulas: docs/derivations/decoders.md#equivariant-layers.

Shape letters: B INRs, P parameters of one INR, C features at a place.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from inrzoo.decoders import NormalisedDecoder
from inrzoo.encoders.equivariant_mlp import EquivariantTrunk


class EquivariantMlp(EquivariantTrunk, NormalisedDecoder):
    """The layers of the encoder `equivariant_mlp`, and a linear map of each place to a number for each weight.

    It reads weights alone. NFN's network for editing has three layers of 128 features, Fourier features, and no layer
    norm or residual.
    """

    symmetries = ("permutation",)

    def __post_init__(self) -> None:
        """Make the layers and the last maps."""
        super().__post_init__()
        self.out = nn.ModuleList(nn.Linear(self.hidden_features, self.channels[place]) for place in self.places)

    def changes(self, weights: Tensor) -> Mapping[str, Tensor]:
        """See `NormalisedDecoder.changes`."""
        at_places = self.at_places(weights)
        return self.tensors({place: out(at_places[place]) for place, out in zip(self.places, self.out, strict=True)})
