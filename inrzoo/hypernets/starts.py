"""Starts without a prior, beside which learned initialisations are measured: Tancik et al. 2021 (arXiv 2012.02189).

Formulas: docs/derivations/hypernetworks.md#novel-views.

Shape letters: P parameters of one INR, K coordinates, D in_features.
"""

import torch
from torch import Tensor

from inrzoo.fit.metrics import mse
from inrzoo.hypernets.contract import initial_weights
from inrzoo.inrs import INR

MATCH_STEPS, MATCH_LR, MATCH_POINTS = 2000, 1e-3, 1024
"""Steps and learning rate of Adam by which a start is matched, and random points of each step."""


def shuffled_start(inr: INR, start_P: Tensor, seed: int) -> Tensor:
    """A learned start with the numbers of every tensor in random order, (P,): its distribution without its function.

    Example:
        >>> from inrzoo.inrs.siren import Siren
        >>> inr = Siren(in_features=2, out_features=1, hidden_features=8)
        >>> start = torch.linspace(0, 1, inr.layout.num_params)
        >>> bool((shuffled_start(inr, start, 0).sort().values == start).all())
        True
    """
    generator = torch.Generator().manual_seed(seed)
    parts = inr.layout.split(start_P)
    shuffled = {
        name: part.flatten()[torch.randperm(part.numel(), generator=generator).to(part.device)].reshape(part.shape)
        for name, part in parts.items()
    }
    joined: Tensor = inr.layout.join(shuffled)
    return joined


def matched_start(inr: INR, start_P: Tensor, seed: int, *, extent: float = 1.0, steps: int = MATCH_STEPS) -> Tensor:
    """A newly initialised INR, fitted to the values of a learned start, (P,): its function without its weights.

    Adam descends the mean squared error of the outputs (of a radiance field: before sigmoid and density) at random
    points of the cube [-extent, extent]^D, new ones in every step.

    Args:
        inr: of the start.
        start_P: the learned start.
        seed: of the initialisation and the points.
        extent: see above.
        steps: of Adam.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        matched_P = initial_weights(inr).to(start_P.device).requires_grad_()
        adam = torch.optim.Adam([matched_P], lr=MATCH_LR)
        for _ in range(steps):
            points_KD = (extent * (2 * torch.rand(MATCH_POINTS, inr.in_features) - 1)).to(start_P.device)
            with torch.no_grad():
                values = inr(start_P[None], points_KD)
            with torch.enable_grad():
                error = mse(inr(matched_P[None], points_KD), values).sum()
                (matched_P.grad,) = torch.autograd.grad(error, matched_P)
            adam.step()
        return matched_P.detach()
