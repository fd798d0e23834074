"""Changes of weights by messages on the graph of an INR: Kofinas et al. 2024, "Graph neural networks for learning
equivariant representations of neural networks" (arXiv 2403.12143), Sec. 4.2.
Formulas: docs/derivations/decoders.md#messages.

Shape letters: B INRs, P parameters of one INR, C features of nodes and edges.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from inrzoo.decoders import NormalisedDecoder
from inrzoo.encoders.neural_graph import GraphTrunk
from inrzoo.weight_graph import kind_of


class NeuralGraph(GraphTrunk, NormalisedDecoder):
    """The rounds of messages of the encoder `neural_graph`; each node and each edge says the change of its number.

    A perceptron for weights and one for biases, shared by all layers, read the states of edges and of nodes.
    """

    symmetries = ("permutation",)

    def __post_init__(self) -> None:
        """Make the rounds, the perceptrons and the probes."""
        super().__post_init__()
        C = self.hidden_features
        self.out = nn.ModuleDict(
            {kind: nn.Sequential(nn.Linear(C, C), nn.SiLU(), nn.Linear(C, 1)) for kind in self.embed}
        )
        self.add_probes()

    def changes(self, weights: Tensor) -> Mapping[str, Tensor]:
        """See `NormalisedDecoder.changes`."""
        nodes, edges = self.states(weights)
        states = {tensor.name: nodes[tensor.axes[0]] for tensor in self.at_nodes} | edges
        return {tensor.name: self.out[kind_of(tensor)](states[tensor.name])[..., 0] for tensor in self.layout.tensors}
