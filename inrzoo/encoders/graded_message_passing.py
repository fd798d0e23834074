"""Messages between sine neurons in channels that are even or odd under the symmetries of a sine.

Each neuron h = sin(ω W v + φ) has two: s negates its row of W, φ and its outgoing weights; t adds π to φ and negates
its outgoing weights. A number of a neuron that is multiplied by (−1)^(a s + b t) has the *grade* (a, b), and grades add
in products. Numbers of grade (0, 0) may pass any function, others only linear maps without a bias and products. So no
canonical form is needed, which jumps where a phase passes 0 or π/2.
Formulas: docs/derivations/encoders.md#graded-messages. Grades are ours; the messages are those of `message_passing`.

Shape letters: B INRs, P parameters of one INR, N neurons of a layer, D coordinate dimensions, C features, M numbers of
a neuron, F frequencies, O channels of the INR.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrzoo.encoders import SYMMETRIES, Encoder
from inrzoo.encoders._sine_layers import SineLayers, SineNetwork
from inrzoo.weights import WeightLayout

SMALL = 1e-6
"""Added to a mean square before the root is taken, so that numbers that are all 0 stay so."""


class GradedMessagePassing(Encoder):
    """A graph network whose features change under no symmetry of a SIREN: numbering, signs and half turns of neurons.

    Even states (grade (0, 0)) and odd states (grade (1, 1), that of outgoing weights) of each neuron start from cos φ,
    sin φ, cos 2φ, sin 2φ, its row of weights and, in the first layer, cos and sin of B w with B learned. In a layer a
    neuron receives W o from the layer before and Wᵀ o from the one behind. Products of two odd numbers update its even
    state and scale its odd one. A last Linear with ReLU reads mean and maximum of the even states, root mean squares of
    the odd states, and the output nodes.

    Weights are read as they were fitted: a phase is not to be shifted or scaled. Each weight matrix is divided by the
    standard deviation that it was drawn with.

    Args:
        layout: layout of the weights.
        inr: the family that the weights are of, a perceptron with sines.
        hidden_features: C, number of even and of odd features.
        num_layers: number of rounds of messages.
        out_features: number of features.
        num_frequencies: F, columns of B.
        sigma: initial standard deviation of B / 2π.
        dropout: dropout probability of even updates.

    Raises:
        InrzooError: the INR is no perceptron with sines, layers of it are missing, or an argument is out of range.
    """

    symmetries = SYMMETRIES
    normalised = False

    def __init__(
        self,
        *,
        layout: WeightLayout,
        inr: SineNetwork,
        hidden_features: int = 32,
        num_layers: int = 3,
        out_features: int = 128,
        num_frequencies: int = 48,
        sigma: float = 0.35,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(layout)
        counts = {"hidden_features": hidden_features, "num_layers": num_layers, "out_features": out_features}
        self.require_counts(**counts, num_frequencies=num_frequencies)
        self.require("sigma", sigma, 0 < sigma < math.inf, "above 0")
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        self.sines = SineLayers("graded_message_passing", layout, inr)
        self.num_hidden, channels = self.sines.num_hidden, self.sines.channels
        C, F = hidden_features, num_frequencies
        self.frequencies = nn.Parameter(2 * math.pi * sigma * torch.randn(self.sines.inputs, F))
        self.even_start = nn.ModuleList(
            nn.Linear(3 * F + 2 if i == 0 else 2, C) for i in range(self.num_hidden)
        )  # cos Bw, cos Bw cos 2φ, sin Bw sin 2φ, cos 2φ, |row|
        self.odd_start = nn.ModuleList(
            nn.Linear(2 * F + 1 if i == 0 else 1, C, bias=False) for i in range(self.num_hidden)
        )  # sin Bw cos φ, cos Bw sin φ, sin φ
        self.output_start = nn.Parameter(torch.randn(channels, C))
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    **{f"hidden_{i}": _Update(i > 0, C, dropout) for i in range(self.num_hidden)},
                    "out": nn.Sequential(nn.LayerNorm(2 * C), nn.Linear(2 * C, 2 * C), nn.GELU(), nn.Linear(2 * C, C)),
                }
            )
            for _ in range(num_layers)
        )
        pooled = 3 * C * self.num_hidden + channels * (C + 1)
        self.read_out = nn.Sequential(nn.Linear(pooled, out_features), nn.ReLU())
        self.out_features = out_features

    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, out_features) of weights (B, P) as they were fitted."""
        tensors = self.layout.split(weights)
        last = self.num_hidden
        phases_BN, rows_BNN = self.sines.phases(tensors), self.sines.rows(tensors)
        evens, odds = self._starts(phases_BN, rows_BNN)
        outputs_BOC = self.output_start.expand(len(weights), -1, -1)
        cos = [phase[..., None].cos() for phase in phases_BN]
        sin = [phase[..., None].sin() for phase in phases_BN]
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleDict), "__init__ makes them"
            # What the neurons of a layer send back: their rows have grade (1, 0), as o cos φ has.
            back = [*(odd * cosine for odd, cosine in zip(odds[1:], cos[1:], strict=True)), outputs_BOC]
            received = [rows_BNN[i + 1].mT @ sent / math.sqrt(rows_BNN[i + 1].shape[1]) for i, sent in enumerate(back)]
            forward = [rows_BNN[i + 1] @ odd / math.sqrt(odd.shape[1]) for i, odd in enumerate(odds)]
            for i in range(last):
                odd_BNM = [odds[i], received[i]]
                if i > 0:
                    sent = forward[i - 1]
                    odd_BNM += [sent * cos[i], sent.cos() * sin[i]]
                evens[i], odds[i] = layer[f"hidden_{i}"](evens[i], odds[i], torch.cat(odd_BNM, dim=-1))
            outputs_BOC = outputs_BOC + layer["out"](torch.cat([outputs_BOC, forward[-1]], dim=-1))
        pooled = [outputs_BOC.flatten(1), tensors[f"bias_{last}"]]
        for even, odd in zip(evens, odds, strict=True):
            pooled += [even.mean(1), even.amax(1), (odd.square().mean(1) + SMALL).sqrt()]
        features: Tensor = self.read_out(torch.cat(pooled, dim=-1))
        return features

    def _starts(self, phases_BN: list[Tensor], rows_BNN: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        evens, odds = [], []
        for i, (phase_BN, even_start, odd_start) in enumerate(
            zip(phases_BN, self.even_start, self.odd_start, strict=True)
        ):
            phase = phase_BN[..., None]
            length = rows_BNN[i].norm(dim=-1, keepdim=True) / math.sqrt(rows_BNN[i].shape[-1])
            even, odd = [(2 * phase).cos(), length], [phase.sin()]
            if i == 0:
                angles = rows_BNN[0] @ self.frequencies
                even += [angles.cos(), angles.cos() * (2 * phase).cos(), angles.sin() * (2 * phase).sin()]
                odd += [angles.sin() * phase.cos(), angles.cos() * phase.sin()]
            evens.append(even_start(torch.cat(even, dim=-1)))
            odds.append(odd_start(torch.cat(odd, dim=-1)))
        return evens, odds


class _Update(nn.Module):
    """One round: even numbers see odd ones only in products of two, and scale the new odd ones."""

    def __init__(self, has_inputs: bool, features: int, dropout: float) -> None:
        super().__init__()
        self.mix = nn.Linear((4 if has_inputs else 2) * features, 2 * features, bias=False)
        self.norm = nn.LayerNorm(features)
        self.network = nn.Sequential(
            nn.Linear(2 * features, 4 * features), nn.GELU(), nn.Linear(4 * features, 2 * features)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, even_BNC: Tensor, odd_BNC: Tensor, received_BNM: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next even and odd states."""
        size = (received_BNM.square().mean(-1, keepdim=True) + SMALL).sqrt()
        first, second = self.mix(received_BNM / size).chunk(2, dim=-1)
        change, gain = self.network(torch.cat([self.norm(even_BNC), first * second], dim=-1)).chunk(2, dim=-1)
        return even_BNC + self.dropout(change), odd_BNC + (1 + gain) * first
