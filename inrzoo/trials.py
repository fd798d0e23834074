"""Trials of settings: how many steps, and how long, the INRs of a dataset take to a PSNR.

The settings are tried on training signals by the real engine. `tune` searches among them, `bench --target-psnr`
compares.

Shape letters: B INRs, P parameters of one INR, K coordinates, C channels.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from inrzoo import manifest
from inrzoo.builder.preparation import Request, resolve, signal_table
from inrzoo.builder.worker import fit_to, random_draws, subset_keys
from inrzoo.errors import InrzooError
from inrzoo.fit import engine
from inrzoo.manifest import Manifest
from inrzoo.seeding import Stream
from inrzoo.sources import Signals
from inrzoo.targets import Targets

REACHED = 0.99
"""Share of the INRs that must reach the PSNR."""


@dataclass(frozen=True)
class Trial:
    """Settings and their measured cost.

    Attributes:
        settings: dotted manifest keys and values.
        num_inrs: number of INRs fitted in the last round.
        mean_steps: mean number of steps; an INR that does not reach the PSNR counts twice its limit.
        most_steps: the 99 % quantile.
        reached: share of the INRs that reached the PSNR.
        seconds: wall time of the last round.
    """

    settings: dict[str, Any]
    num_inrs: int
    mean_steps: float
    most_steps: float
    reached: float
    seconds: float

    @property
    def inrs_per_second(self) -> float:
        """INRs fitted a second, by all threads of the engine."""
        return self.num_inrs / self.seconds


class Trials:
    """A dataset's training signals, on which settings are tried.

    Attributes:
        manifest: the dataset's own settings, with the engine that fits.
        num_signals: number of signals of the whole dataset.
        limit: step count of the dataset's own fits.
    """

    def __init__(self, settings: Manifest, source: Path | None, target_psnr: float, count: int, device: str) -> None:
        """Read the signals and make the engine ready.

        Args:
            settings: definition of the dataset.
            source: local files of the signals.
            target_psnr: PSNR in dB at which fits stop.
            count: maximum number of signals.
            device: device of the fits.

        Raises:
            InrzooError: the dataset cannot be read.
        """
        fit = replace(settings.fit, stop_psnr=target_psnr, views=(), stop_views=False)
        signals, self.inr, self.manifest = resolve(
            Request(replace(settings, fit=fit), Path("trials.zarr"), source, device=device)
        )
        self.target_psnr, self.device, self.grid = target_psnr, device, signals.grid
        self.limit, self.num_signals = settings.fit.steps, len(signals)
        self.ids, self.targets = _training_signals(signals, self.manifest, count)
        self.engine = engine(self.manifest.fit.engine)
        self.threads = len(os.sched_getaffinity(0)) if self.engine.THREADED else 1

    def measure(self, settings: Mapping[str, Any], count: int, limit: int) -> Trial:
        """Fit the first `count` signals with dotted manifest keys laid over the dataset's own, for `limit` steps."""
        count = min(count, len(self.ids))
        made = manifest.load(self.manifest, None, {**settings, "fit.steps": limit})
        inr = replace(self.inr, **{key[4:]: value for key, value in settings.items() if key.startswith("inr.")})
        ids = self.ids[:count]
        starts_BP, keys_B = random_draws(inr, made.name, 0, ids), subset_keys(made, 0, ids)
        self.engine.prepare(inr)
        begun = time.monotonic()
        targets = self.targets.take(count)
        fitted = fit_to(inr, starts_BP, targets, made, self.grid, self.device, self.threads, keys_B)
        seconds = time.monotonic() - begun
        reached_B = (fitted.psnr_BT[:, -1] >= self.target_psnr).cpu().numpy()
        steps_B = np.where(reached_B, fitted.steps_BT[:, -1].cpu().numpy(), 2 * limit)
        return Trial(
            dict(settings),
            count,
            float(steps_B.mean()),
            float(np.quantile(steps_B, REACHED)),
            float(reached_B.mean()),
            seconds,
        )

    def compare(
        self,
        ways: Mapping[str, Mapping[str, Any]],
        count: int,
        rounds: int,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> "Comparison":
        """Fit the first `count` signals in several ways, which take turns; arguments as of the function `compare`."""
        samples: dict[str, list[Trial]] = {name: [] for name in ways}
        for number in range(rounds):
            for position, (name, keys) in enumerate(ways.items(), start=1):
                keys = {**keys, "fit.stop_psnr": self.target_psnr}
                samples[name].append(self.measure(keys, count, keys.get("fit.steps", self.limit)))
                on_progress(number * len(ways) + position, rounds * len(ways))
        return Comparison(
            dataset=self.manifest.name,
            num_signals=self.num_signals,
            target_psnr=self.target_psnr,
            threads=self.threads,
            trials={
                name: replace(taken[0], seconds=float(np.median([one.seconds for one in taken])))
                for name, taken in samples.items()
            },
        )


@dataclass(frozen=True)
class Comparison:
    """Ways to fit one dataset to one PSNR.

    Attributes:
        dataset: name of the dataset.
        num_signals: number of its signals.
        target_psnr: PSNR in dB at which fits stop.
        threads: number of threads that fitted.
        trials: name of the settings to their trial; seconds are the median of the rounds.
    """

    dataset: str
    num_signals: int
    target_psnr: float
    threads: int
    trials: dict[str, Trial]


def compare(
    settings: Manifest,
    ways: Mapping[str, Mapping[str, Any]],
    *,
    source: Path | None = None,
    target_psnr: float = 40.0,
    count: int = 256,
    rounds: int = 3,
    device: str = "cpu",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Fit the same signals to a PSNR in several ways, which take turns.

    Args:
        settings: definition of the dataset.
        ways: name to the dotted manifest keys that are laid over the dataset's own.
        source: local files of the signals.
        target_psnr: in dB.
        count: maximum number of signals.
        rounds: samples of each.
        device: device of the fits.
        on_progress: called with the numbers of finished and of all samples.

    Raises:
        InrzooError: the dataset cannot be read, or a count is below 1.
    """
    if rounds < 1 or count < 1:
        raise InrzooError(f"--rounds {rounds}, --signals {count} are not allowed; both must be at least 1")
    return Trials(settings, source, target_psnr, count, device).compare(ways, count, rounds, on_progress)


def _training_signals(signals: Signals, settings: Manifest, count: int) -> tuple[list[str], Targets]:
    """Return ids and targets of training signals, an even share of every class in random order."""
    training = signals.take(np.flatnonzero(signals.split == signals.split_names.index("train"))).limit(count)
    order = Stream("tune", "", 0).shuffle(len(training))
    return [training.ids[row] for row in order], signal_table(training, settings, order.tolist()).targets()
