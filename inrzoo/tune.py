"""Finds the settings that bring the INRs of a dataset to a PSNR in the fewest steps.

Candidates are fitted by the real engine to signals of the training split. A race by successive halving (Jamieson &
Talwalkar 2016) leaves the best third of them after each round, with three times as many signals; the winners of the
constant rates then race with cosines and faster rates. A candidate's cost is the mean number of steps at which its INRs
stop, so that the result depends on no clock, except where the budget ends the search.
"""

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from inrzoo.errors import InrzooError
from inrzoo.manifest import Manifest
from inrzoo.trials import REACHED, Trial, Trials

RATES = (5e-3, 2e-3, 1e-2, 1e-3, 5e-4, 2e-2)
"""Learning rates, those first that are often best: each candidate has at most twice the steps of the best before it."""
INIT_SCALES = (1.0, 1.5, 2.0)
OMEGA_FACTORS = (1.0, 0.67, 1.5)
"""Factors of the manifest's ω₀."""
COSINE_LENGTHS = (1.5, 2.5, 4.0)
"""Lengths of a cosine, in mean steps of the same settings with a constant rate."""
FASTER = (1.0, 2.0)
"""Factors of the learning rate of a cosine, whose rate falls."""
FIRST_SIGNALS, ROUNDS, KEPT = 32, 3, 3
"""Signals of the first round, number of rounds, and the factor between the rounds."""
FINALISTS = 3
"""Constant rates that race with their cosines."""


@dataclass(frozen=True)
class Tuned:
    """The result of a search.

    Attributes:
        dataset: name of the dataset.
        target_psnr: PSNR in dB.
        own: the manifest's own settings, measured on the signals of the last round.
        ranked: candidates of the last round, the best first; those that reach the PSNR before those that do not.
        complete: whether the search ended before its budget.
    """

    dataset: str
    target_psnr: float
    own: Trial
    ranked: list[Trial]
    complete: bool

    def toml(self) -> str:
        """Return the lines of the best settings for a manifest."""
        best = self.ranked[0]
        lines = []
        for table in ("inr", "fit"):
            keys = {key.split(".")[1]: value for key, value in best.settings.items() if key.startswith(f"{table}.")}
            if keys:
                lines += [f"[{table}]", *(f"{key} = {_toml(value)}" for key, value in keys.items()), ""]
        return "\n".join(lines)


def tune(
    settings: Manifest,
    *,
    source: Path | None = None,
    target_psnr: float = 40.0,
    budget: float = 120.0,
    device: str = "cpu",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tuned:
    """Search for settings with which 99 % of the INRs reach a PSNR in the fewest steps.

    Args:
        settings: definition of the dataset; architecture, grid and value range stay.
        source: local files of the signals.
        target_psnr: in dB.
        budget: seconds after which no further candidate is tried; reading and compiling before the first do not count.
        device: device of the fits.
        on_progress: called with the numbers of candidates tried and of all.

    Raises:
        InrzooError: the dataset cannot be read, or no candidate reaches the PSNR.
    """
    if budget <= 0:
        raise InrzooError(f"--budget {budget:g} is not allowed; it must be above 0 seconds")
    trials = Trials(settings, source, target_psnr, FIRST_SIGNALS * KEPT ** (ROUNDS - 1), device)
    return _Race(trials, budget, on_progress).run()


class _Race:
    def __init__(self, trials: Trials, budget: float, on_progress: Callable[[int, int], None]) -> None:
        self.trials, self.on_progress = trials, on_progress
        self.deadline = time.monotonic() + budget
        self.tried = 0

    def run(self) -> Tuned:
        constant = list(_constant(self.trials.manifest))
        rounds = [FIRST_SIGNALS * KEPT**number for number in range(ROUNDS)]
        total = sum(max(FINALISTS, len(constant) // KEPT**number) for number in range(ROUNDS))
        total += 1 + FINALISTS * len(COSINE_LENGTHS) * len(FASTER)
        racing: list[dict[str, Any]] = constant
        ranked: list[Trial] = []
        for count in rounds:
            ranked = self._round(racing, count, total) or ranked
            racing = [candidate.settings for candidate in ranked[: max(FINALISTS, len(racing) // KEPT)]]
        winners = ranked[:FINALISTS]
        best = min(candidate.mean_steps for candidate in winners)
        cosines = [cosine for winner in winners for cosine in _cosines(winner)]
        ranked = sorted(winners + self._round(cosines, rounds[-1], total, best), key=_rank)
        own = self.trials.measure({}, rounds[-1], self.trials.limit)
        self.on_progress(total, total)
        if ranked[0].reached < REACHED:
            raise InrzooError(
                f"--target-psnr {self.trials.target_psnr:g}: no settings bring 99 % of the INRs there in fit.steps = "
                f"{self.trials.limit}; the best bring {ranked[0].reached:.0%}: allow more with --set fit.steps=N, "
                "or a larger INR"
            )
        ranked = [replace(one, settings=_finished(one)) for one in ranked]
        return Tuned(self.trials.manifest.name, self.trials.target_psnr, own, ranked, time.monotonic() < self.deadline)

    def _round(self, candidates: Iterable[dict[str, Any]], count: int, total: int, best: float = np.inf) -> list[Trial]:
        """Measure candidates on the first `count` signals until the budget ends; return them, the best first."""
        measured: list[Trial] = []
        for settings in candidates:
            if time.monotonic() > self.deadline and measured:
                break
            limit = int(min(self.trials.limit, max(2 * best, 20)))
            measured.append(self.trials.measure(settings, count, settings.get("fit.steps", limit)))
            if measured[-1].reached >= REACHED:
                best = min(best, measured[-1].mean_steps)
            self.tried += 1
            self.on_progress(min(self.tried, total), total)
        return sorted(measured, key=_rank)


def _constant(settings: Manifest) -> Iterable[dict[str, Any]]:
    """Trials with a constant rate; scales and ω₀ only of an INR that has them."""
    own = settings.inr
    scales = [{"inr.init_scale": scale * own["init_scale"]} for scale in INIT_SCALES] if "init_scale" in own else [{}]
    omegas = [{"inr.omega_0": round(f * own["omega_0"], 3)} for f in OMEGA_FACTORS] if "omega_0" in own else [{}]
    for omega, scale, lr in itertools.product(omegas, scales, RATES):
        yield {**scale, **omega, "fit.lr": lr, "fit.schedule": "constant", "fit.warm_up": 0}


def _cosines(winner: Trial) -> Iterable[dict[str, Any]]:
    for length, faster in itertools.product(COSINE_LENGTHS, FASTER):
        steps = int(np.ceil(length * winner.mean_steps))
        lr = faster * winner.settings["fit.lr"]
        yield {**winner.settings, "fit.lr": lr, "fit.schedule": "cosine", "fit.steps": steps}


def _rank(candidate: Trial) -> tuple[bool, float]:
    return candidate.reached < REACHED, candidate.mean_steps


def _finished(candidate: Trial) -> dict[str, Any]:
    """Return the settings with a number of steps that leaves room for INRs that need more than those measured."""
    steps = candidate.settings.get("fit.steps", int(np.ceil(1.5 * candidate.most_steps)))
    return {**candidate.settings, "fit.steps": steps}


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
