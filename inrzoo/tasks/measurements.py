"""Measured means and their 95 % confidence intervals.
Formulas: docs/derivations/contrastive.md#evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.extras import needed

Z_95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True)
class Measurement:
    """A mean over many trials.

    Attributes:
        name: what was measured, e.g. `5-way 1-shot`.
        mean: of the trials.
        interval: half the width of its 95 % confidence interval.
        trials: number of trials.
    """

    name: str
    mean: float
    interval: float
    trials: int

    @property
    def text(self) -> str:
        """Mean and interval with two decimals; below 0.1, with so many that the interval has two digits.

        Example:
            >>> Measurement("accuracy", 91.234, 0.5, 100).text, Measurement("MSE", 0.00414, 0.00004, 100).text
            (' 91.23 ± 0.50', '0.004140 ± 0.000040')
        """
        places, size = 2, self.interval if 0 < self.interval < math.inf else abs(self.mean)
        if 0 < abs(self.mean) < 0.1:
            places = max(2, 1 - math.floor(math.log10(size)))
        return f"{self.mean:6.{places}f} ± {self.interval:.{places}f}"


def measured_mean(name: str, values: Tensor) -> Measurement:
    """Mean of independent values, (n,), with the interval that few-shot papers give over episodes: 1.96 s/√n.

    s² is the sample variance (divided by n − 1). The interval of one value is infinite.

    Example:
        >>> measured_mean("accuracy", torch.tensor([1.0, 2.0, 3.0])).mean
        2.0
    """
    exact, count = values.double(), len(values)
    interval = Z_95 * float(exact.std(correction=1)) / math.sqrt(count) if count > 1 else math.inf
    return Measurement(name, float(exact.mean()), interval, count)


def over_seeds_and_signals(name: str, values: Tensor) -> Measurement:
    """Mean of numbers (S, N) of the same N signals by S trainings, with a 95 % interval over both.

    The interval is √(a² + b²): a is Student's over the means of the S trainings, b the normal one over the means of the
    N signals. What a training does to a single signal counts in both, so that it is rather too wide than too narrow.
    The interval of one training is over the signals alone.

    Example:
        >>> over_seeds_and_signals("PSNR", torch.tensor([[1.0, 3.0], [2.0, 4.0]])).mean
        2.5
    """
    of_signals = measured_mean(name, values.double().mean(dim=0))
    if len(values) == 1:
        return of_signals
    runs = [{name: Measurement(name, float(row.double().mean()), 0.0, 1)} for row in values]
    interval = math.hypot(over_runs(runs)[name].interval, of_signals.interval)
    return Measurement(name, of_signals.mean, interval, values.numel())


def measured_share(name: str, is_right: Tensor) -> Measurement:
    """Share of True in (n,), in percent, with the normal 95 % interval of a binomial share.

    Example:
        >>> measured_share("accuracy", torch.tensor([True, True, False, True])).mean
        75.0
    """
    share, count = float(is_right.double().mean()), len(is_right)
    return Measurement(name, 100 * share, 196 * math.sqrt(share * (1 - share) / count), count)


def measured_r2(name: str, predicted: Tensor, truth: Tensor) -> Measurement:
    """R², the share of the variance of `truth` that `predicted` explains, in percent; both (n,).

    R² = 1 − Σ(truth − predicted)² / Σ(truth − mean)². The mean of `truth` as every answer has 0, a worse answer less.

    Raises:
        InrzooError: `truth` is constant, so that R² is not defined.

    Example:
        >>> measured_r2("R²", torch.tensor([1.0, 2.0, 3.5]), torch.tensor([1.0, 2.0, 3.0])).mean
        87.5
    """
    exact = truth.double()
    errors, deviations = (predicted.double() - exact).square(), (exact - exact.mean()).square()
    if not float(deviations.mean()) > 0:
        raise InrzooError(f"{name} is not defined: the number is the same for all {len(exact)} INRs")
    return measured_removal(name, errors, deviations)


def measured_removal(name: str, errors: Tensor, before: Tensor) -> Measurement:
    """Share of the errors `before` that is not in `errors` any more, 1 − Σ errors / Σ before, in percent; both (n,).

    The interval is the delta method's for 1 − A/B, a ratio of two means: 1.96 s/(B √n), where s² is the sample variance
    of a − (A/B) b, and a and b are the terms of the two sums.

    Example:
        >>> measured_removal("error removed", torch.tensor([1.0, 0.0]), torch.tensor([2.0, 2.0])).mean
        75.0
    """
    after, first, count = errors.double(), before.double(), len(errors)
    ratio = float(after.mean()) / float(first.mean())
    spread = float((after - ratio * first).std(correction=1))
    return Measurement(name, 100 * (1 - ratio), 100 * Z_95 * spread / (float(first.mean()) * math.sqrt(count)), count)


def over_runs(runs: Sequence[Mapping[str, Measurement]]) -> dict[str, Measurement]:
    """The mean of each measurement over runs that differ in their seed, and the 95 % interval of that mean.

    The interval is Student's, t s/√n with n − 1 degrees of freedom and s² the sample variance, because a few runs say
    little about their own spread. The interval of one run is infinite.
    """
    with needed("train", "the interval of several runs"):
        from scipy.stats import t as student

    measurements = {}
    for name in runs[0]:
        means = torch.tensor([run[name].mean for run in runs], dtype=torch.float64)
        count = len(means)
        interval = math.inf
        if count > 1:
            interval = float(student.ppf(0.975, count - 1)) * float(means.std(correction=1)) / math.sqrt(count)
        measurements[name] = Measurement(name, float(means.mean()), interval, count)
    return measurements


def paired_difference(first: Sequence[Measurement], second: Sequence[Measurement]) -> Measurement:
    """Mean of `first` minus `second`, run by run, with Student's 95 % interval over runs.

    What the two runs of a pair share, such as a seed and the signals that it draws, does not widen the interval.

    Raises:
        ValueError: the numbers of runs differ.

    Example:
        >>> first, second = ([Measurement("a", mean, 0.0, 1) for mean in means] for means in ((5.0, 7.0), (4.0, 6.0)))
        >>> paired_difference(first, second)
        Measurement(name='a', mean=1.0, interval=0.0, trials=2)
    """
    name = first[0].name
    differences = [
        {name: Measurement(name, one.mean - other.mean, 0.0, 1)} for one, other in zip(first, second, strict=True)
    ]
    return over_runs(differences)[name]
