"""Sign-equivariant message passing: ScaleGMN for sines, in both directions.

Kalogeropoulos et al. 2024, "Scale equivariant graph metanetworks" (arXiv 2406.10685), Sec. 4 and 5.
Formulas, and where we differ: docs/derivations/encoders.md#scale-equivariant-messages.

Shape letters: B INRs, P parameters of one INR, N neurons of a layer, M neurons of the layer that sends, C features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from inrzoo.encoders import SYMMETRIES, Encoder
from inrzoo.encoders._sine_layers import SineLayers, SineNetwork
from inrzoo.weights import WeightLayout

INRS_AT_ONCE = 8
"""Number of INRs that are computed together on a CPU, where the messages of all edges of 8 fit a cache."""


@dataclass(kw_only=True, eq=False, repr=False)
class ScaleGmn(Encoder):
    """A graph network equivariant to the signs of sine neurons, with features that are invariant.

    Half turns of phases are removed first, by moving each phase into [-π/2, π/2]. Their code compares biases with π
    without the factor ω₀, so that nothing is moved. Signs and numbering are left to the network.

    States of neurons start at their phases, of edges at their weights. `ScaleInv` is ρ(x) + ρ(-x), then a perceptron;
    `ScaleEq` is a linear map without bias, times `ScaleInv`; `ReScaleEq` of a sender and an edge is the product of a
    linear map of each. A neuron receives ScaleEq(own, ReScaleEq(sender, edge)) from the layer before, and from the one
    behind. A last Linear with ReLU reads mean and maximum of ScaleInv of all hidden states, and the output nodes.

    Attributes:
        layout: layout of the weights.
        hidden_features: C; 128 in their configuration for MNIST, with messages that cost 16 times as much.
        num_layers: number of rounds of messages.
        out_features: number of features.
        dropout: dropout probability of invariants; 0.2 in their configuration.
        inr: the family that the weights are of, a perceptron with sines.

    Raises:
        InrzooError: the INR is no perceptron with sines, layers of it are missing, or an argument is out of range.
    """

    symmetries = SYMMETRIES
    normalised = False

    layout: WeightLayout
    hidden_features: int = 32
    num_layers: int = 4
    out_features: int = 128
    dropout: float = 0.0
    inr: SineNetwork

    def __post_init__(self) -> None:
        """Make the rounds and the read-out."""
        super().__init__(self.layout)
        C, dropout = self.hidden_features, self.dropout
        self.require_counts(hidden_features=C, num_layers=self.num_layers, out_features=self.out_features)
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        self.sines = SineLayers("scale_gmn", self.layout, self.inr)
        self.start = nn.Parameter(torch.randn(self.sines.num_hidden, C))  # times the phase: a position of each layer
        self.inputs = nn.Parameter(torch.randn(self.sines.inputs, C))
        self.outputs = nn.Parameter(torch.randn(self.sines.channels, C))
        self.layers = nn.ModuleList(
            _Layer(self.sines.num_hidden, C, dropout, last=i == self.num_layers - 1) for i in range(self.num_layers)
        )
        self.invariants = nn.ModuleList(_Invariant(1, C, dropout) for _ in range(self.sines.num_hidden))
        pooled = 2 * C * self.sines.num_hidden + self.sines.channels * (C + 1)
        self.read_out = nn.Sequential(nn.Linear(pooled, self.out_features), nn.ReLU())

    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, out_features) of weights (B, P) as they were fitted."""
        features: Tensor = self.read_out(self.in_parts(weights, INRS_AT_ONCE, self._pooled))
        return features

    def _pooled(self, weights: Tensor) -> Tensor:
        tensors = self.layout.split(weights)
        phases_BN, edges = self._without_half_turns(self.sines.phases(tensors), self.sines.rows(tensors))
        states = [self.inputs.expand(len(weights), -1, -1)]
        states += [phase[..., None] * start for phase, start in zip(phases_BN, self.start, strict=True)]
        states.append(self.outputs.expand(len(weights), -1, -1))
        for layer in self.layers:
            states = layer(states, edges)
        pooled = [states[-1].flatten(1), tensors[f"bias_{self.sines.num_hidden}"]]
        for invariant, state in zip(self.invariants, states[1:-1], strict=True):
            read = invariant([state])
            pooled += [read.mean(1), read.amax(1)]
        return torch.cat(pooled, dim=-1)

    @staticmethod
    def _without_half_turns(phases_BN: list[Tensor], rows: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Move phases into [-π/2, π/2], and negate the outgoing weights of odd numbers of half turns."""
        moved, edges = [], [rows[0]]
        for i, phase in enumerate(phases_BN):
            turns = torch.round(phase / math.pi)
            moved.append(phase - math.pi * turns)
            edges.append(rows[i + 1] * (1 - 2 * turns.remainder(2))[:, None, :])
        return moved, edges


class _Invariant(nn.Module):
    """ScaleInv: a perceptron of ρ(x) + ρ(-x) of each of its inputs."""

    def __init__(self, count: int, features: int, dropout: float) -> None:
        super().__init__()
        self.even = nn.ModuleList(nn.Linear(features, features) for _ in range(count))
        self.network = nn.Sequential(
            nn.LayerNorm(count * features),
            nn.Linear(count * features, features),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(features, features),
        )

    def forward(self, states: list[Tensor]) -> Tensor:
        """Return (..., C) of tensors (..., C) that a sign multiplies as a whole, each by its own."""
        even = [
            nn.functional.silu(linear(state)) + nn.functional.silu(linear(-state))
            for linear, state in zip(self.even, states, strict=True)
        ]
        result: Tensor = self.network(torch.cat(even, dim=-1))
        return result


class _Equivariant(nn.Module):
    """ScaleEq: a linear map of its inputs, which have one sign in common, times their ScaleInv."""

    def __init__(self, count: int, features: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(features, features, bias=False) for _ in range(count))
        self.invariant = _Invariant(count, features, dropout)

    def forward(self, states: list[Tensor]) -> Tensor:
        """Return (..., C) with the sign of tensors (..., C)."""
        mapped = [linear(state) for linear, state in zip(self.linear, states, strict=True)]
        result: Tensor = torch.stack(mapped).sum(0) * self.invariant(states)
        return result


class _Messages(nn.Module):
    """Messages over all edges between two layers: the mean of ScaleEq(own, ReScaleEq(sender, edge))."""

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        self.sender = nn.Linear(features, features, bias=False)
        self.edge = nn.Parameter(torch.randn(features))
        self.message = _Equivariant(2, features, dropout)

    def forward(self, own_BNC: Tensor, sender_BMC: Tensor, edge_BNM: Tensor) -> Tensor:
        """Return (B, N, C)."""
        sent_BNMC = self.sender(sender_BMC)[:, None] * (edge_BNM[..., None] * self.edge)
        message_BNMC = self.message([own_BNC[:, :, None].expand_as(sent_BNMC), sent_BNMC])
        received: Tensor = message_BNMC.mean(2)
        return received


class _Layer(nn.Module):
    """One round: messages forwards and backwards, then ScaleEq of a neuron's state and what it received.

    The last round updates hidden and output neurons alone: nothing reads coordinates after it.
    """

    def __init__(self, num_hidden: int, features: int, dropout: float, last: bool) -> None:
        super().__init__()
        self.forwards = nn.ModuleList(_Messages(features, dropout) for _ in range(num_hidden + 1))
        self.backwards = nn.ModuleList(_Messages(features, dropout) for _ in range(num_hidden))
        self.hidden = nn.ModuleList(_Equivariant(3, features, dropout) for _ in range(num_hidden))
        self.from_outputs = None if last else _Messages(features, dropout)
        self.input = None if last else _update(features)
        self.output = _update(features)

    def forward(self, states: list[Tensor], edges: list[Tensor]) -> list[Tensor]:
        """Return the next states of coordinates, hidden layers and channels."""
        new = []
        if self.input is not None and self.from_outputs is not None:
            received = self.from_outputs(states[0], states[1], edges[0].mT)
            new.append(states[0] + self.input(torch.cat([states[0], received], dim=-1)))
        else:
            new.append(states[0])
        for i, update in enumerate(self.hidden):
            own = states[i + 1]
            before = self.forwards[i](own, states[i], edges[i])
            behind = self.backwards[i](own, states[i + 2], edges[i + 1].mT)
            new.append(own + update([own, before, behind]))
        received = self.forwards[-1](states[-1], states[-2], edges[-1])
        new.append(states[-1] + self.output(torch.cat([states[-1], received], dim=-1)))
        return new


def _update(features: int) -> nn.Sequential:
    """Coordinates and channels have no sign, so any network updates them."""
    return nn.Sequential(
        nn.LayerNorm(2 * features), nn.Linear(2 * features, features), nn.SiLU(), nn.Linear(features, features)
    )
