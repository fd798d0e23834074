"""Autoencoders of INRs: weights become a short code, and the code becomes the signal again.

inr2vec (De Luigi et al. 2023, "Deep learning on implicit neural representations of shapes", arXiv 2302.05438) decodes
by a function of code and coordinate; INR2Array (Zhou et al. 2023, "Neural functional transformers", arXiv 2305.13546)
by weights. Both compare values of signals, not weights. Differences: docs/derivations/autoencoding.md#where-we-differ.

Shape letters: B INRs of a batch, L INRs of a dataset, P parameters, F numbers of a code, K points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.loaders import WeightBatch, WeightDataset
from inrzoo.loaders.normalise import normaliser
from inrzoo.seeding import Stream
from inrzoo.tasks.code_decoders import (
    BasisDecoder,
    CodeDecoder,
    MlpDecoder,
    PositionalEncoding,
    WeightDecoder,
)
from inrzoo.tasks.contract import Device, Learner
from inrzoo.tasks.encoding_tasks import EncodingModule, EncodingTask
from inrzoo.tasks.measurements import Measurement, measured_mean
from inrzoo.tasks.pretrained import begin_batches
from inrzoo.tasks.probes import Features, linear_probe, mean_average_precision, nearest_neighbours
from inrzoo.tasks.signal_targets import AGAINST_INR, Against, SignalTargets
from inrzoo.tasks.training.batches import in_order
from inrzoo.tasks.weight_tasks import ROWS_AT_ONCE, WeightNetwork, notes_of

POINT_OCTAVES = 10
"""Octaves of the encoding of coordinates for signals with points of their own: inr2vec's."""


@dataclass(frozen=True, kw_only=True)
class Autoencode(EncodingTask["Autoencoder"]):
    """An autoencoder of INRs: an encoder of their weights, and a decoder of its features that reconstructs signals.

    A code is what the encoder returns. The loss is that of the store's fits, at points drawn for each step, between
    what the decoder says and the signals. No label is used before the code is measured.

    Attributes:
        decode_by: `weights`: the code becomes weights of the store's INR, which are evaluated; `mlp`: of code and
            coordinate, as in inr2vec; `basis`: functions of the coordinate, with coefficients made of the code.
        decoder_features: neurons of a hidden layer of the decoder.
        decoder_layers: residual layers between the code and the weights or the coefficients.
        against: values are compared with the `signals` of the store, or with those of the `inrs` themselves.
        num_coords: points of a step, drawn anew for each, alike for all INRs of a batch; 0 for all.
        augment: transforms that leave the signal as it is, such as `noise` and `dropout`; none by default.
        validation_inrs: number of INRs that decide which checkpoint is the best.
        test_codes: measure what codes are good for: a linear probe, neighbours and retrieval of a label column.
        test_raw: measure this of the weights themselves, too, for comparison.

    Example:
        >>> fields = {"encoder": "flat_mlp", "batch_size": 8, "steps": 4, "validate_every": 2, "test_codes": False}
        >>> run = inrzoo.train("autoencode", "digits.zarr", out="codes", quiet=True, **fields)
        >>> [one.name for one in inrzoo.evaluate(run.folder, "digits.zarr")]
        ['PSNR', 'PSNR against the INR']
    """

    weight_decay: float = 1e-2
    warmup: int = 200
    encoder: dict[str, Any] = field(default_factory=lambda: {"name": "flat_mlp", "tensors": "all"})
    decode_by: Literal["weights", "mlp", "basis"] = "weights"
    decoder_features: int = 512
    decoder_layers: int = 2
    against: Against = "signals"
    num_coords: int = 512
    augment: tuple[dict[str, Any], ...] = ()
    validation_inrs: int = 1000
    test_codes: bool = True
    test_raw: bool = False

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a number is out of its range, or a transform changes the signal.
        """
        super().__post_init__()
        self.require_at_least(1, "decoder_features", "validation_inrs")
        self.require_at_least(0, "decoder_layers", "num_coords")
        for table in self.augment:
            if not _keeps_signal(str(table.get("name"))):
                kept = [name for name in registry.names("transforms") if _keeps_signal(name)]
                raise InrzooError(
                    f"--augment {table['name']} is not allowed: it changes the signal, with which values are compared; "
                    f"expected {', '.join(kept)}"
                )

    def begin(self, path: str | Path, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def evaluate(
        self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device
    ) -> Sequence[Measurement]:
        """Mean quality over the INRs of a split, and what codes are good for.

        PSNR in dB and the measures of the store's observation, against signals where the store has them; PSNR against
        the values of the INRs; and if the store has labels, in percent: a linear probe, nearest neighbours, and mean
        average precision of retrieval by cosine.
        """
        dataset = self.dataset(path, split)
        network = self.restored(dataset, state, device)
        results = [measured_mean(name, values) for name, values in network.quality(dataset, device).items()]
        if self.test_codes and dataset.labels:
            parts = [self.dataset(path, part) for part in ("train", "validation", split)]
            results += code_quality(self._codes(network.weights, parts, device))
            if self.test_raw:
                raw_task = replace(self, encoder={"name": "raw"}, pretrained=None, frozen=False)
                plain = WeightNetwork(raw_task, dataset).to(device).eval()
                plain.fit_inputs(parts[0])
                raw = code_quality(self._codes(plain, parts, device))
                results += [replace(one, name=f"{one.name}, raw {self.inputs}") for one in raw]
        return results

    def network(self, dataset: WeightDataset) -> Autoencoder:
        """See `EncodingTask.network`."""
        return Autoencoder(self, dataset)

    def _codes(self, network: WeightNetwork, parts: Sequence[WeightDataset], device: Device) -> Sequence[Features]:
        return [network.features_of(part, self.label_column(part), device) for part in parts]


class Autoencoder(EncodingModule):
    """An encoder of weights and a decoder of its features.

    Attributes:
        weights: the encoder, with the statistics of its inputs.
        decoder: codes (B, F) and coordinates to values.
    """

    def __init__(self, task: Autoencode, dataset: WeightDataset) -> None:
        super().__init__(task, dataset)
        self._task = task
        self.decoder = _decoder(task, dataset, self.weights.out_features)

    def codes(self, batch: WeightBatch) -> Tensor:
        """Codes (B, F) of a batch of a dataset that is `prepared`."""
        codes: Tensor = self.weights(batch)
        return codes

    @torch.no_grad()
    def quality(self, dataset: WeightDataset, device: Device, count: int | None = None) -> dict[str, Tensor]:
        """Quality of the reconstruction of each INR of a dataset as `WeightTask.dataset` returns it.

        Args:
            dataset: the INRs, L of them.
            device: of the network.
            count: number of INRs, spread evenly over the dataset, which may be sorted by class; all if None.

        Returns:
            Numbers (L,) by name; see `SignalTargets.measured`.
        """
        targets = SignalTargets(dataset.stores[0], self._task.against)
        dataset = dataset if count is None else dataset.evenly(count)
        parts = []
        for batch in in_order(self.weights.prepared(dataset), ROWS_AT_ONCE):
            codes = self.codes(batch.to(device))
            parts.append(targets.measured(batch, self.decoder, codes))
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def code_quality(codes: Sequence[Features]) -> list[Measurement]:
    """Linear probe, nearest neighbours, and retrieval by cosine, in percent, of codes of the three splits.

    Without retrieval if no two signals of the last split have the same label.
    """
    train, validation, test = codes
    near = nearest_neighbours(train, validation, test)
    signals_of_labels = torch.stack([test.label, test.signal]).unique(dim=1)[0].unique(return_counts=True)[1]
    found = [mean_average_precision(test)] if signals_of_labels.max() > 1 else []
    return [linear_probe(train, validation, test), near, *found]


def _decoder(task: Autoencode, dataset: WeightDataset, code_features: int) -> CodeDecoder:
    store, inr, hidden = dataset.stores[0], dataset.inr, task.decoder_features
    if task.decode_by == "weights":
        start, scale = _start_and_scale(task, dataset)
        return WeightDecoder(code_features, inr, start, scale, hidden, task.decoder_layers)
    encoding = PositionalEncoding(inr.in_features, store.info.manifest.coords.extent, octaves(dataset))
    if task.decode_by == "mlp":
        return MlpDecoder(code_features, inr.out_features, encoding, hidden)
    return BasisDecoder(code_features, inr.out_features, encoding, hidden, task.decoder_layers)


def octaves(dataset: WeightDataset) -> int:
    """Octaves of the encoding of coordinates: they reach the Nyquist frequency of the grid; inr2vec's for points."""
    info = dataset.stores[0].info
    if info.arrays:
        return POINT_OCTAVES
    nyquist = math.pi * (max(info.grid) - 1) / 2  # radians per unit of a coordinate in [-1, 1]
    return 1 + max(0, math.ceil(math.log2(max(1.0, nyquist))))


