"""Losses on features: NT-Xent of contrastive learning, and the heads of few-shot learning.
Formulas: docs/derivations/contrastive.md#nt-xent, docs/derivations/few_shot.md#matching-loss.

Shape letters: N pairs or classes, F features, V views, M support INRs, Q queries.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

Head = Literal["matching", "prototype"]


def nt_xent(first_NF: Tensor, second_NF: Tensor, temperature: float) -> Tensor:
    """NT-Xent, the normalised temperature-scaled cross entropy: Chen et al. 2020 (SimCLR, arXiv 2002.05709), eq. 1;
    eq. 6 of the contrastive paper.

    It is the mean of −log(exp(s_ij/τ) / Σ_{k ≠ i} exp(s_ik/τ)) over all 2N views i, where j is the other view of the
    same pair and s the cosine. The sum runs over the 2N − 1 other views, the positive one among them.

    Args:
        first_NF: features of one view of each pair.
        second_NF: features of the other view.
        temperature: τ, above 0.

    Returns:
        A scalar.
    """
    views_VF = normalize(torch.cat([first_NF, second_NF]), dim=-1)
    logits_VV = views_VF @ views_VF.T / temperature
    logits_VV = logits_VV.masked_fill(torch.eye(len(logits_VV), dtype=torch.bool, device=logits_VV.device), -torch.inf)
    partner_V = torch.arange(len(logits_VV), device=logits_VV.device).roll(len(first_NF))
    return cross_entropy(logits_VV, partner_V)


def log_probabilities(
    support_MF: Tensor, query_QF: Tensor, target_M: Tensor, num_classes: int, scale: Tensor | float, head: Head
) -> Tensor:
    """log P(class | query, support).

    `matching` is eq. 2 of the few-shot paper, Matching Networks' attention (Vinyals et al. 2016): a softmax over the
    support, P(y) = Σᵢ softmaxᵢ(s · cos(f(x̂), f(xᵢ))) [yᵢ = y]. `prototype` is Snell et al. 2017's softmax over the
    classes' mean features, with the same cosine.

    Args:
        support_MF, query_QF: features; only their directions count.
        target_M: int64, the class of each support INR, 0 to N − 1; every class occurs.
        num_classes: N.
        scale: s, the factor of the cosines; the paper's formula has 1.
        head: `matching` or `prototype`.

    Returns:
        (Q, N).
    """
    support_MF, query_QF = normalize(support_MF, dim=-1), normalize(query_QF, dim=-1)
    member_MN = one_hot(target_M, num_classes).to(support_MF.dtype)
    if head == "prototype":
        mean_NF = member_MN.T @ support_MF / member_MN.sum(dim=0)[:, None]
        return (scale * query_QF @ normalize(mean_NF, dim=-1).T).log_softmax(dim=-1)
    log_weight_QM = (scale * query_QF @ support_MF.T).log_softmax(dim=-1)
    return (log_weight_QM[:, :, None] + member_MN.log()).logsumexp(dim=1)


def accuracy(log_probability_QN: Tensor, target_Q: Tensor) -> float:
    """Share of queries whose most likely class is right."""
    return float((log_probability_QN.argmax(dim=-1) == target_Q).double().mean())


def negative_log_likelihood(log_probability_QN: Tensor, target_Q: Tensor) -> Tensor:
    """Mean over queries of −log P(right class): eq. 3 of the few-shot paper, per query. A scalar."""
    return -log_probability_QN.gather(1, target_Q[:, None]).mean()
