"""Changes of weights by messages on the graph of an INR: Kofinas et al. 2024, "Graph neural networks for learning
equivariant representations of neural networks" (arXiv 2403.12143), Sec. 4.2.
Formulas: docs/derivations/decoders.md#messages.

Shape letters: B INRs, P parameters of one INR, C features of nodes and edges.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from inrzoo.decoders import NormalisedDecoder
from inrzoo.encoders import Domain, Probed
from inrzoo.encoders.neural_graph import GraphTrunk
from inrzoo.weight_graph import kind_of
from inrzoo.weights import WeightLayout


class NeuralGraph(GraphTrunk, NormalisedDecoder):
    """The rounds of messages of the encoder `neural_graph`; each node and each edge says the change of its number.

    A perceptron for weights and one for biases, shared by all layers, read the states of edges and of nodes.

    Args:
        layout: layout of the weights.
        inr, domain: the family that the weights are of, and where its functions were fitted; needed for probes.
        hidden_features: C.
        num_layers: number of rounds of messages.
        num_frequencies: half the number of Fourier features of a weight.
        sigma: standard deviation of the frequencies.
        dropout: dropout probability of updates.
        num_probes: number of coordinates where activations are read; 0 for none, and then weights alone are read.

    Raises:
        InrzooError: a tensor has more than two axes, there is no axis `out`, or an argument is out of range.
    """

    symmetries = ("permutation",)

    def __init__(
        self,
        *,
        layout: WeightLayout,
        inr: Probed | None = None,
        domain: Domain | None = None,
        hidden_features: int = 32,
        num_layers: int = 4,
        num_frequencies: int = 128,
        sigma: float = 3.0,
        dropout: float = 0.0,
        num_probes: int = 0,
    ) -> None:
        super().__init__(
            layout,
            hidden_features=hidden_features,
            num_layers=num_layers,
            num_frequencies=num_frequencies,
            sigma=sigma,
            dropout=dropout,
            outputs_alone=False,
        )
        C = hidden_features
        self.out = nn.ModuleDict(
            {kind: nn.Sequential(nn.Linear(C, C), nn.SiLU(), nn.Linear(C, 1)) for kind in self.embed}
        )
        self.add_probes(num_probes, inr, domain)

    def changes(self, weights: Tensor) -> Mapping[str, Tensor]:
        """See `NormalisedDecoder.changes`."""
        nodes, edges = self.states(weights)
        states = {tensor.name: nodes[tensor.axes[0]] for tensor in self.at_nodes} | edges
        return {tensor.name: self.out[kind_of(tensor)](states[tensor.name])[..., 0] for tensor in self.layout.tensors}
