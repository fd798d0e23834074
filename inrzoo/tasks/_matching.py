"""From features to classes: the heads of few-shot learning, and the interval of a mean.
Formulas: docs/derivations/few_shot.md#matching-loss.

Shape letters: M support INRs, Q queries, N classes, F features.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor
from torch.nn.functional import normalize, one_hot

Head = Literal["matching", "prototype"]

Z_95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


def log_probabilities(
    support_MF: Tensor, query_QF: Tensor, target_M: Tensor, num_classes: int, scale: Tensor | float, head: Head
) -> Tensor:
    """log P(class | query, support), (Q, N).

    `matching` is eq. 2 of the few-shot paper, Matching Networks' attention (Vinyals et al. 2016): a softmax over the
    support, P(y) = Σᵢ softmaxᵢ(s · cos(f(x̂), f(xᵢ))) [yᵢ = y]. `prototype` is Snell et al. 2017's softmax over the
    classes' mean features, with the same cosine.

    Args:
        support_MF, query_QF: features; only their directions count.
        target_M: int64, the class of each support INR, 0 to N − 1; every class occurs.
        num_classes: N.
        scale: s, what multiplies the cosines; the paper's formula has 1.
        head: which of the two.
    """
    support_MF, query_QF = normalize(support_MF, dim=-1), normalize(query_QF, dim=-1)
    member_MN = one_hot(target_M, num_classes).to(support_MF.dtype)
    if head == "prototype":
        mean_NF = member_MN.T @ support_MF / member_MN.sum(dim=0)[:, None]
        return (scale * query_QF @ normalize(mean_NF, dim=-1).T).log_softmax(dim=-1)
    log_weight_QM = (scale * query_QF @ support_MF.T).log_softmax(dim=-1)
    return (log_weight_QM[:, :, None] + member_MN.log()).logsumexp(dim=1)


def mean_and_interval(values: Tensor) -> tuple[float, float]:
    """Mean of independent values and half the width of its 95 % confidence interval, 1.96 s/√n with s² the sample
    variance (divided by n − 1), as few-shot papers give it over episodes; infinite for one value.
    """
    exact = values.double()
    if len(exact) < 2:
        return float(exact.mean()), math.inf
    return float(exact.mean()), Z_95 * float(exact.std(correction=1)) / math.sqrt(len(exact))


def accuracy(log_probability_QN: Tensor, target_Q: Tensor) -> float:
    """Share of queries whose likeliest class is right."""
    return float((log_probability_QN.argmax(dim=-1) == target_Q).double().mean())


def negative_log_likelihood(log_probability_QN: Tensor, target_Q: Tensor) -> Tensor:
    """Mean over queries of −log P(right class): eq. 3 of the few-shot paper, per query. A scalar."""
    return -log_probability_QN.gather(1, target_Q[:, None]).mean()
