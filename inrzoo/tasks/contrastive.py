"""Contrastive learning on the weights of INRs: SimCLR, where the two views of an image are two fits of it.

"Contrastive implicit representation learning" (Sec. 3.1, 3.2, 4.2) takes two INRs of each image that were fitted from
different starts, augments both, and applies NT-Xent to the projected features of an encoder. Then the projector is
dropped, and a linear probe on the frozen features is measured.

Shape letters: N pairs of a batch, F features.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from inrzoo.loaders import Pairs, WeightDataset
from inrzoo.tasks.contract import Device, Learner
from inrzoo.tasks.encoding_tasks import EncodingModule, EncodingTask
from inrzoo.tasks.losses import nt_xent
from inrzoo.tasks.measurements import Measurement
from inrzoo.tasks.pretrained import begin_network
from inrzoo.tasks.probes import Features, Protocol, linear_probe, nearest_neighbours, retrieval
from inrzoo.tasks.training.batches import TrainingBatches
from inrzoo.tasks.training.group import gathered
from inrzoo.tasks.weight_tasks import WeightNetwork, notes_of

LOG = logging.getLogger("inrzoo.tasks")
VALIDATION_PAIRS = 1000
"""Maximum number of pairs that decide which checkpoint is the best."""


@dataclass(frozen=True, kw_only=True)
class Contrastive(EncodingTask["ContrastiveNetwork"]):
    """Contrastive learning of features that are alike for two fits of one signal.

    The paper gives neither temperature, nor projector, nor the strengths of augmentations. Those here are SimCLR's or
    those of docs/derivations/augmentation.md#strengths; see docs/contrastive.md. The best checkpoint is the one whose
    features retrieve the other fit of most validation signals. No label is used before the probe.

    Attributes:
        between: the two INRs of a pair differ in `seeds`, or in `views` (two snapshots of one fit); `auto` takes seeds
            if signals have two, else views.
        temperature: τ of NT-Xent.
        projector_hidden: width of the projector: linear layer, ReLU, linear layer.
        projector_features: output features of the projector.
        test_protocol: the probe is chosen on the `validation` split, or, as in the paper, `best_of_runs` on the
            reported split.
        test_raw: measure the weights themselves as well, for comparison.
    """

    between: Literal["auto", "seeds", "views"] = "auto"
    temperature: float = 0.1
    projector_hidden: int = 128
    projector_features: int = 64
    test_protocol: Protocol = "validation"
    test_raw: bool = False

    def __post_init__(self) -> None:
        """See `Task.__post_init__`."""
        super().__post_init__()
        self.require("batch_size", self.batch_size >= 2, "at least 2, because other pairs are the negatives of a pair")
        self.require("temperature", self.temperature > 0, "above 0")
        alone = "1: pairs are contrasted with those of their own batch; devices or a larger batch_size add to them"
        self.require("accumulate", self.accumulate == 1, alone)
        self.require_at_least(1, "projector_hidden", "projector_features")

    def paired(self, path: str | Path, split: str) -> tuple[WeightDataset, Literal["seeds", "views"]]:
        """The INRs that are paired, and in what the two of a pair differ; logs a line if `auto` takes snapshots."""
        dataset = self.dataset(path, split)
        if self.between == "seeds" or (self.between == "auto" and several_seeds(dataset)):
            return dataset, "seeds"
        if self.between == "auto":
            LOG.info("%s: signals have one seed; pairs are two snapshots of one fit", path)
        return self.dataset(path, split, dataset.stores[0].snapshots), "views"

    def begin(self, path: str | Path, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def evaluate(
        self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device
    ) -> Sequence[Measurement]:
        """Linear probe, nearest neighbours and retrieval, in percent.

        Probe and neighbours read frozen features. Retrieval reads projected features, as training does, but the
        features themselves for the encoder `raw`, whose projector is not trained.
        """
        datasets = [self.dataset(path, part) for part in ("train", "validation", split)]
        network = self.restored(datasets[0], state, device)
        features = self._features(network.weights, datasets, device)
        projected = features[2]
        if self.encoder["name"] != "raw":
            with torch.no_grad():
                projected = replace(projected, features=network.projector(projected.features.to(device)).cpu())
        results = measurements(features, projected, self.test_protocol)
        if self.test_raw:
            plain = WeightNetwork(replace(self, encoder={"name": "raw"}), datasets[0]).to(device).eval()
            plain.inputs.load_state_dict(network.weights.inputs.state_dict())
            features = self._features(plain, datasets, device)
            results += [
                replace(one, name=f"{one.name}, raw {self.inputs}")
                for one in measurements(features, features[2], self.test_protocol)
            ]
        return results

    def network(self, dataset: WeightDataset) -> ContrastiveNetwork:
        """See `EncodingTask.network`."""
        return ContrastiveNetwork(self, dataset)

    def _features(
        self, network: WeightNetwork, datasets: Sequence[WeightDataset], device: Device
    ) -> Sequence[Features]:
        return [network.features_of(dataset, self.label_column(dataset), device) for dataset in datasets]


class ContrastiveNetwork(EncodingModule):
    """Encoder and projector."""

    def __init__(self, task: Contrastive, dataset: WeightDataset) -> None:
        super().__init__(task, dataset)
        self.projector = nn.Sequential(
            nn.Linear(self.weights.out_features, task.projector_hidden),
            nn.ReLU(),
            nn.Linear(task.projector_hidden, task.projector_features),
        )


class _Learner(Learner):
    def __init__(self, task: Contrastive, path: str | Path, device: Device) -> None:
        self._task, self._device = task, device
        training, between = task.paired(path, "train")
        network = ContrastiveNetwork(task, training)
        begun = begin_network(network.weights, task, training)
        pairs = Pairs(network.weights.prepared(training, augmented=True), between=between, seed=task.seed)
        self._batches = TrainingBatches(pairs, task.batch_size, seed=task.seed)
        validation, between = task.paired(path, "validation")
        self._validation_pairs = Pairs(network.weights.prepared(validation), between=between, seed=task.seed)
        self.module = self._network = network.to(device)
        self.identity = {
            "fingerprint": training.stores[0].info.fingerprint,
            "pairs": len(pairs),
            "between": pairs.between,
            **begun,
        }
        self.notes = notes_of(training.stores[0])

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """NT-Xent of a batch; see `Learner.loss`."""
        first_NF, second_NF = self._project(step)
        if self._task.devices > 1:  # the negatives of a pair are those of all processes
            first_NF, second_NF = gathered(first_NF), gathered(second_NF)
        loss = nt_xent(first_NF, second_NF, self._task.temperature)
        with torch.no_grad():
            cosine_NN = nn.functional.cosine_similarity(first_NF[:, None], second_NF[None], dim=-1)
            own_N = torch.arange(len(cosine_NN), device=cosine_NN.device)
            alignment = (cosine_NN.argmax(1) == own_N).double().mean()
        return loss, {"alignment": float(alignment)}

    def _project(self, step: int) -> tuple[Tensor, Tensor]:
        pair = self._batches(step).to(self._device)
        network = self._network
        return network.projector(network.weights(pair.first)), network.projector(network.weights(pair.second))

    def validate(self) -> dict[str, float]:
        """Share of validation signals whose other fit is retrieved, and NT-Xent without augmentation."""
        count = min(len(self._validation_pairs), VALIDATION_PAIRS)
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
    locations = dataset.rows.locations(np.arange(len(dataset)))
    signal = dataset.rows.signals(locations)
    fits = np.unique(np.stack([signal, locations.store, locations.seed]), axis=1)
    return bool((np.unique(fits[0], return_counts=True)[1] > 1).any())


def measurements(splits: Sequence[Features], projected: Features, protocol: Protocol) -> list[Measurement]:
    """All measurements of training, validation and reported features; `projected` are those of the reported split."""
    train, validation, test = splits
    return [
        linear_probe(train, validation, test, protocol),
        nearest_neighbours(train, validation, test),
        *retrieval(projected),
    ]
