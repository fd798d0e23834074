"""Classifiers of signals that judge samples: one gives the features of the Fréchet distance, another names classes.

Both are trained here, on signals of the training split, or on what its INRs say where a store does not hold them. A
checkpoint carries them, so that all numbers of a run have the same judges.

Shape letters: B signals, K points of the grid, C channels, F features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inrzoo.errors import InrzooError

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
STEPS, BATCH, LR = 1200, 128, 2e-3
"""Training of a judge: steps of AdamW, signals of a step, highest learning rate of one cycle (Smith & Topin 2018)."""
ROWS_AT_ONCE = 512
"""Signals that a judge reads at once."""
Examples = Iterable[tuple[Tensor, Tensor]]
"""Batches of values (B, K, C) and classes (B,)."""


class Judge(nn.Module):
    """Convolutions of stride 2 with ReLU, a layer of F features with ReLU, and a linear layer to classes.

    Args:
        sizes: points of the grid along each axis, one to three.
        channels: C.
        num_classes: number of classes.
        widths: channels after each convolution.
        kernels: sizes of the convolutions, one for each width.
        features: F.

    Raises:
        InrzooError: the grid has more than three axes.
    """

    trained: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        channels: int,
        num_classes: int,
        *,
        widths: Sequence[int],
        kernels: Sequence[int],
        features: int,
    ) -> None:
        super().__init__()
        if not 1 <= len(sizes) <= len(CONVOLUTIONS):
            raise InrzooError(f"samples are judged on grids of one to three axes; this one has {list(sizes)}")
        self._sizes, convolution = tuple(sizes), CONVOLUTIONS[len(sizes) - 1]
        layers: list[nn.Module] = []
        for (fan_in, fan_out), kernel in zip(pairwise((channels, *widths)), kernels, strict=True):
            layers += [convolution(fan_in, fan_out, kernel, stride=2, padding=kernel // 2), nn.ReLU()]
            sizes = [-(-size // 2) for size in sizes]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * math.prod(sizes), features), nn.ReLU())
        self.head = nn.Linear(features, num_classes)
        self.register_buffer("trained", torch.zeros((), dtype=torch.bool))

    def features(self, values: Tensor) -> Tensor:
        """Features (B, F) of values (B, K, C) on the grid."""
        features: Tensor = self.body(values.mT.unflatten(-1, self._sizes))
        return features

    def forward(self, values: Tensor) -> Tensor:
        """Logits (B, classes) of values (B, K, C)."""
        logits: Tensor = self.head(self.features(values))
        return logits

    @torch.no_grad()
    def features_of(self, parts: Iterable[Tensor]) -> Tensor:
        """Features (N, F) of values that come in parts, on the CPU."""
        return torch.cat([self.features(part).cpu() for part in parts])

    @torch.no_grad()
    def classes_of(self, parts: Iterable[Tensor]) -> Tensor:
        """The likeliest class (N,) of values that come in parts, on the CPU."""
        return torch.cat([self(part).argmax(1).cpu() for part in parts])


def feature_judge(sizes: Sequence[int], channels: int, num_classes: int) -> Judge:
    """The network whose features the Fréchet distance compares: two convolutions, 64 features."""
    return Judge(sizes, channels, num_classes, widths=(16, 32), kernels=(5, 3), features=64)


def class_judge(sizes: Sequence[int], channels: int, num_classes: int) -> Judge:
    """The independent classifier: three convolutions of other sizes, 96 features, another seed."""
    return Judge(sizes, channels, num_classes, widths=(24, 48, 48), kernels=(3, 3, 3), features=96)


def train_judge(judge: Judge, values: Tensor, label: Tensor, seed: int) -> None:
    """Train a judge by cross entropy from new weights; torch's global random state stays as it is.

    Args:
        judge: new or not; its state becomes a function of the other arguments.
        values: (N, K, C).
        label: (N,).
        seed: of weights and batches.
    """
    device = next(judge.parameters()).device
    with torch.enable_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for module in judge.modules():
            if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
                module.reset_parameters()
        optimiser = torch.optim.AdamW(judge.parameters(), lr=LR)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, LR, total_steps=STEPS)
        for _ in range(STEPS):
            rows = torch.randint(len(values), (BATCH,))
            loss = cross_entropy(judge(values[rows].to(device)), label[rows].to(device))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            cycle.step()
    judge.trained.fill_(True)
