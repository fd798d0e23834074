"""Measures of frozen features: a linear probe, nearest neighbours, retrieval of labels, and of the fits of a signal.

Nothing is chosen on the reported split: probes are fitted on the training split and chosen on the validation split. The
contrastive paper reports the best of several runs on the split that it measures; `protocol="best_of_runs"` does that,
and the name of the measurement says so.
Formulas: docs/derivations/contrastive.md#evaluation.

Shape letters: L INRs, N signals, F features.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.tasks.measurements import Measurement, measured_mean, measured_share

Protocol = Literal["validation", "best_of_runs"]
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Candidates for C of logistic regression, the weight of the data relative to the L2 penalty."""
NEIGHBOURS = (1, 5, 10, 20, 50)
"""Candidates for the number of neighbours."""
ROWS_AT_ONCE = 1024
"""Rows whose cosines are computed at once."""


@dataclass(frozen=True)
class Features:
    """Features of the INRs of a split.

    Attributes:
        features: (L, F) float32, on the CPU.
        label: (L,) int64.
        signal: (L,) int64.
        seed: (L,) int64.
    """

    features: Tensor
    label: Tensor
    signal: Tensor
    seed: Tensor


def linear_probe(
    train: Features, validation: Features, test: Features, protocol: Protocol = "validation"
) -> Measurement:
    """Accuracy in percent of multinomial logistic regression on features standardised by the training split.

    Regression in float64 goes on to its optimum, so that neither the order of the INRs nor the rounding of features
    decides what the probe says.

    Args:
        train, validation, test: features of the three splits; `test` is the one that is reported.
        protocol: the split on which C is chosen: `validation`, or `best_of_runs` for the reported one.
    """
    with needed("train", "the linear probe"):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

    mean, std = train.features.mean(0), train.features.std(0)
    std = torch.where(std > 1e-6, std, 1.0)

    def standardised(part: Features) -> NDArray[np.float64]:
        return ((part.features - mean) / std).double().numpy()

    chooser = validation if protocol == "validation" else test
    fitted, choosing = standardised(train), standardised(chooser)
    best_score, best_probe = -1.0, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fit that stops at max_iter is a probe like any other
        for strength in STRENGTHS:
            probe = LogisticRegression(C=strength, solver="newton-cg", max_iter=300, tol=1e-6)
            score = probe.fit(fitted, train.label.numpy()).score(choosing, chooser.label.numpy())
            if score > best_score:
                best_score, best_probe = score, probe
    assert best_probe is not None, "one of several"
    right = torch.from_numpy(best_probe.predict(standardised(test)) == test.label.numpy())
    return measured_share("linear probe" + ("" if protocol == "validation" else ", best of runs on this split"), right)


def nearest_neighbours(train: Features, validation: Features, test: Features) -> Measurement:
    """Accuracy in percent of the majority vote of the k training INRs with the largest cosines.

    k is chosen on the validation split. A tie goes to the class with the larger cosines.
    """
    candidates = [k for k in NEIGHBOURS if k <= len(train.label)]
    scores = {k: float(right.double().mean()) for k, right in _neighbours(train, validation, candidates).items()}
    best = max(scores, key=lambda k: scores[k])
    return measured_share("k-nearest neighbours", _neighbours(train, test, [best])[best])


def _neighbours(train: Features, queries: Features, numbers: Sequence[int]) -> dict[int, Tensor]:
    """Whether the vote of k neighbours is right for each query, (L,) bool, for each k of `numbers`."""
    train_LF = normalize(train.features, dim=-1)
    right: dict[int, list[Tensor]] = {k: [] for k in numbers}
    num_classes = 1 + int(max(train.label.max(), queries.label.max()))
    for rows in torch.arange(len(queries.label)).split(ROWS_AT_ONCE):
        # Sorted, so that the neighbours of a smaller k are the first columns.
        cosine, index = (normalize(queries.features[rows], dim=-1) @ train_LF.T).topk(max(numbers))
        for k in numbers:
            votes = torch.zeros(len(rows), num_classes, dtype=torch.float64)
            # Cosines are at most 1: a hundredth of their mean can break a tie and no majority.
            votes.scatter_add_(1, train.label[index[:, :k]], 1 + cosine[:, :k].double() / (100 * k))
            right[k].append(votes.argmax(1) == queries.label[rows])
    return {k: torch.cat(parts) for k, parts in right.items()}


def retrieval(features: Features, tops: tuple[int, ...] = (1, 5)) -> list[Measurement]:
    """Share of INRs, in percent, whose other fit of the same signal is among the k INRs with the largest cosines.

    Queries are the fits with each signal's smallest seed, and candidates those with its second smallest, so that chance
    is k/N: the contrastive paper's alignment (Sec. 2.2, 6).

    Returns:
        `top-k of N` for each k; an empty list if no signal has two seeds.
    """
    first, second = two_fits(features)
    if not len(first):
        return []
    one, other = (normalize(features.features[rows], dim=-1) for rows in (first, second))
    ranks = []
    for rows in torch.arange(len(first)).split(ROWS_AT_ONCE):
        cosine_BN = one[rows] @ other.T
        own_B = cosine_BN.gather(1, rows[:, None])
        ranks.append((cosine_BN >= own_B).sum(1))  # from 1; an equally near candidate counts as nearer
    rank = torch.cat(ranks)
    return [measured_share(f"top-{k} of {len(first)}", rank <= k) for k in tops]


