"""Training of hypernetworks on posed views: some views of an object come in, its other views are predicted.

TransINR (Chen & Wang 2022) and GINR-IPC (Kim et al. 2023) read the rays and colours of support views as tokens; learned
initialisations (Tancik et al. 2021) take gradient steps on them. Formulas:
docs/derivations/hypernetworks.md#novel-views.

Shape letters: B batch of objects, P numbers of one INR, W held-out views, K pixels of a view, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from inrzoo.augmentations import make_augmentations
from inrzoo.errors import InrzooError
from inrzoo.hypernets import Hypernet, optimise_at_test_time
from inrzoo.hypernets.contract import initial_weights
from inrzoo.hypernets.learned_init import LearnedInit
from inrzoo.hypernets.starts import matched_start, shuffled_start
from inrzoo.tasks.contract import Data, Device, Learner, Task
from inrzoo.tasks.measurements import Measurement, measured_mean
from inrzoo.tasks.signal_tasks import SignalTarget, joined, measured, training_numbers
from inrzoo.tasks.signals import SignalPart, SignalSet
from inrzoo.tasks.views import ViewSet

HELD_OUT = "held_out_psnr"
"""Name of the measure of held-out views, of the observation `rays`."""

Start = Literal["trained", "standard", "matched", "shuffled"]


@dataclass(frozen=True, kw_only=True)
class NovelViews(SignalTarget[Hypernet], Task):
    """A network that maps a few posed views of an object to a radiance field, trained to predict its other views.

    Objects, views, value range and split are those of a dataset or of a store with the observation `rays`. The views of
    an object that others are fitted to are support views, and views that the loss is of; which are which changes from
    epoch to epoch. Its held-out views are what is measured. With `precision` bfloat16 the hypernetwork runs in bfloat16
    and its INRs in float32.

    Attributes:
        hypernet: name of a hypernetwork, and its arguments. Patches have 8 × 8 pixels unless `patch` says otherwise.
        inr: name and fields of the INR that is made; that of the store or dataset by default.
        support_views: numbers of support views, of which each step draws one; the network is validated with the first.
        batch: objects of a step.
        num_rays: rays of each object in a step, drawn at random from all views that are not support views.
        foreground_epochs: epochs at the beginning in which half of the rays are of pixels that are not background.
        augment: augmentations of training objects, of support views and others alike: `turn step=90 axis=2`; repeat the
            option for several, in this order.
        validation_signals: number of objects that decide which checkpoint is the best.
        test_signals: number of objects that are measured, spread evenly over the split; all by default.
        test_support_views: numbers of support views to measure with.
        test_tto_steps: steps of test-time optimisation, whose result is measured too; 0 for none.
        test_tto_lr: learning rate of test-time optimisation.
        test_tto_part: test-time optimisation changes `all` weights, or the `instance` part alone.
        test_tto_rays: rays of the support views in a step of test-time optimisation; all if there are fewer.
        test_start: what a `learned_init` is measured from: its `trained` start, or as a baseline, and without inner
            steps, a `standard` random one, one `matched` to the values of the trained start, or the numbers of the
            trained start `shuffled` within each tensor.
    """

    casts: ClassVar[bool] = True

    lr: float = 1e-4
    hypernet: dict[str, Any] = field(default_factory=lambda: {"name": "trans_inr"})
    inr: dict[str, Any] = field(default_factory=dict)
    support_views: tuple[int, ...] = (1,)
    batch: int = 32
    num_rays: int = 128
    foreground_epochs: int = 1
    augment: tuple[dict[str, Any], ...] = ()
    validation_signals: int = 64
    test_signals: int | None = None
    test_support_views: tuple[int, ...] = (1, 2, 3, 4, 5)
    test_tto_steps: int = 100
    test_tto_lr: float = 1e-4
    test_tto_part: Literal["all", "instance"] = "all"
    test_tto_rays: int = 1024
    test_start: Start = "trained"

    def __post_init__(self) -> None:
        """See `Task.__post_init__`."""
        super().__post_init__()
        self.require_at_least(1, "batch", "num_rays", "validation_signals", "test_tto_rays")
        self.require_at_least(0, "foreground_epochs", "test_tto_steps")
        self.require("test_signals", self.test_signals is None or self.test_signals >= 1, "at least 1")
        for key in ("support_views", "test_support_views"):
            self.require(key, min(getattr(self, key), default=0) >= 1, "one number or more, each at least 1")
        self.require("test_tto_lr", self.test_tto_lr > 0, "above 0")
        self.require("precision", not (self.precision == "bfloat16" and self.is_reptile), "float32 with reptile")
        is_start = self.test_start == "trained" or self.hypernet.get("name") == "learned_init"
        self.require("test_start", is_start, "trained, unless the hypernetwork is learned_init")

    @property
    def is_reptile(self) -> bool:
        """Whether the hypernetwork is learned by Reptile, which has no loss of other views."""
        return self.hypernet.get("algorithm") == "reptile"

    def conventions(self, path: Data) -> dict[str, Any]:
        """See `SignalTarget.conventions`; the number of views is free, only their size counts."""
        known = super().conventions(path)
        return {**known, "grid": known["grid"][1:]}

    def network(self, signals: SignalSet) -> Hypernet:
        """An untrained hypernetwork for these views."""
        return self.made(signals)

    def begin(self, path: Data, device: Device) -> Learner:
        """See `Task.begin`."""
        return _Learner(self, path, device)

    def evaluate(self, path: Data, split: str, state: Mapping[str, Tensor], device: Device) -> Sequence[Measurement]:
        """Means of `of_each_signal` over the objects of a split."""
        return [measured_mean(name, each_N) for name, each_N in self.of_each_signal(path, split, state, device).items()]

    def of_each_signal(self, path: Data, split: str, state: Mapping[str, Tensor], device: Device) -> dict[str, Tensor]:
        """PSNR in dB of the held-out views of each object of a split, mean over its views, (N,), for each number of
        support views, before and after test-time optimisation. Arguments are those of `evaluate`.
        """
        signals, network = self.restored(path, split, state, device)
        views = ViewSet(signals=signals)
        require_views("test_support_views", self.test_support_views, views, most=views.num_views)
        self._set_start(network, signals)
        found: dict[str, list[Tensor]] = {}
        for part in views.parts(self.test_signals):
            for count in self.test_support_views:
                given = part.given(count, device)
                for stage, weights_BP in self.stages(network, given).items():
                    decibels_B = measured(network, weights_BP, given, signals)[HELD_OUT]
                    found.setdefault(f"PSNR, {count} view{'s' * (count > 1)}{stage}", []).append(decibels_B)
        return {name: torch.cat(parts) for name, parts in found.items()}

    def stages(self, network: Hypernet, given: SignalPart) -> dict[str, Tensor]:
        """Weights (B, P) of objects, as the network makes them of support views and after test-time optimisation.

        Returns:
            The weights by what is added to the name of a measurement.
        """
        with torch.no_grad():
            weights = {"": network(given.where, given.values)}
        if self.test_tto_steps:
            weights[f", {self.test_tto_steps} steps on {self.test_tto_part}"] = optimise_at_test_time(
                network,
                given.where,
                given.values,
                steps=self.test_tto_steps,
                lr=self.test_tto_lr,
                part=self.test_tto_part,
                num_coords=min(self.test_tto_rays, given.values.shape[1]),
            )
        return weights

    def _set_start(self, network: Hypernet, signals: SignalSet) -> None:
        """Give a learned initialisation the start of a baseline."""
        if self.test_start == "trained":
            return
        assert isinstance(network, LearnedInit), "`__post_init__` refuses others"
        start_P = network.start.detach()
        if self.test_start == "standard":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                other_P = initial_weights(network.inr)
        elif self.test_start == "matched":
            other_P = matched_start(network.inr, start_P, self.seed, extent=signals.extent)
        else:
            other_P = shuffled_start(network.inr, start_P, self.seed)
        with torch.no_grad():
            network.start.copy_(other_P)
        network.inner_steps = 0


def require_views(key: str, numbers: Sequence[int], views: ViewSet, *, most: int) -> None:
    """Raise the one-line error if a number of support views is above `most`."""
    if max(numbers) > most:
        raise InrzooError(
            f"{key} = {max(numbers)} is not allowed; the objects have {views.num_views} views, of which {most} can be "
            "support views"
        )


class _Learner(Learner):
    def __init__(self, task: NovelViews, path: Data, device: Device) -> None:
        self._task, self._device = task, torch.device(device)
        training, self._validation = (
            ViewSet(signals=task.signals(path, split), seed=task.seed) for split in ("train", "validation")
        )
        # Reptile learns from the views that it takes its steps on; the others need one more.
        most = training.num_views - (not task.is_reptile)
        require_views("support_views", task.support_views, training, most=most)
        self._signals, self._batches = training.signals, training.batches(task.batch)
        self._augmentations = make_augmentations(task.augment, self._signals.kind()) if task.augment else ()
        self.module = self._network = task.network(self._signals).to(device)
        self.identity = self._signals.identity

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean loss of a batch of objects, which `step` decides; see `Learner.loss`."""
        task, batch, numbers = self._task, self._batches(step), self._task.support_views
        num_support = numbers[int(torch.randint(len(numbers), ()))]
        support = batch.support(num_support)
        if task.is_reptile:  # its loss is not a reconstruction error
            ((rays, values),) = batch.augmented(self._augmentations, support)
            return self._network.loss(rays.to(self._device), values.to(self._device)).mean(), {}
        others = batch.drawn(num_support, task.num_rays, foreground=batch.epoch < task.foreground_epochs)
        parts = batch.augmented(self._augmentations, support, others)
        (rays, values), (other_rays, other_values) = ([each.to(self._device) for each in part] for part in parts)
        with task.autocast(self._network, self._device):
            weights_BP = self._network(rays, values)
        losses_B = self._network.reconstruction_loss(weights_BP.float(), other_rays, other_values)
        return losses_B.mean(), training_numbers(losses_B, self._signals)

    def validate(self) -> dict[str, float]:
        """PSNR of held-out views of the same objects every time, by the first number of support views."""
        qualities = []
        for part in self._validation.parts(self._task.validation_signals):
            given = part.given(self._task.support_views[0], self._device)
            weights_BP = self._network(given.where, given.values)
            qualities.append(measured(self._network, weights_BP, given, self._validation.signals))
        score = float(joined(qualities)[HELD_OUT].mean())
        return {"score": score, "validation_psnr": score}
