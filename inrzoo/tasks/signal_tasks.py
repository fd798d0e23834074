"""What tasks that learn from signals share: the INRs that they make, their network, and its measurement.

Shape letters: B signals, P numbers of one INR, K points of a signal, C channels.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from inrzoo import registry
from inrzoo.comparisons import LOGITS, comparisons, quality
from inrzoo.errors import InrzooError
from inrzoo.fit.metrics import psnr
from inrzoo.hypernets import Hypernet
from inrzoo.inrs import INR
from inrzoo.nearest import among
from inrzoo.tasks.contract import Data, Device
from inrzoo.tasks.signals import SignalPart, SignalSet, signal_set
from inrzoo.tasks.training.state import load_module

Network_co = TypeVar("Network_co", bound=Hypernet, covariant=True)


class SignalTarget(ABC, Generic[Network_co]):
    """Mixed into a task that learns from signals and whose field `inr` names the INRs that it makes.

    An empty `inr` stands for the INR that the store or the dataset has.
    """

    reads_signals: ClassVar[bool] = True
    augment_kind: ClassVar[str] = "augmentations"
    inr: dict[str, Any]
    hypernet: dict[str, Any]

    def target(self, signals: SignalSet) -> INR:
        """The INR whose weights are made: that of the signals, unless `inr` names one.

        Frequencies that are a fraction of the grid's Nyquist frequency need not be told it, as in a build.
        """
        stored = signals.inr
        if not self.inr:
            return stored
        runtime: dict[str, Any] = {"in_features": stored.in_features, "out_features": stored.out_features}
        # Of other INRs checkpoints record no Nyquist frequency.
        wanted = self.inr.get("filter_init") == "nyquist_fraction" and "nyquist" not in self.inr
        if wanted and signals.coords is not None:
            runtime["nyquist"] = math.pi / float(grid_spacing(signals).max())
        inr: INR = registry.make("inrs", self.inr, **runtime)
        return inr

    def conventions(self, path: Data) -> dict[str, Any]:
        """See `Task.conventions`: the INRs that the network makes, and grid and scale of the signals that it reads."""
        signals = signal_set(path, "train")
        target = self.target(signals)
        inr = {"name": registry.name_of("inrs", type(target)), **asdict(target)}
        return {"inr": inr, "grid": list(signals.grid), **signals.conventions}

    @abstractmethod
    def network(self, signals: SignalSet) -> Network_co:
        """An untrained network for these signals."""

    def restored(
        self, path: Data, split: str, state: Mapping[str, Tensor], device: Device
    ) -> tuple[SignalSet, Network_co]:
        """Signals of a split, and the trained network, from the state of the module in a checkpoint."""
        signals = self.signals(path, split)
        network = self.network(signals).to(device).eval()
        load_module(network, state)
        return signals, network

    def made(self, signals: SignalSet, **runtime: Any) -> Network_co:
        """Make the network that `hypernet` names, untrained; it compares INRs with signals by their observation.

        Args:
            signals: what it is to be trained on.
            **runtime: further arguments that the data give.

        Raises:
            InrzooError: it reads grids, and signals have points in no order; or an argument is not allowed.
        """
        if registry.find("hypernets", self.hypernet["name"]).needs_grid and not signals.observation.on_grid:
            raise InrzooError(
                f"hypernet.name = {self.hypernet['name']} cuts signals on a grid into patches, and these have points "
                "of their own; learned_init, cavia and functa take points"
            )
        sizes = signals.observation.picture_sizes(signals.grid)
        runtime |= {"inr": self.target(signals), "sizes": sizes, "views": sizes != signals.grid}
        network: Network_co = registry.make("hypernets", self.hypernet, **runtime)
        network.compare_by(signals.observer, signals.loss_name)
        return network

    def signals(self, path: Data, split: str) -> SignalSet:
        """Each signal of a split once; see `signal_set`."""
        return signal_set(path, split)


def grid_spacing(signals: SignalSet) -> Tensor:
    """Distance of neighbouring points of the grid along each coordinate, (D,); 0 along an axis of one point.

    Raises:
        InrzooError: signals have points or views of their own.
    """
    if signals.coords is None:
        raise InrzooError("coord_noise is in steps of a grid; these signals have points or views of their own")
    distinct = [axis.unique() for axis in signals.coords.T]
    return torch.stack([(axis[-1] - axis[0]) / max(len(axis) - 1, 1) for axis in distinct])


def label_column(signals: SignalSet, name: str | None) -> str:
    """Return the name of a label column; the first one if `name` is None.

    Raises:
        InrzooError: the signals have no such column.
    """
    names = list(signals.label_names)
    if not names or (name is not None and name not in names):
        raise InrzooError(f"label = {name!r} is no label column of the signals{among(name, names)}")
    return name or names[0]


def measured(network: Hypernet, weights: Tensor, part: SignalPart, signals: SignalSet) -> dict[str, Tensor]:
    """Quality of the INRs, (B, P), that a network made of signals: numbers (B,) by name; see `quality`."""

    def evaluate(_: INR, weights_BP: Tensor, where: Tensor) -> Tensor:
        values: Tensor = network.inr(weights_BP, where)
        return values

    compared = comparisons(signals, part.targets, weights[:, None], evaluate)
    return joined([quality(signals.observation, fitted, held_out) for _, fitted, held_out in compared])


def joined(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The numbers of all signals by name, from those of parts of them."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def training_numbers(losses_B: Tensor, signals: SignalSet) -> dict[str, float]:
    """Mean PSNR of the losses of a training step, dB; nothing of logits."""
    if signals.loss_name == LOGITS:
        return {}
    return {"psnr": float(psnr(losses_B.detach(), signals.value_range).mean())}


def validation_numbers(qualities: Mapping[str, Tensor]) -> dict[str, float]:
    """Means of what `measured` returns, as `Learner.validate` reports them; `score` is the PSNR, or minus the loss."""
    means = {f"validation_{name.lower()}": float(each_N.mean()) for name, each_N in qualities.items()}
    score = means["validation_psnr"] if "validation_psnr" in means else -means["validation_loss"]
    return {"score": score, **means}
