"""Messages between neurons, multiplied by the weights they pass: a graph network (Gilmer et al. 2017, "Neural message
passing for quantum chemistry", arXiv 1704.01212) on the graph of an INR (Zhang et al. 2023, see `_graph`).

What leaves neuron j arrives at neuron i as W_ij h_j, and on the way back as W_ij h_i: the messages of ScaleGMN
(Kalogeropoulos et al. 2024, "Scale equivariant graph metanetworks", arXiv 2406.10685, Sec. 4) without its scalings. All
messages through a tensor are one product of matrices, so that no vector is kept at an edge: a step costs a
two-hundredth of the relational transformer's.

Shape letters: B INRs, P parameters of one INR, N neurons of an axis, M numbers of a neuron, C features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrzoo.encoders import Encoder
from inrzoo.errors import InrzooError
from inrzoo.weights import FIXED_AXES, WeightLayout, WeightTensor


class MessagePassing(Encoder):
    """Weights to features, the same for every numbering of the neurons.

    A neuron starts as a linear map of its own numbers (bias, weights to coordinates and channels, what its filter has)
    and of Fourier features of all of them together, cos and sin of Bᵀ numbers with B learned. So what a first layer
    makes of a coordinate, sin(ω (w x + b)), is one of its features for some B, and no coordinate is asked for. Output
    nodes start at a learned vector each. In every layer a node takes its own state and the messages of each tensor,
    divided by √N: layer norm, Linear, GELU, Linear, added to the state. Output nodes, mean and maximum of each axis and
    tensors of no neuron give the features: Linear, ReLU.

    Numbers should be normalised for each tensor, and a SIREN's be canonical, so that phases lie in one period.

    Args:
        layout: of the weights.
        hidden_features: C.
        num_layers: rounds of messages; a forward pass of the INR takes one for each tensor between neurons.
        out_features: of the result.
        num_frequencies: columns of B; 0 for none.
        sigma: standard deviation of B / 2π at the start.
        dropout: probability, behind each layer.

    Raises:
        InrzooError: a tensor of three axes, or an argument out of its range.
    """

    symmetries = ("permutation",)

    def __init__(
        self,
        *,
        layout: WeightLayout,
        hidden_features: int = 48,
        num_layers: int = 3,
        out_features: int = 128,
        num_frequencies: int = 64,
        sigma: float = 0.35,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(layout)
        self.require_counts(hidden_features=hidden_features, num_layers=num_layers, out_features=out_features)
        self.require("num_frequencies", num_frequencies, num_frequencies >= 0, "at least 0")
        self.require("sigma", sigma, 0 < sigma < math.inf, "above 0")
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        for tensor in layout.tensors:
            if not 1 <= len(tensor.axes) <= 2:
                raise InrzooError(f"{tensor.name} has {len(tensor.axes)} axes; messages pass tensors with one or two")
        self.out_features = out_features
        self.axes = list(layout.neuron_axes)
        self.edges = [tensor for tensor in layout.tensors if carries_messages(tensor)]
        nodes = {axis: layout.axes[axis] for edge in self.edges for axis in edge.axes if axis in FIXED_AXES}
        self.start = nn.ParameterDict({axis: torch.randn(size, hidden_features) for axis, size in nodes.items()})
        self.embed = nn.ModuleDict(
            {axis: NeuronEmbedding(layout, axis, hidden_features, num_frequencies, sigma) for axis in self.axes}
        )
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    axis: _update(1 + sum(edge.axes.count(axis) for edge in self.edges), hidden_features, dropout)
                    for axis in (*self.axes, *nodes)
                }
            )
            for _ in range(num_layers)
        )
        self.rest = [tensor for tensor in layout.tensors if set(tensor.axes) <= set(FIXED_AXES)]
        pooled = (2 * len(self.axes) + sum(nodes.values())) * hidden_features
        self.read_out = nn.Sequential(
            nn.Linear(pooled + sum(tensor.size for tensor in self.rest), out_features), nn.ReLU()
        )

    def forward(self, weights: Tensor) -> Tensor:
        """Features (B, out_features) of weights (B, P)."""
        tensors = self.layout.split(weights)
        states = {axis: embed(tensors) for axis, embed in self.embed.items()}
        states |= {axis: start.expand(len(weights), -1, -1) for axis, start in self.start.items()}
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleDict), "made above"
            known = {axis: [state] for axis, state in states.items()}
            for edge in self.edges:
                (to, source), matrix_BNN = edge.axes, tensors[edge.name]
                known[to].append(matrix_BNN @ states[source] / math.sqrt(edge.shape[1]))
                known[source].append(matrix_BNN.mT @ states[to] / math.sqrt(edge.shape[0]))
            states = {axis: states[axis] + layer[axis](torch.cat(known[axis], dim=-1)) for axis in states}
        pooled = [tensors[tensor.name].flatten(1) for tensor in self.rest]
        for axis, state_BNC in states.items():
            pooled += [state_BNC.flatten(1)] if axis in FIXED_AXES else [state_BNC.mean(1), state_BNC.amax(1)]
        features: Tensor = self.read_out(torch.cat(pooled, dim=-1))
        return features


class NeuronEmbedding(nn.Module):
    """What the neurons of an axis start as: (B, N, C), from their own numbers.

    Args:
        layout: of the weights.
        axis: of the neurons.
        features: C.
        num_frequencies, sigma: see `MessagePassing`.
    """

    def __init__(self, layout: WeightLayout, axis: str, features: int, num_frequencies: int, sigma: float) -> None:
        super().__init__()
        self.axis = axis
        self.own = [tensor for tensor in layout.tensors if {axis} == set(tensor.axes) - set(FIXED_AXES)]
        self.own = [tensor for tensor in self.own if tensor.axes.count(axis) == 1]
        count = sum(tensor.size // layout.axes[axis] for tensor in self.own)
        if not count:
            raise InrzooError(f"the neurons {axis} have no numbers of their own: no bias, no weight to a coordinate")
        self.frequencies = nn.Parameter(2 * math.pi * sigma * torch.randn(count, num_frequencies))
        self.map = nn.Linear(count + 2 * num_frequencies, features)

    def forward(self, tensors: dict[str, Tensor]) -> Tensor:
        """From the tensors of B INRs."""
        parts = []
        for tensor in self.own:
            values = tensors[tensor.name].movedim(1 + tensor.axes.index(self.axis), 1)
            parts.append(values.flatten(2) if values.ndim > 2 else values[..., None])
        numbers_BNM = torch.cat(parts, dim=-1)
        angles = numbers_BNM @ self.frequencies
        embedded: Tensor = self.map(torch.cat([numbers_BNM, angles.cos(), angles.sin()], dim=-1))
        return embedded


def carries_messages(tensor: WeightTensor) -> bool:
    """Whether a tensor leads from neurons to neurons or channels; coordinates are no nodes: they would all be alike."""
    return len(tensor.axes) == 2 and tensor.axes[1] != "in"


def _update(inputs: int, features: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(inputs * features),
        nn.Linear(inputs * features, 2 * features),
        nn.GELU(),
        nn.Linear(2 * features, features),
        nn.Dropout(dropout),
    )
