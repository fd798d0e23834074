"""The network of a diffusion model over vectors, and the residual blocks that it shares with encoder and decoder.

Shape letters: B vectors, F numbers of a vector, H hidden.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, silu

TIME_FEATURES = 64
"""Sines and cosines of a time."""
MAX_PERIOD = 10_000.0
"""Longest period of these waves over 2π, in steps of the diffusion: Vaswani et al. 2017, Sec. 3.5, of positions."""
CONDITION_FEATURES = 128
"""Numbers of the embedding of time and class."""


class ResidualBlock(nn.Module):
    """x + Linear(SiLU(Linear(norm(x)))); a condition scales and shifts the norm, and scales what is added.

    The adaptive layer norm of Peebles & Xie 2023, "Scalable diffusion models with transformers" (arXiv 2212.09748),
    Sec. 3.2. A new block with a condition treats every condition alike.

    Args:
        features: H.
        condition: numbers of a condition; 0 for a block without one.
    """

    def __init__(self, features: int, condition: int = 0) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(features, features), nn.Linear(features, features)
        self.modulation = nn.Linear(condition, 3 * features) if condition else None
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, hidden: Tensor, condition: Tensor | None = None) -> Tensor:
        """Hidden (B, H) and conditions (B, condition) to (B, H)."""
        normed = layer_norm(hidden, hidden.shape[-1:])
        if self.modulation is None or condition is None:
            added: Tensor = self.outer(silu(self.inner(normed)))
            return hidden + added
        shift, scale, gain = self.modulation(condition).chunk(3, dim=-1)
        added = self.outer(silu(self.inner(normed * (1 + scale) + shift)))
        result: Tensor = hidden + (1 + gain) * added
        return result


class ResidualMlp(nn.Module):
    """Linear, residual blocks, layer norm, Linear.

    Args:
        in_features, out_features: of the vectors that come in and go out.
        hidden_features: H.
        num_blocks: residual blocks.
        last_gain: factor of the last layer's random weights; its bias begins at 0.
    """

    def __init__(
        self, in_features: int, out_features: int, hidden_features: int, num_blocks: int, last_gain: float = 1.0
    ) -> None:
        super().__init__()
        self.first = nn.Linear(in_features, hidden_features)
        self.blocks = nn.Sequential(*(ResidualBlock(hidden_features) for _ in range(num_blocks)))
        self.last = nn.Linear(hidden_features, out_features)
        with torch.no_grad():
            self.last.weight.mul_(last_gain)
            self.last.bias.zero_()

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, in_features) to (B, out_features)."""
        hidden = self.blocks(self.first(vectors))
        result: Tensor = self.last(layer_norm(hidden, hidden.shape[-1:]))
        return result


class Denoiser(nn.Module):
    """A residual MLP on a noisy vector, told the time of the diffusion and the class by embeddings.

    A new network returns 0.

    Args:
        features: F.
        num_classes: number of classes; one more embedding, the last, stands for an unknown class.
        hidden_features: H.
        num_blocks: residual blocks.
    """

    def __init__(self, features: int, num_classes: int, hidden_features: int, num_blocks: int) -> None:
        super().__init__()
        self.unknown_class = num_classes
        self.first = nn.Linear(features, hidden_features)
        self.blocks = nn.ModuleList(ResidualBlock(hidden_features, CONDITION_FEATURES) for _ in range(num_blocks))
        self.last = nn.Linear(hidden_features, features)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.time = nn.Sequential(
            nn.Linear(TIME_FEATURES, CONDITION_FEATURES), nn.SiLU(), nn.Linear(CONDITION_FEATURES, CONDITION_FEATURES)
        )
        self.label = nn.Embedding(num_classes + 1, CONDITION_FEATURES)

    def forward(self, noisy: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """What the diffusion asks for, (B, F).

        Args:
            noisy: (B, F).
            time: (B,) int64, step of the diffusion.
            label: (B,) int64, class, or `unknown_class`.
        """
        condition = silu(self.time(_waves(time)) + self.label(label))
        hidden = self.first(noisy)
        for block in self.blocks:
            hidden = block(hidden, condition)
        result: Tensor = self.last(layer_norm(hidden, hidden.shape[-1:]))
        return result


def _waves(time: Tensor) -> Tensor:
    """Sines and cosines (B, TIME_FEATURES) of times (B,)."""
    count = TIME_FEATURES // 2
    rates = torch.exp(-math.log(MAX_PERIOD) * torch.arange(count, device=time.device) / count)
    angles = time[:, None].float() * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
