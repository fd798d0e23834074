"""The network of few-shot learning: normalisation, encoder, scale.

Shape letters: B INRs of a batch, L INRs of a dataset, P numbers of one INR, F features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.loaders import Episodes, WeightDataset
from inrzoo.tasks import Device
from inrzoo.tasks._inputs import ROWS_AT_ONCE, Inputs
from inrzoo.tasks._matching import log_probabilities

if TYPE_CHECKING:
    from inrzoo.tasks.few_shot import FewShot

LEARNED_START = 10.0


class Network(nn.Module):
    """Normalisation, encoder and scale: from what a batch holds to log probabilities."""

    def __init__(self, task: FewShot, dataset: WeightDataset) -> None:
        super().__init__()
        self._task = task
        self.inputs = Inputs(dataset, task.inputs, task.layers)
        reads = registry.find("encoders", task.encoder.get("name", "")).reads
        if (reads == "signals") and task.inputs != "signals":
            raise InrzooError(f'{task.encoder["name"]} reads pixels; it needs inputs = "signals"')
        self.encoder = registry.make("encoders", task.encoder, layout=self.inputs.layout)
        self.log_scale = nn.Parameter(torch.tensor(math.log(LEARNED_START))) if task.temperature == "learned" else None

    @property
    def scale(self) -> Tensor | float:
        """What multiplies the cosines."""
        return float(self._task.temperature) if self.log_scale is None else self.log_scale.exp()

    def forward(self, numbers: Tensor) -> Tensor:
        """Features (B, F) of inputs (B, P) that are not normalised."""
        features: Tensor = self.encoder(self.inputs(numbers))
        return features

    def log_probabilities(self, support: Tensor, query: Tensor, target: Tensor, num_classes: int) -> Tensor:
        """See `_matching.log_probabilities`."""
        return log_probabilities(support, query, target, num_classes, self.scale, self._task.head)

    def features_of(self, dataset: WeightDataset, device: Device) -> Tensor:
        """(L, F), each INR once."""
        parts = [
            self(self.inputs.read(dataset[start : start + ROWS_AT_ONCE].to(device)))
            for start in range(0, len(dataset), ROWS_AT_ONCE)
        ]
        return torch.cat(parts)

    def scores(self, features_LF: Tensor, episodes: Episodes) -> Iterator[tuple[Tensor, Tensor]]:
        """Log probabilities of the queries of each episode, and their classes."""
        assert episodes.num_episodes is not None, "a list that ends"
        for number in range(episodes.num_episodes):
            items = episodes.items(number)
            target = torch.from_numpy(items.support_target).to(features_LF.device)
            support, query = features_LF[items.support], features_LF[items.query]
            yield (
                self.log_probabilities(support, query, target, episodes.ways),
                torch.from_numpy(items.query_target).to(features_LF.device),
            )
