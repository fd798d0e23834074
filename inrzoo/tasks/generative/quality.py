"""How good samples are: near the INRs of a split, recognised as their class, and no copies of the training split.
Formulas: docs/derivations/generation.md#quality.

Shape letters: B items, N of a split, P numbers of one item, K coordinates, C channels, F features.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from inrzoo.loaders import WeightDataset
from inrzoo.tasks.generative.frechet import Normal, frechet_distance
from inrzoo.tasks.generative.gaussian import ClassGaussians
from inrzoo.tasks.generative.generator import GenerativeModel
from inrzoo.tasks.generative.judges import Judge
from inrzoo.tasks.generative.nearest import nearest_distances
from inrzoo.tasks.generative.subjects import Subject
from inrzoo.tasks.measurements import Measurement, measured_mean, measured_share, over_runs
from inrzoo.tasks.training.batches import in_order

if TYPE_CHECKING:
    from inrzoo.tasks.generate import Generate

LOG = logging.getLogger("inrzoo.tasks")
ROWS_AT_ONCE = 500
"""Items that are made and rendered at once."""
COMPARED = 2000
"""Samples, and INRs of the reported split, whose nearest training INR is looked for."""
COPY_QUANTILE = 0.01
"""A sample counts as a copy if it is nearer to a training INR than all but this share of the reported split are."""
COMPONENTS = (50, 100, 200, 400)
"""Candidates for the number of principal components of the Gaussian baseline, beside all."""


@dataclass(frozen=True)
class Examiner:
    """Measures samples of a generative model, and those of the baselines in the same way.

    Attributes:
        model: whose samples are measured.
        subject: evaluates them.
        features: its features are compared by the Fréchet distance.
        classes: the independent classifier.
        column: name of the label column.
    """

    model: GenerativeModel
    subject: Subject
    features: Judge
    classes: Judge
    column: str

    @property
    def device(self) -> torch.device:
        """Return the device of the networks."""
        return self.model.sampler.mean.device

    # --- what is compared --------------------------------------------------------------------------------------

    @torch.no_grad()
    def samples(self, label: Tensor, steps: int, guidance: float, seed: int) -> Tensor:
        """Vectors (B, P) of classes (B,), on the CPU."""
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(len(label), self.model.sampler.features, generator=generator)
        pairs = zip(noise.split(ROWS_AT_ONCE), label.split(ROWS_AT_ONCE), strict=True)
        return torch.cat([
            self.model.sampler(part.to(self.device), classes.to(self.device), steps, guidance).cpu()
            for part, classes in pairs
        ])  # fmt: skip

    @torch.no_grad()
    def values(self, vectors: Tensor) -> Iterator[Tensor]:
        """Yield what vectors (B, P) say, in parts (·, K, C), on the device."""
        for part in vectors.split(ROWS_AT_ONCE):
            yield self.subject.values(part.to(self.device))

    @torch.no_grad()
    def values_of(self, dataset: WeightDataset) -> Iterator[Tensor]:
        """Yield what the INRs of a dataset say, in parts (·, K, C), on the device."""
        for batch in in_order(dataset, ROWS_AT_ONCE):
            yield self.subject.values(self.subject.read(batch.to(self.device)))

    def labels_of(self, dataset: WeightDataset) -> Tensor:
        """Classes (N,) of the INRs of a dataset."""
        return torch.from_numpy(dataset.labels[self.column][signals_of(dataset)])

    # --- measures ----------------------------------------------------------------------------------------------

    def validate(self, split: WeightDataset, steps: int) -> tuple[float, float]:
        """Fréchet distance of as many samples as a split has INRs to these, and the share that `features` recognises.

        The independent classifier stays out: the best checkpoint is chosen by these numbers.
        """
        label = self.labels_of(split)
        vectors = self.samples(label, steps, 1.0, seed=0)
        reference = Normal.of(self.features.features_of(self.values_of(split)))
        features, classes = self._judged(vectors, self.features)
        return frechet_distance(Normal.of(features), reference), float((classes == label).double().mean())

    @torch.no_grad()
    def reconstruction(self, split: WeightDataset) -> Measurement:
        """PSNR in dB of functions that are coded and decoded, beside those of the INRs themselves."""
        low, high = split.stores[0].value_range
        parts = []
        for batch in in_order(split, ROWS_AT_ONCE):
            vectors = self.subject.read(batch.to(self.device))
            decoded = self.model.sampler.decode(self.model.encode(vectors))
            errors = (self.subject.values(decoded) - self.subject.values(vectors)).square().mean(dim=(1, 2))
            parts.append(10 * torch.log10((high - low) ** 2 / errors).cpu())
        return measured_mean("reconstruction PSNR", torch.cat(parts))

    def report(self, task: Generate, training: WeightDataset, reported: WeightDataset) -> list[Measurement]:
        """All measurements; see docs/generation.md for what they mean.

        Args:
            task: says how much is drawn, and how.
            training, reported: the training split, and the one that is reported.
        """
        count = task.test_samples or len(reported)
        reference = Normal.of(self.features.features_of(self.values_of(reported)))
        label = self.labels_of(reported)[torch.arange(count) * len(reported) // count]  # classes as often as there
        draws = [
            self.samples(label, task.test_steps, task.test_guidance, seed) for seed in range(1, task.test_draws + 1)
        ]
        results = self._beside(draws, label, reference, "")
        results.append(self._recognised(reported, "recognised, INRs of the split"))
        learned = Normal.of(self.features.features_of(self.values_of(evenly(training, count))))
        floor = frechet_distance(learned, reference)
        results.append(Measurement("Fréchet distance, training INRs", floor, math.inf, 1))
        if self.model.encoder is not None:
            results.append(self.reconstruction(reported))
        results += self._memorised(draws[0][:COMPARED], training, evenly(reported, COMPARED))
        if task.test_baselines:
            results += self._baselines(task, training, label, reference)
        return results

    def _beside(self, draws: Sequence[Tensor], label: Tensor, reference: Normal, name: str) -> list[Measurement]:
        """Fréchet distance and recognised share of several draws of vectors (B, P)."""
        distances, right, called = [], [], f"Fréchet distance{name}"
        for vectors in draws:
            features, classes = self._judged(vectors, self.classes)
            distance = frechet_distance(Normal.of(features), reference)
            distances.append({called: Measurement(called, distance, 0.0, len(vectors))})
            right.append(classes == label)
        return [over_runs(distances)[called], measured_share(f"recognised{name}", torch.cat(right))]

    @torch.no_grad()
    def _judged(self, vectors: Tensor, classifier: Judge) -> tuple[Tensor, Tensor]:
        """Return features (B, F), and classes (B,) by a classifier, of vectors (B, P), which are rendered once."""
        pairs = [
            (self.features.features(part).cpu(), classifier(part).argmax(1).cpu()) for part in self.values(vectors)
        ]
        features, classes = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        return features, classes

    def _recognised(self, dataset: WeightDataset, name: str) -> Measurement:
        return measured_share(name, self.classes.classes_of(self.values_of(dataset)) == self.labels_of(dataset))

    def _memorised(self, vectors: Tensor, training: WeightDataset, held_out: WeightDataset) -> list[Measurement]:
        """How near samples come to training INRs, beside how near INRs come that were held out.

        Held-out INRs that were coded and decoded are a control: whatever the decoder smooths, it smooths in them, too.
        """
        groups = {"": list(self.values(vectors)), "held out": list(self.values_of(held_out))}
        if self.model.encoder is not None:
            groups[", held-out INRs decoded"] = list(self._decoded(held_out))
        queries = [torch.cat([part.flatten(1).cpu() for part in parts]) for parts in groups.values()]
        others = (part.flatten(1).cpu() for part in self.values_of(training))
        distance = nearest_distances(torch.cat(queries), others, 1)[0][:, 0]
        by_name = dict(zip(groups, distance.split([len(each) for each in queries]), strict=True))
        theirs = by_name.pop("held out").sort().values
        results = []
        for name, ours in by_name.items():
            nearer = 1 - torch.searchsorted(theirs, ours, right=True) / len(
                theirs
            )  # share of held-out INRs farther off
            results += [
                measured_share(
                    f"copies ({COPY_QUANTILE:.0%} of new INRs are){name}", ours < theirs.quantile(COPY_QUANTILE)
                ),
                _percent(measured_mean(f"nearer to training than held-out INRs{name}", nearer)),
            ]
        return results

    @torch.no_grad()
    def _decoded(self, dataset: WeightDataset) -> Iterator[Tensor]:
        """Yield what INRs say after they were coded and decoded, in parts (·, K, C), on the device."""
        for batch in in_order(dataset, ROWS_AT_ONCE):
            yield self.subject.values(
                self.model.sampler.decode(self.model.encode(self.subject.read(batch.to(self.device))))
            )

    def _baselines(
        self, task: Generate, training: WeightDataset, label: Tensor, reference: Normal
    ) -> list[Measurement]:
        """A Gaussian of each class over principal components; their number is chosen on the validation split."""
        num_params = self.subject.layout.num_params
        num_classes = self.model.sampler.denoiser.unknown_class
        if not ClassGaussians.fits(num_params, num_classes):
            LOG.warning("no Gaussian baseline: covariances of %d numbers and %d classes", num_params, num_classes)
            return []
        batches = in_order(training, ROWS_AT_ONCE)
        parts = ((self.subject.read(batch), batch.labels[self.column]) for batch in batches)
        gaussians = ClassGaussians.of(parts, num_params, num_classes, self.model.sampler.mean.cpu())
        validation = task.items(training.stores[0].location, "validation")
        near = Normal.of(self.features.features_of(self.values_of(validation)))
        labels = self.labels_of(validation)
        candidates = [*(each for each in COMPONENTS if each < num_params), num_params]
        errors = {}
        for components in candidates:
            drawn = self.features.features_of(self.values(gaussians.sample(labels, components, seed=0)))
            errors[components] = frechet_distance(Normal.of(drawn), near)
        best = min(candidates, key=lambda each: errors[each])
        results = []
        for components in dict.fromkeys((best, num_params)):
            draws = [gaussians.sample(label, components, seed) for seed in range(1, task.test_draws + 1)]
            name = "all" if components == num_params else str(components)
            results += self._beside(draws, label, reference, f", Gaussian of {name} components")
        return results


def _percent(measurement: Measurement) -> Measurement:
    return Measurement(measurement.name, 100 * measurement.mean, 100 * measurement.interval, measurement.trials)


def signals_of(dataset: WeightDataset) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the numbers of the signals of the INRs of a dataset, (N,)."""
    return dataset.rows.signals(dataset.rows.locations(np.arange(len(dataset))))


def evenly(dataset: WeightDataset, count: int) -> WeightDataset:
    """Return at most that many INRs of a dataset, spread evenly over it."""
    return dataset.subset(np.unique(np.linspace(0, len(dataset) - 1, count).astype(np.int64)))
