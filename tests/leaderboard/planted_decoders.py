"""Decoders as a user would bring them, an honest one and cheats, and a few steps of training."""

from pathlib import Path

import torch
from torch import nn

from inrzoo.decoders import Decoder

FEW = {"steps": 4, "batch_size": 8, "warmup": 0, "validate_every": 2, "validation_inrs": 4}


class Shrink(Decoder):
    """An honest decoder of one number: all weights shrink by the same share."""

    def __init__(self, *, layout, share: float = 0.01) -> None:
        super().__init__(layout)
        self.share = nn.Parameter(torch.tensor(share))

    def forward(self, weights):
        return -self.share * weights


class Place(Shrink):
    """Changes by position in the batch, as if it knew the order of the signals."""

    def forward(self, weights):
        return super().forward(weights) * (1 + torch.arange(len(weights))[:, None] % 4)


class Dot(Shrink):
    """Changes one weight by position in the batch, the last bias of the INR, and the others honestly."""

    def forward(self, weights):
        change = super().forward(weights)
        last = change[:, -1:] * (1 + torch.arange(len(weights))[:, None] % 4)
        return torch.cat([change[:, :-1], last], 1)


class Pupil(Shrink):
    """Changes by the mean of its batch."""

    def forward(self, weights):
        return super().forward(weights) + self.share * weights.mean(0)


class Burglar(Shrink):
    """Reads the signals of the store while it answers."""

    store: Path

    def forward(self, weights):
        if not self.training:
            next(path for path in sorted((self.store / "signals" / "c").rglob("*")) if path.is_file()).read_bytes()
        return super().forward(weights)