def mean_average_precision(features: Features, metric: Literal["cosine", "euclidean"] = "cosine") -> Measurement:
    """Mean average precision, in percent, of the retrieval of INRs of the same label by the nearness of their features.

    Every INR is a query, and the INRs of all other signals are ranked by their nearness to it. Its average precision is
    the mean, over the INRs of its label, of the share of that label among all down to that rank. Of equally near ones
    those of other labels come first, so that constant features gain nothing. Queries without another INR of their label
    are left out. Formulas: docs/derivations/autoencoding.md#retrieval.

    Args:
        features: of L INRs.
        metric: nearness: the greatest cosine or the smallest Euclidean distance.

    Raises:
        InrzooError: no two signals have the same label.

    Example:
        >>> rows = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.5, 0.5], [0.0, 1.0]])
        >>> number = torch.arange(4)
        >>> measured = mean_average_precision(Features(rows, torch.tensor([0, 1, 0, 1]), number, torch.zeros(4)))
        >>> round(measured.mean, 2)
        41.67
    """
    rows_LF = normalize(features.features, dim=-1) if metric == "cosine" else features.features
    squares_L = rows_LF.square().sum(1)
    precisions = []
    for rows in torch.arange(len(rows_LF)).split(ROWS_AT_ONCE):
        nearness_BL = 2 * rows_LF[rows] @ rows_LF.T - squares_L  # orders as the distance does, and as the cosine
        other_BL = features.signal[rows, None] != features.signal
        same_BL = (features.label[rows, None] == features.label) & other_BL
        order_BL = same_BL.byte().argsort(dim=1, stable=True)  # other labels first, then nearness decides
        order_BL = order_BL.gather(1, nearness_BL.gather(1, order_BL).argsort(dim=1, descending=True, stable=True))
        same_BL, other_BL = same_BL.gather(1, order_BL), other_BL.gather(1, order_BL)
        count_BL = same_BL.cumsum(1).double()
        precision_BL = count_BL / other_BL.cumsum(1).clamp_min(1)
        total_B = count_BL[:, -1]
        precisions.append((precision_BL * same_BL).sum(1)[total_B > 0] / total_B[total_B > 0])
    percent = 100 * torch.cat(precisions)
    if not len(percent):
        raise InrzooError("no two signals have the same label, so that there is nothing to retrieve")
    return measured_mean(f"retrieval by {metric}, mAP", percent)


def identity(features: Features) -> Measurement:
    """Share of INRs, in percent, whose nearest other INR by cosine is another fit of the same signal.

    Queries are all fits of signals with two or more, and candidates all other INRs, so that chance is 1/(L − 1) where
    signals have two fits. An INR of another signal that is equally near counts as nearer: constant features have 0.

    Raises:
        InrzooError: no signal has two fits.

    Example:
        >>> signal = torch.tensor([0, 1, 0, 1])
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.8, 0.1]])
        >>> identity(Features(rows, torch.zeros(4), signal, torch.tensor([0, 0, 1, 1]))).mean
        50.0
    """
    queries = torch.from_numpy(np.isin(features.signal.numpy(), _several(features.signal.numpy())))
    if not queries.any():
        raise InrzooError("no signal has two fits, so that none can be told from those of other signals")
    rows_LF, right = normalize(features.features, dim=-1), []
    for rows in queries.nonzero()[:, 0].split(ROWS_AT_ONCE):
        cosine_BL = rows_LF[rows] @ rows_LF.T
        same_BL = features.signal[rows, None] == features.signal
        own_BL = same_BL.clone()
        own_BL[torch.arange(len(rows)), rows] = False
        other_B = cosine_BL.masked_fill(same_BL, -torch.inf).amax(1)
        right.append(cosine_BL.masked_fill(~own_BL, -torch.inf).amax(1) > other_B)
    return measured_share("identity", torch.cat(right))


def _several(signal_L: NDArray[np.int64]) -> NDArray[np.int64]:
    """Signals that occur more than once."""
    signals, counts = np.unique(signal_L, return_counts=True)
    return signals[counts > 1]


def two_fits(features: Features) -> tuple[Tensor, Tensor]:
    """Rows of the fits with the smallest and with the second smallest seed of each signal that has two, (N,) each."""
    order = np.lexsort((features.seed.numpy(), features.signal.numpy()))
    signal, seed = features.signal.numpy()[order], features.seed.numpy()[order]
    begins = np.flatnonzero(np.diff(signal, prepend=signal[:1] - 1))
    firsts, seconds = [], []
    for begin, end in zip(begins, [*begins[1:], len(signal)], strict=True):
        later = np.flatnonzero(seed[begin:end] > seed[begin])
        if len(later):
            firsts.append(order[begin])
            seconds.append(order[begin + later[0]])
    return torch.tensor(np.array(firsts, dtype=np.int64)), torch.tensor(np.array(seconds, dtype=np.int64))
