"""Messages between neurons, multiplied by their weights: a graph network (Gilmer et al. 2017, "Neural message passing
for quantum chemistry", arXiv 1704.01212) on the graph of an INR (Zhang et al. 2023, see `_graph`).

Neuron j sends W_ij h_j to neuron i, and neuron i sends W_ij h_i back: the messages of ScaleGMN (Kalogeropoulos et al.
2024, "Scale equivariant graph metanetworks", arXiv 2406.10685, Sec. 4) without its scalings. All messages through a
tensor are one matrix product and edges hold no vectors: a step costs a two-hundredth of the relational transformer's.

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
    """A graph network whose features do not depend on the numbering of the neurons.

    The first state of a neuron is a linear map of its parameters (bias, weights to coordinates and channels, filter
    parameters) and of their Fourier features, cos and sin of Bᵀ parameters with B learned. For some B one of these is
    the response of a first layer to a coordinate, sin(ω (w x + b)). Output nodes start at learned vectors. A layer maps
    the state of a node and the messages of each tensor, divided by √N, by layer norm, Linear, GELU, Linear, and adds
    the result to the state. A last Linear with ReLU reads the output nodes, mean and maximum of each axis, and the
    tensors without a neuron axis.

    Weights should be normalised for each tensor, and those of a SIREN canonical, so that phases lie in one period.

    Args:
        layout: layout of the weights.
        hidden_features: C.
        num_layers: number of rounds of messages; a forward pass of the INR takes one for each hidden weight matrix.
        out_features: number of features.
        num_frequencies: columns of B; 0 for none.
        sigma: initial standard deviation of B / 2π.
        dropout: dropout probability after each layer.

    Raises:
        InrzooError: a tensor has three axes, or an argument is out of range.
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
        """Return the features (B, out_features) of weights (B, P)."""
        tensors = self.layout.split(weights)
        states = {axis: embed(tensors) for axis, embed in self.embed.items()}
        states |= {axis: start.expand(len(weights), -1, -1) for axis, start in self.start.items()}
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleDict), "__init__ makes them"
            inputs = {axis: [state] for axis, state in states.items()}
            for edge in self.edges:
                (to, source), matrix_BNN = edge.axes, tensors[edge.name]
                inputs[to].append(matrix_BNN @ states[source] / math.sqrt(edge.shape[1]))
                inputs[source].append(matrix_BNN.mT @ states[to] / math.sqrt(edge.shape[0]))
            states = {axis: states[axis] + layer[axis](torch.cat(inputs[axis], dim=-1)) for axis in states}
        pooled = [tensors[tensor.name].flatten(1) for tensor in self.rest]
        for axis, state_BNC in states.items():
            pooled += [state_BNC.flatten(1)] if axis in FIXED_AXES else [state_BNC.mean(1), state_BNC.amax(1)]
        features: Tensor = self.read_out(torch.cat(pooled, dim=-1))
        return features


class NeuronEmbedding(nn.Module):
    """Maps the parameters of the neurons of an axis to their first states, (B, N, C).

    Args:
        layout: layout of the weights.
        axis: axis of the neurons.
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
            raise InrzooError(f"the neurons {axis} have no parameters of their own: no bias, no weight to a coordinate")
        self.frequencies = nn.Parameter(2 * math.pi * sigma * torch.randn(count, num_frequencies))
        self.map = nn.Linear(count + 2 * num_frequencies, features)

    def forward(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return the first states from the tensors of B INRs."""
        parts = []
        for tensor in self.own:
            values = tensors[tensor.name].movedim(1 + tensor.axes.index(self.axis), 1)
            parts.append(values.flatten(2) if values.ndim > 2 else values[..., None])
        numbers_BNM = torch.cat(parts, dim=-1)
        angles = numbers_BNM @ self.frequencies
        embedded: Tensor = self.map(torch.cat([numbers_BNM, angles.cos(), angles.sin()], dim=-1))
        return embedded


def carries_messages(tensor: WeightTensor) -> bool:
    """Return whether a tensor leads from neurons to neurons or channels; coordinates are not nodes."""
    return len(tensor.axes) == 2 and tensor.axes[1] != "in"


def _update(inputs: int, features: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(inputs * features),
        nn.Linear(inputs * features, 2 * features),
        nn.GELU(),
        nn.Linear(2 * features, features),
        nn.Dropout(dropout),
    )
