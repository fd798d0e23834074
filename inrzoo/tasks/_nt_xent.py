"""NT-Xent, the normalised temperature-scaled cross entropy: Chen et al. 2020, "A simple framework for contrastive
learning of visual representations" (SimCLR, arXiv 2002.05709), eq. 1; eq. 6 of the contrastive paper.
Formulas: docs/derivations/contrastive.md#nt-xent.

Shape letters: N pairs, F features.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def nt_xent(first_NF: Tensor, second_NF: Tensor, temperature: float) -> Tensor:
    """Mean of −log(exp(s_ij/τ) / Σ_{k ≠ i} exp(s_ik/τ)) over all 2N views i, j the other view of the same pair.

    s is the cosine. The sum has the 2N − 1 other views, the positive one among them.

    Args:
        first_NF: one view of each pair.
        second_NF: the other.
        temperature: τ, above 0.

    Returns:
        A scalar.
    """
    views_VF = normalize(torch.cat([first_NF, second_NF]), dim=-1)
    logits_VV = views_VF @ views_VF.T / temperature
    logits_VV = logits_VV.masked_fill(torch.eye(len(logits_VV), dtype=torch.bool, device=logits_VV.device), -torch.inf)
    partner_V = torch.arange(len(logits_VV), device=logits_VV.device).roll(len(first_NF))
    return cross_entropy(logits_VV, partner_V)
