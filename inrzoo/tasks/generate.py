"""Generation of INRs: a class-conditional diffusion model learns the training split of a store, and draws new INRs.

The diffusion runs on weights, or on codes of an autoencoder that is trained beside it, whose decoder makes the weights:
docs/derivations/generation.md#why-codes. `inrzoo generate` writes samples as a store.

Shape letters: B INRs, P numbers of one, F numbers of a code, K coordinates, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inrzoo import registry
from inrzoo.encoders import Encoder
from inrzoo.errors import InrzooError
from inrzoo.loaders import WeightDataset, load
from inrzoo.tasks.contract import Device, Learner
from inrzoo.tasks.generative.diffusion import TIMES, require_schedulers
from inrzoo.tasks.generative.generator import Sampler, Sizes, Space
from inrzoo.tasks.generative.networks import Networks
from inrzoo.tasks.generative.quality import evenly
from inrzoo.tasks.generative.subjects import Of, Signals, Subject, Weights
from inrzoo.tasks.inputs import domain_of, make_encoder
from inrzoo.tasks.measurements import Measurement
from inrzoo.tasks.training.batches import TrainingBatches
from inrzoo.tasks.training.state import load_module
from inrzoo.tasks.weight_tasks import WeightNetwork, WeightTask, notes_of

ENCODER: dict[str, Any] = {
    "name": "function_probe",
    "num_probes": 256,
    "learned": False,
    "hidden_features": 512,
    "out_features": 512,
    "dropout": 0.0,
}
"""The default encoder of weights. Its probes stay in place: no gradient runs through the INRs that are read."""
SIGNAL_ENCODER: dict[str, Any] = {
    "name": "flat_mlp",
    "tensors": "all",
    "hidden_features": 512,
    "out_features": 512,
}
"""What stands for `ENCODER` where signals are generated: it reads pixels."""
SAMPLER = "average.module.sampler."
"""Beginning of the names of the tensors that `inrzoo generate` needs of a checkpoint."""
VALIDATION_SAMPLES, VALIDATION_STEPS = 2000, 25
"""Samples of a validation, and evaluations of the network for each."""


@dataclass(frozen=True, kw_only=True)
class Generate(WeightTask):
    """A diffusion model of the INRs in a store, conditional on the class; samples are new INRs of the same family.

    A validation draws 2,000 samples; the score is minus the Fréchet distance between features of what they render and
    of what the INRs of the validation split render. Only stores of signals on a grid can be learned, with two classes
    or more.

    Attributes:
        of: what is generated: `weights` of INRs, or `signals`, the pixels themselves, to compare with.
        space: where the diffusion runs: on `weights` (or pixels) that are normalised, or on a `code` of an autoencoder.
            An encoder makes the code and a decoder weights of the same INR family from it, trained beside the diffusion
            so that both functions agree.
        code_features: numbers of a code.
        code_noise: standard deviation of noise on codes in training, which the decoder learns to read; codes have
            variance 1.
        encoder: name of the encoder of codes, and its arguments.
        hidden_features: neurons of a hidden layer of decoder and denoiser.
        num_blocks: residual blocks of decoder and denoiser.
        points: random points of the grid at which a step compares functions; 0 for all.
        unknown_share: share of the classes that are hidden from the denoiser, for guidance.
        ema: decay of the moving average of the parameters, which samples are drawn by.
        test_samples: samples of each of `test_draws` draws; 0 for as many as the split has INRs.
        test_draws: draws with seeds of their own; the interval of the Fréchet distance is over them.
        test_steps: evaluations of the denoiser for each sample.
        test_guidance: weight of the class over no class; 1 is none.
        test_baselines: whether a Gaussian of each class is measured beside.
    """

    lr: float = 2e-3
    warmup: int = 200
    weight_decay: float = 1e-4
    validate_every: int = 1000
    of: Of = "weights"
    space: Space = "code"
    code_features: int = 64
    code_noise: float = 0.1
    encoder: dict[str, Any] = field(default_factory=lambda: dict(ENCODER))
    hidden_features: int = 512
    num_blocks: int = 3
    points: int = 256
    unknown_share: float = 0.1
    ema: float = 0.999
    augment: tuple[dict[str, Any], ...] = ()
    test_samples: int = 0
    test_draws: int = 3
    test_steps: int = 50
    test_guidance: float = 1.0
    test_baselines: bool = True

    def __post_init__(self) -> None:
        """See `Task.__post_init__`."""
        super().__post_init__()
        self.require_at_least(1, "code_features", "hidden_features", "num_blocks", "test_draws")
        self.require_at_least(0, "points", "code_noise", "test_guidance")
        self.require("unknown_share", 0 <= self.unknown_share < 1, "at least 0 and below 1")
        self.require("ema", 0 < self.ema < 1, "above 0 and below 1")
        self.require("test_steps", 1 <= self.test_steps <= TIMES, f"from 1 to {TIMES}")
        self.require("test_samples", self.test_samples == 0 or self.test_samples >= 2, "0, or at least 2")
        self.require("precision", self.precision == "float32", "float32: values of INRs need its digits")
        self.require("augment", not self.augment, "none: samples follow the INRs that are learned")

    def begin(self, path: str | Path, device: Device) -> Learner:
        """See `Task.begin`."""
        require_schedulers()
        return _Learner(self, path, device)

    def dataset(self, path: str | Path, split: str | None, views: Sequence[int] | None = None) -> WeightDataset:
        """All INRs of a split, as `WeightTask.dataset`; with their signals if these are generated."""
        dataset = super().dataset(path, split, views)
        if self.of == "weights":
            return dataset
        with_signals = load(path, split=split, views=views, normalise="none", seed=self.seed, signals=True)
        with_signals.rows = dataset.rows
        return with_signals

    def items(self, path: str | Path, split: str) -> WeightDataset:
        """All INRs of a split as the model reads them: not normalised, in canonical form if `inputs` says so."""
        return self.prepared(self.dataset(path, split))

    def evaluate(
        self, path: str | Path, split: str, state: Mapping[str, Tensor], device: Device
    ) -> Sequence[Measurement]:
        """Fréchet distance, recognised classes and memorised INRs: see `quality.Examiner`."""
        require_schedulers()
        training, reported = self.items(path, "train"), self.items(path, split)
        networks = self.networks(training, state, device)
        return networks.examiner(training, self.label_column(training)).report(self, training, reported)

    def networks(self, dataset: WeightDataset, state: Mapping[str, Tensor], device: Device) -> Networks:
        """The trained networks, from the state of the module in a checkpoint."""
        networks = Networks(self, dataset).to(device).eval()
        load_module(networks, state)
        return networks

    def trained(self, dataset: WeightDataset, state: Mapping[str, Tensor], device: Device) -> WeightNetwork:
        """Raise InrzooError: the encoder of codes is of use to its decoder alone."""
        raise InrzooError("a run of generate holds no encoder that can be used alone; autoencode trains one")

    def subject(self, dataset: WeightDataset) -> Subject:
        """What is generated.

        Raises:
            InrzooError: the signals are not on a grid, or of fewer than two classes.
        """
        store = dataset.stores[0]
        coords, column = domain_of(store).coords, self.label_column(dataset)
        if coords is None:
            raise InrzooError(f"generate learns signals on a grid; those of {store.location} have points of their own")
        if len(dataset.label_names[column]) < 2:
            raise InrzooError(f"generate needs classes; the labels {column!r} of {store.location} have one")
        if self.of == "signals":
            return Signals(store.info.grid, dataset.inr.out_features)
        return Weights(dataset.inr, dataset.layout, coords)

    def sampler(self, num_params: int, num_classes: int) -> Sampler:
        """A new sampler of vectors of that many numbers."""
        sizes = Sizes(self.code_features, self.hidden_features, self.num_blocks, num_classes)
        return Sampler(num_params, self.space, sizes)

    def make_encoder(self, subject: Subject, dataset: WeightDataset) -> Encoder | None:
        """A new encoder of codes; None where the diffusion runs on the vectors themselves."""
        if self.space == "weights":
            return None
        if self.of == "weights":
            return make_encoder(self.encoder, subject.layout, dataset.stores[0])
        table = SIGNAL_ENCODER if self.encoder == ENCODER else self.encoder
        if registry.find("encoders", table["name"]).reads == "function":
            raise InrzooError(f"encoder = {table['name']} evaluates INRs; signals need one that reads numbers")
        encoder: Encoder = registry.make("encoders", table, layout=subject.layout)
        return encoder


class _Learner(Learner):
    def __init__(self, task: Generate, path: str | Path, device: Device) -> None:
        self._task, self._device = task, device
        self._training, self._validation = task.items(path, "train"), task.items(path, "validation")
        self._column = task.label_column(self._training)
        if len(self._validation) < 2:
            raise InrzooError(f"generate needs a validation split; that of {path} has fewer than two INRs")
        self.module = self._networks = Networks(task, self._training)
        self._networks.set_statistics(task, self._training)
        self._networks.to(device)
        self._batches = TrainingBatches(self._training, task.batch_size, seed=task.seed)
        store = self._training.stores[0]
        self.identity = {"fingerprint": store.info.fingerprint, "inrs": len(self._training)}
        names = self._training.label_names[self._column]
        axes = [asdict(axis) for axis in store.info.axes]
        self.notes = {**notes_of(store), "label": self._column, "classes": names, "axes": axes}
        self._num_points = math.prod(store.info.grid)

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Loss of the diffusion, and of the reconstruction of functions; see `Learner.loss`."""
        batch, task = self._batches(step).to(self._device), self._task
        points = None
        if 0 < task.points < self._num_points:
            points = torch.randperm(self._num_points, device=self._device)[: task.points]
        subject = self._networks.subject
        diffusion, reconstruction = self._networks.model.losses(
            subject.read(batch), batch.labels[self._column], subject, points, task.unknown_share
        )
        numbers = {"diffusion_loss": float(diffusion.detach()), "reconstruction_loss": float(reconstruction.detach())}
        return diffusion + reconstruction, numbers

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The denoiser, and the autoencoder if there is one: their losses have different scales."""
        model = self._networks.model
        denoiser = list(model.sampler.denoiser.parameters())
        own = {id(parameter) for parameter in denoiser}
        others = [each for each in model.parameters() if each.requires_grad and id(each) not in own]
        groups = [{"params": denoiser, "lr_factor": 1.0}]
        return [*groups, {"params": others, "lr_factor": 1.0}] if others else groups

    def after_step(self) -> None:
        """See `Learner.after_step`."""
        self._networks.average.update_parameters(self._networks.model)

    def validate(self) -> dict[str, float]:
        """Fréchet distance and recognised share of samples, and the PSNR of reconstructed functions."""
        examiner = self._networks.examiner(self._training, self._column)
        validation = evenly(self._validation, VALIDATION_SAMPLES)
        distance, recognised = examiner.validate(validation, VALIDATION_STEPS)
        numbers = {"score": -distance, "validation_frechet": distance, "validation_recognised": recognised}
        if self._task.space == "code":
            numbers["validation_psnr"] = examiner.reconstruction(validation).mean
        return numbers
