"""A graph network with principal neighbourhood aggregation on the graph of an INR.

The GNN of Kofinas et al. 2024, "Graph neural networks for learning equivariant representations of neural networks"
(arXiv 2403.12143), Sec. 3.2, with the aggregation of Corso et al. 2020 (arXiv 2004.05718).
Formulas: docs/derivations/encoders.md#principal-neighbourhood-aggregation.

Shape letters: B INRs, P parameters of one INR, N neurons of an axis, M neurons that send to one, C features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from inrzoo.encoders import Domain, Encoder, Probed, WeightModule
from inrzoo.encoders._fourier_features import FourierFeatures
from inrzoo.encoders._probe_features import ProbeFeatures
from inrzoo.weight_graph import kind_of, require_graph
from inrzoo.weights import FIXED_AXES, WeightLayout

INRS_AT_ONCE = 8
"""Number of INRs that are computed together on a CPU, where the messages of all edges of 8 fit a cache."""
SMALL = 1e-5
"""Added to a variance before the root is taken."""


@dataclass(kw_only=True, eq=False, repr=False)
class GraphTrunk(WeightModule):
    """Rounds of messages on the graph of an INR: weights come in, states of neurons and of weights go out.

    With probes, each neuron's activations at learned coordinates are added to its node: the network then evaluates the
    INR, too, and belongs to those that read the function.

    Attributes:
        layout: layout of the weights.
        hidden_features: C, of nodes and edges.
        num_layers: number of rounds of messages.
        num_probes: number of coordinates where activations are read; 0 for none, and then weights alone are read.
        inr, domain: the family that the weights are of, and where its functions were fitted; needed for probes.
        num_frequencies: half the number of Fourier features of a weight.
        sigma: standard deviation of the frequencies.
        dropout: dropout probability of updates.
        outputs_alone: whether the last round updates the output nodes alone, for networks that read no others.
        edges: tensors whose numbers are at edges.
        at_nodes: tensors whose numbers are at nodes.
        probes: features of what neurons say, which are added to nodes; None without.

    Raises:
        InrzooError: a tensor has more than two axes, there is no axis `out`, or an argument is out of range.
    """

    outputs_alone: ClassVar[bool] = False

    layout: WeightLayout
    hidden_features: int = 32
    num_layers: int = 4
    num_probes: int = 0
    inr: Probed | None = None
    domain: Domain | None = None
    num_frequencies: int = 128
    sigma: float = 3.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Make the rounds; `add_probes` makes the probes."""
        super().__init__(self.layout)
        C, layout = self.hidden_features, self.layout
        self.require_counts(hidden_features=C, num_layers=self.num_layers, num_frequencies=self.num_frequencies)
        self.require("sigma", self.sigma, 0 < self.sigma < math.inf, "above 0")
        self.require("dropout", self.dropout, 0 <= self.dropout < 1, "at least 0 and below 1")
        require_graph(layout)
        self.fourier = FourierFeatures(self.num_frequencies, self.sigma)
        self.edges = [tensor for tensor in layout.tensors if len(tensor.axes) == 2]
        self.at_nodes = [tensor for tensor in layout.tensors if len(tensor.axes) == 1]
        self.embed = nn.ModuleDict(
            {kind: nn.Linear(self.fourier.out_features, C) for kind in dict.fromkeys(map(kind_of, layout.tensors))}
        )
        self.position = nn.ParameterDict(
            {axis: torch.randn(size if axis in FIXED_AXES else 1, C) for axis, size in layout.axes.items()}
        )
        degrees = dict.fromkeys(layout.axes, 0)
        for tensor in self.edges:
            to, sender = tensor.axes
            degrees[to] += layout.axes[sender]
            degrees[sender] += layout.axes[to]
        count = sum(layout.axes.values())
        mean = sum(layout.axes[axis] * math.log(degree + 1) for axis, degree in degrees.items()) / count
        self.amplification = {axis: math.log(degree + 1) / mean for axis, degree in degrees.items()}
        self.layers = nn.ModuleList(
            _Layer(C, self.amplification, self.dropout, last=self.outputs_alone and i == self.num_layers - 1)
            for i in range(self.num_layers)
        )
        self.probes: ProbeFeatures | None = None

    def add_probes(self) -> None:
        """Add each neuron's activations at `num_probes` learned coordinates to its node; 0 for none."""
        if self.num_probes:
            self.probes = ProbeFeatures(self.layout, self.inr, self.domain, self.num_probes, self.hidden_features)
            self.reads = "function"

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """See `WeightModule.set_statistics`."""
        super().set_statistics(mean, std)
        if self.probes is not None:
            self.probes.set_statistics(mean, std)

    def states(self, weights: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return nodes (B, N, C) by axis, and edges (B, to, from, C) by tensor, after the last round."""
        tensors = self.layout.split(weights)
        nodes = {axis: self.position[axis].expand(len(weights), size, -1) for axis, size in self.layout.axes.items()}
        for tensor in self.at_nodes:
            axis = tensor.axes[0]
            nodes[axis] = nodes[axis] + self.embed[kind_of(tensor)](self.fourier(tensors[tensor.name]))
        if self.probes is not None:
            for axis, features in self.probes(weights).items():
                nodes[axis] = nodes[axis] + features
        edges = [self.embed[kind_of(tensor)](self.fourier(tensors[tensor.name])) for tensor in self.edges]
        axes = [(tensor.axes[0], tensor.axes[1]) for tensor in self.edges]
        for layer in self.layers:
            nodes, edges = layer(nodes, edges, axes)
        return nodes, {tensor.name: edge for tensor, edge in zip(self.edges, edges, strict=True)}


@dataclass(kw_only=True, eq=False, repr=False)
class NeuralGraph(GraphTrunk, Encoder):
    """A graph network whose features do not depend on the numbering of the neurons.

    Coordinates, neurons and channels are nodes; each weight is an edge, which carries messages in both directions. A
    message is a perceptron of sender and receiver, scaled and shifted by the edge. Mean, minimum, maximum and standard
    deviation of what a node receives, as they are and times log(degree + 1), update it; both its nodes update an edge.
    Linear and ReLU map the output nodes to the features. All nodes and edges share their networks; a learned vector
    tells the position of a node, one for each coordinate and channel, one for all neurons of a layer.

    Weights should be normalised for each tensor. Defaults are the authors', except dropout: their scripts take 0.2.

    Attributes:
        out_features: number of features.
        num_probes: number of coordinates where activations are read; 0 for none. The authors take 64.
    """

    symmetries = ("permutation",)
    outputs_alone = True

    out_features: int = 128

    def __post_init__(self) -> None:
        """Make the rounds, the read-out and the probes."""
        super().__post_init__()
        self.require_counts(out_features=self.out_features)
        states = self.layout.axes["out"] * self.hidden_features
        self.read_out = nn.Sequential(nn.Linear(states, self.out_features), nn.ReLU())
        self.add_probes()

    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, out_features) of weights (B, P)."""
        outputs = self.in_parts(weights, INRS_AT_ONCE, lambda part: self.states(part)[0]["out"].flatten(1))
        features: Tensor = self.read_out(outputs)
        return features


class _Layer(nn.Module):
    """One round of messages along the edges and against them.

    The last round updates the output nodes alone, which is all that is read; their edges end there.
    """

    def __init__(self, features: int, amplification: dict[str, float], dropout: float, last: bool) -> None:
        super().__init__()
        self.amplification = amplification
        self.along, self.against = _Messages(features), None if last else _Messages(features)
        self.node = nn.Sequential(
            nn.Linear(9 * features, features), nn.SiLU(), nn.Dropout(dropout), nn.Linear(features, features)
        )
        self.norm = nn.LayerNorm(features)
        self.edge = None if last else _perceptron(3 * features, features)
        self.edge_norm = None if last else nn.LayerNorm(features)

    def forward(
        self, nodes: dict[str, Tensor], edges: list[Tensor], axes: list[tuple[str, str]]
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Return the next nodes, (B, N, C) of each axis, and edges, (B, to, from, C) of each tensor."""
        received: dict[str, list[Tensor]] = {axis: [] for axis in nodes}
        for edge_BNMC, (to, sender) in zip(edges, axes, strict=True):
            if self.against is None and to != "out":
                continue
            received[to].append(self.along(nodes[to], nodes[sender], edge_BNMC))
            if self.against is not None:
                received[sender].append(self.against(nodes[sender], nodes[to], edge_BNMC.transpose(1, 2)))
        new = dict(nodes)
        for axis, state in nodes.items():
            if not received[axis]:
                continue
            pooled = aggregate(torch.cat(received[axis], dim=2))
            numbers = torch.cat([state, pooled, self.amplification[axis] * pooled], dim=-1)
            new[axis] = self.norm(state + self.node(numbers))
        if self.edge is None or self.edge_norm is None:
            return new, edges
        changed = []
        for edge_BNMC, (to, sender) in zip(edges, axes, strict=True):
            pair = [new[to][:, :, None].expand_as(edge_BNMC), new[sender][:, None].expand_as(edge_BNMC)]
            changed.append(self.edge_norm(edge_BNMC + self.edge(torch.cat([*pair, edge_BNMC], dim=-1))))
        return new, changed


class _Messages(nn.Module):
    """Messages of all pairs of two layers: scale(e) ⊙ perceptron(receiver, sender) + shift(e)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        # The first layer of a perceptron of two vectors is a sum of maps of each, computed once a node and not a pair.
        self.receiver, self.sender = nn.Linear(features, features), nn.Linear(features, features, bias=False)
        self.out = nn.Linear(features, features)
        self.scale, self.shift = nn.Linear(features, features), nn.Linear(features, features)

    def forward(self, to_BNC: Tensor, from_BMC: Tensor, edge_BNMC: Tensor) -> Tensor:
        """Return (B, N, M, C)."""
        pair_BNMC = self.receiver(to_BNC)[:, :, None] + self.sender(from_BMC)[:, None]
        messages: Tensor = self.scale(edge_BNMC) * self.out(nn.functional.silu(pair_BNMC)) + self.shift(edge_BNMC)
        return messages


def aggregate(messages_BNMC: Tensor) -> Tensor:
    """Return mean, minimum, maximum and standard deviation of the messages to each node, (B, N, 4 C).

    Example:
        >>> aggregate(torch.tensor([1.0, 3.0]).reshape(1, 1, 2, 1)).round(decimals=3).tolist()
        [[[2.0, 1.0, 3.0, 1.0]]]
    """
    variance = messages_BNMC.var(2, correction=0)
    parts = [messages_BNMC.mean(2), messages_BNMC.amin(2), messages_BNMC.amax(2), (variance + SMALL).sqrt()]
    return torch.cat(parts, dim=-1)


def _perceptron(inputs: int, features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, features), nn.SiLU(), nn.Linear(features, features))
