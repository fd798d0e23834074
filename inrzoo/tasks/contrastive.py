"""Contrastive learning on the weights of INRs: SimCLR, whose two views of an image are two fits of it.

"Contrastive implicit representation learning" (Sec. 3.1, 3.2, 4.2): two INRs of each image that were fitted from
different starts, both augmented; NT-Xent on what a projector makes of an encoder's features; then the projector is
dropped and a linear probe on the frozen features measured.

Shape letters: N pairs of a batch, F features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from inrzoo.errors import InrzooError
from inrzoo.loaders import Pairs, WeightDataset
from inrzoo.loaders.transforms import generator_for
from inrzoo.tasks import LOG, Device, Learner, Measurement
from inrzoo.tasks._augmented import AugmentedTask, WeightNetwork, batch_of
from inrzoo.tasks._checkpoint import load_module
from inrzoo.tasks._frozen import Features, Protocol, linear_probe, nearest_neighbours, retrieval
from inrzoo.tasks._nt_xent import nt_xent


@dataclass(frozen=True, kw_only=True)
class Contrastive(AugmentedTask):
    """Contrastive learning: features by which two fits of one signal find each other.

    The paper gives neither temperature, nor projector, nor the strengths of augmentations. Those here are SimCLR's or
    those of docs/derivations/augmentation.md#strengths; see docs/contrastive.md. The best checkpoint is the one by
    which most signals of the validation split find their other fit: no label takes part before the probe.

    Attributes:
        between: in what two INRs of a pair differ: `seeds`, `views` (two snapshots of one fit), or `auto`, which is
            seeds where signals have two, and else views.
        temperature: τ of NT-Xent.
        projector_hidden: width of the projector, Linear, ReLU, Linear.
        projector_features: of its result.
        test_protocol: the probe is chosen on the `validation` split, or, as in the paper, `best_of_runs` on the split
            that is reported.
        test_raw: measure the same on the weights themselves, for comparison.
    """

    between: Literal["auto", "seeds", "views"] = "auto"
    temperature: float = 0.1
    projector_hidden: int = 128
    projector_features: int = 64
    test_protocol: Protocol = "validation"
    test_raw: bool = False

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a number out of its range.
        """
        super().__post_init__()
        self.require("batch_size", self.batch_size >= 2, "at least 2: other pairs are what a pair is told from")
        self.require("temperature", self.temperature > 0, "above 0")
        for key in ("projector_hidden", "projector_features"):
            self.require(key, getattr(self, key) >= 1, "at least 1")

    def pairs(self, path: str | Path, split: str) -> Pairs:
        """Of a split; says so where they are not of two seeds.

        Raises:
            InrzooError: no signal has two such INRs.
        """
        dataset = self.dataset(path, split)
        seeds = self.between == "seeds" or (self.between == "auto" and several_seeds(dataset))
        if seeds:
            return Pairs(dataset, between="seeds", seed=self.seed)
        if self.between == "auto":
            LOG.info("%s: signals have one seed; pairs are two snapshots of one fit", path)
        every_view = dataset.stores[0].snapshots
        return Pairs(self.dataset(path, split, every_view), between="views", seed=self.seed)

    def begin(self, path: str | Path, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def evaluate(
        self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device
    ) -> Sequence[Measurement]:
        """In percent: linear probe and nearest neighbours on frozen features, and how often two fits of a signal find
        each other by what the projector makes of them, as in training. Of `raw`, which learns nothing, the features
        themselves are compared, and not what a projector happens to make of them.
        """
        datasets = [self.dataset(path, part) for part in ("train", "validation", split)]
        network = self._network(datasets[0], state, device)
        features = self._features(network.weights, datasets, device)
        projected = features[2]
        if self.encoder["name"] != "raw":
            with torch.no_grad():
                projected = replace(projected, features=network.projector(projected.features.to(device)).cpu())
        found = measurements(features, projected, self.test_protocol)
        if self.test_raw:
            plain = WeightNetwork(replace(self, encoder={"name": "raw"}), datasets[0]).to(device).eval()
            plain.inputs.load_state_dict(network.weights.inputs.state_dict())
            features = self._features(plain, datasets, device)
            found += [
                replace(one, name=f"{one.name}, raw {self.inputs}")
                for one in measurements(features, features[2], self.test_protocol)
            ]
        return found

    def trained(self, dataset: WeightDataset, state: Mapping[str, Tensor], device: Device) -> WeightNetwork:
        """See `AugmentedTask.trained`."""
        return self._network(dataset, state, device).weights

    def _network(self, dataset: WeightDataset, state: Mapping[str, Tensor], device: Device) -> ContrastiveNetwork:
        network = ContrastiveNetwork(self, dataset).to(device).eval()
        load_module(network, state)
        return network

    def _features(
        self, network: WeightNetwork, datasets: Sequence[WeightDataset], device: Device
    ) -> Sequence[Features]:
        return [network.features_of(dataset, self.column(dataset), device) for dataset in datasets]


class ContrastiveNetwork(nn.Module):
    """Encoder and projector."""

    def __init__(self, task: Contrastive, dataset: WeightDataset) -> None:
        super().__init__()
        self.weights = WeightNetwork(task, dataset)
        self.projector = nn.Sequential(
            nn.Linear(self.weights.out_features, task.projector_hidden),
            nn.ReLU(),
            nn.Linear(task.projector_hidden, task.projector_features),
        )


class _Learner(Learner):
    def __init__(self, task: Contrastive, path: str | Path, device: Device) -> None:
        self._task, self._device = task, device
        self._pairs = task.pairs(path, "train")
        if len(self._pairs) < task.batch_size:
            raise InrzooError(
                f"batch_size = {task.batch_size} is more than the {len(self._pairs)} pairs of the training split"
            )
        self._validation_pairs = task.pairs(path, "validation")
        self.module = self._network = ContrastiveNetwork(task, self._pairs.dataset).to(device)
        self._network.weights.inputs.fit(self._pairs.dataset, task.normalise)
        self.identity = {
            "fingerprint": self._pairs.dataset.stores[0].info.fingerprint,
            "pairs": len(self._pairs),
            "between": self._pairs.between,
        }

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """NT-Xent of a batch; see `Learner.loss`."""
        first_NF, second_NF = self._project(step)
        loss = nt_xent(first_NF, second_NF, self._task.temperature)
        with torch.no_grad():
            cosine_NN = nn.functional.cosine_similarity(first_NF[:, None], second_NF[None], dim=-1)
            found = (cosine_NN.argmax(1) == torch.arange(len(cosine_NN), device=cosine_NN.device)).double().mean()
        return loss, {"alignment": float(found)}

    def _project(self, step: int) -> tuple[Tensor, Tensor]:
        epoch, positions = batch_of(self._task, step, len(self._pairs))
        pair = self._pairs.read(positions, epoch=epoch, key=step).to(self._device)
        projected = []
        for view, batch in enumerate((pair.first, pair.second)):
            generator = generator_for(self._task.seed, 0, step, view, device=self._device)
            projected.append(self._network.projector(self._network.weights(batch, generator)))
        return projected[0], projected[1]

    def validate(self) -> dict[str, float]:
        """Share of validation signals whose fits find each other; NT-Xent without augmentation."""
        count = min(len(self._validation_pairs), 1000)
        pair = self._validation_pairs.read(np.arange(count), epoch=0, key=0).to(self._device)
        projected = [self._network.projector(self._in_parts(batch)) for batch in (pair.first, pair.second)]
        first_NF, second_NF = (nn.functional.normalize(part, dim=-1) for part in projected)
        cosine_NN = first_NF @ second_NF.T
        rank_N = (cosine_NN >= cosine_NN.diagonal()[:, None]).sum(1)
        score = float((rank_N <= 1).double().mean())
        size = min(self._task.batch_size, count)
        loss = float(nt_xent(projected[0][:size], projected[1][:size], self._task.temperature))
        return {"score": score, "validation_alignment": score, "validation_loss": loss}

    def _in_parts(self, batch: Any) -> Tensor:
        rows = torch.arange(len(batch), device=self._device).split(self._task.batch_size)
        return torch.cat([self._network.weights(batch.map(lambda tensor, part=part: tensor[part])) for part in rows])


def several_seeds(dataset: WeightDataset) -> bool:
    """Whether any signal was fitted from two starts."""
    places = dataset.rows.locations(np.arange(len(dataset)))
    signal = dataset.rows.signals(places)
    fits = np.unique(np.stack([signal, places.store, places.seed]), axis=1)
    return bool((np.unique(fits[0], return_counts=True)[1] > 1).any())


def measurements(splits: Sequence[Features], projected: Features, protocol: Protocol) -> list[Measurement]:
    """All that is measured: of the training, the validation and the reported split, and of the latter's projections."""
    train, validation, test = splits
    return [
        linear_probe(train, validation, test, protocol),
        nearest_neighbours(train, validation, test),
        *retrieval(projected),
    ]