def _start_and_scale(task: Autoencode, dataset: WeightDataset) -> tuple[Tensor, Tensor]:
    """Weights that a decoder changes, and the unit of the change, (P,) each.

    INRs that share their start lie around a mean, each weight with a spread of its own. With random starts the mean of
    a weight is that of no INR: the decoder begins at a new INR, with the spread of each tensor.
    """
    store, inr = dataset.stores[0], dataset.inr
    if store.info.manifest.init_mode == "random":
        statistics = normaliser(dataset.stores, dataset.rows.views, "per_tensor")
        return torch.from_numpy(inr.init(Stream("decoder", "", task.seed))), statistics.std
    statistics = normaliser(dataset.stores, dataset.rows.views, "per_parameter")
    return statistics.mean, statistics.std


def _keeps_signal(name: str) -> bool:
    transform = registry.find("transforms", name)
    return bool(transform.same_function or transform.of_normalised)


class _Learner(Learner):
    def __init__(self, task: Autoencode, path: str | Path, device: Device) -> None:
        self._task, self._device = task, device
        training, self._validation = task.dataset(path, "train"), task.dataset(path, "validation")
        self._targets = SignalTargets(training.stores[0], task.against)
        network = Autoencoder(task, training)
        self._batches, self.identity = begin_batches(network.weights, task, training)
        self.module = self._network = network.to(device)
        self.notes = notes_of(training.stores[0])

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of the store's fits over a batch, between decoded values and targets; see `Learner.loss`."""
        batch = self._batches(step)
        where, values = self._targets.drawn(batch, self._task.num_coords or None, self._device)
        codes = self._network.codes(batch.to(self._device))
        return self._targets.loss(self._targets.predict(self._network.decoder, codes, where), values), {}

    def validate(self) -> dict[str, float]:
        """Mean quality on the same validation INRs every time; the score is a PSNR in dB, or minus the loss."""
        each = self._network.quality(self._validation, self._device, self._task.validation_inrs)
        means = {name: float(values.double().mean()) for name, values in each.items()}
        if self._targets.is_psnr:
            score = means["PSNR" if self._task.against == "signals" else AGAINST_INR]
        else:
            score = -means["loss"]
        shown = {name.lower().replace(" ", "_"): mean for name, mean in means.items()}
        return {"score": score, **{f"validation_{name}": mean for name, mean in shown.items()}}
